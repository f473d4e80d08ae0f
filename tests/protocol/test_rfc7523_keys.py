"""The keys of clients that sign: here with an end of their own, or at an address of the client's (`jwks_uri`)."""

import asyncio

import msgspec
import pytest

from core.crypto.keys import SigningKey
from tenant_runtime import models
from tests.protocol.assertions import (
    BOTH,
    REFUSED,
    add_key,
    add_signing_client,
    ask,
    assertion,
    key_server,
    outcome,
    reaching,
    services_reaching,
)
from tests.protocol.issuer import Issuer, Issuers, add_client, second_worker

pytestmark = pytest.mark.anyio

KEYS = {alg: SigningKey.generate(alg) for alg in ("RS256", "ES256")}
KEY, OTHER = KEYS["ES256"], SigningKey.generate("ES256")


# --- Keys that come and go -----------------------------------------------------------------------------------------


async def test_a_key_ends_at_its_time(issuers: Issuers) -> None:
    await add_signing_client(issuers.acme, "robot")
    await add_key(issuers.acme, "robot", KEY, expires_at=issuers.acme.now_ms + 1000)
    assert (await ask(issuers.acme, assertion(issuers.acme, "robot", KEY))).status_code == 200
    issuers.clock.time += 1
    assert outcome(await ask(issuers.acme, assertion(issuers.acme, "robot", KEY))) == REFUSED


async def test_a_key_that_another_worker_took_away_is_refused_at_once(issuers: Issuers) -> None:
    acme = issuers.acme
    await add_signing_client(acme, "robot", KEY, OTHER)
    async with second_worker(acme, issuers.services) as worker:
        assert (await ask(worker, assertion(acme, "robot", KEY))).status_code == 200
        await acme.remove(models.ClientKey, client_id="robot", kid=KEY.kid)
        assert outcome(await ask(worker, assertion(acme, "robot", KEY))) == REFUSED
        assert (await ask(worker, assertion(acme, "robot", OTHER))).status_code == 200
        await acme.change(
            models.Client, {"client_id": "robot"}, token_endpoint_auth_method="client_secret_post"
        )
        assert outcome(await ask(worker, assertion(acme, "robot", OTHER))) == REFUSED


async def test_an_assertion_without_kid_needs_exactly_one_key_that_fits(issuers: Issuers) -> None:
    acme = issuers.acme
    await add_signing_client(acme, "robot", KEY, KEYS["RS256"])
    assert (await ask(acme, assertion(acme, "robot", KEY, {"kid": None}))).status_code == 200
    await add_key(acme, "robot", OTHER)
    for key in (KEY, OTHER):
        assert outcome(await ask(acme, assertion(acme, "robot", key, {"kid": None}))) == REFUSED
        assert (await ask(acme, assertion(acme, "robot", key))).status_code == 200


# --- Keys at an address of the client's ----------------------------------------------------------------------------


async def add_remote_client(issuer: Issuer, url: str, client_id: str = "robot") -> None:
    await add_signing_client(issuer, client_id, jwks_uri=url)


async def test_a_new_key_at_the_clients_address_works_on_the_next_request(issuers: Issuers) -> None:
    acme = issuers.acme
    async with key_server(KEY) as server, reaching(issuers, acme, server) as worker:
        await add_remote_client(acme, server.url)
        answer = await worker.redeem(await acme.code("robot"), None, **assertion(acme, "robot", KEY))  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        server.keys = [OTHER]
        refreshed = await worker.refresh(
            answer.json()["refresh_token"],
            None,  # type: ignore[arg-type]
            **assertion(acme, "robot", OTHER),
        )
        assert refreshed.status_code == 200, refreshed.text
        assert server.asked == 2
        assert outcome(await ask(worker, assertion(acme, "robot", KEY))) == REFUSED


async def test_known_keys_are_kept_for_five_minutes(issuers: Issuers) -> None:
    acme = issuers.acme
    async with key_server(KEY) as server, reaching(issuers, acme, server) as worker:
        await add_remote_client(acme, server.url)
        for _ in range(5):
            assert (await ask(worker, assertion(acme, "robot", KEY))).status_code == 200
        assert server.asked == 1
        server.keys = []
        issuers.clock.time += 299
        assert (await ask(worker, assertion(acme, "robot", KEY))).status_code == 200
        issuers.clock.time += 1
        assert outcome(await ask(worker, assertion(acme, "robot", KEY))) == REFUSED


async def test_made_up_kids_are_no_storm_of_calls(issuers: Issuers) -> None:
    acme = issuers.acme
    async with key_server(KEY) as server, reaching(issuers, acme, server) as worker:
        await add_remote_client(acme, server.url)
        for number in range(20):
            form = assertion(acme, "robot", OTHER, {"kid": f"made-up-{number}"})
            assert outcome(await ask(worker, form)) == REFUSED
        assert server.asked == 2
        issuers.clock.time += 30
        await ask(worker, assertion(acme, "robot", OTHER))
        await ask(worker, assertion(acme, "robot", OTHER))
        assert server.asked == 3
        assert (await ask(worker, assertion(acme, "robot", KEY))).status_code == 200


async def test_callers_at_once_share_one_call(issuers: Issuers) -> None:
    acme = issuers.acme
    async with key_server(KEY) as server, reaching(issuers, acme, server) as worker:
        await add_remote_client(acme, server.url)
        server.gate.clear()
        asking = [asyncio.create_task(ask(worker, assertion(acme, "robot", KEY))) for _ in range(20)]
        while server.asked == 0:
            await asyncio.sleep(0.005)
        asking[0].cancel()
        server.gate.set()
        answers = await asyncio.gather(*asking[1:])
        assert {answer.status_code for answer in answers} == {200}
        assert server.asked == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (302, b"{}"),
        (404, b'{"keys": []}'),
        (200, b""),
        (200, b"[]"),
        (200, b'{"keys": {}}'),
        (200, b'{"keys": "x"}'),
        (200, b"<html>"),
        (200, b'{"keys":' * 5000),
        (200, b'{"keys": [' + b"{}," * 60 + b"{}]}"),
        (200, b"x" * 70_000),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_an_address_that_gives_no_keys_is_left_alone_for_a_while(
    issuers: Issuers, status: int, body: bytes
) -> None:
    acme = issuers.acme
    async with key_server(KEY) as server, reaching(issuers, acme, server) as worker:
        await add_remote_client(acme, server.url)
        server.status, server.body = status, body
        for _ in range(3):
            assert outcome(await ask(worker, assertion(acme, "robot", KEY))) == REFUSED
        assert server.asked == 1
        server.status, server.body = 200, None
        issuers.clock.time += 10
        assert (await ask(worker, assertion(acme, "robot", KEY))).status_code == 200


async def test_a_set_is_read_past_what_proves_nothing(issuers: Issuers) -> None:
    acme = issuers.acme
    private = {**OTHER.public_jwk, **OTHER.jose.as_dict(private=True)}
    encryption = {**KEYS["RS256"].public_jwk, "use": "enc"}
    nameless = {name: value for name, value in KEY.public_jwk.items() if name not in ("kid", "alg")}
    odd = [{"kty": "oct", "k": "AAAA", "kid": "mac"}, {"kty": "RSA"}, 7, None, private, encryption, nameless]
    async with key_server() as server, reaching(issuers, acme, server) as worker:
        await add_remote_client(acme, server.url)
        server.body = msgspec.json.encode({"keys": odd})
        for kid in (KEY.kid, None):  # a key without a name goes by its thumbprint
            assert (await ask(worker, assertion(acme, "robot", KEY, {"kid": kid}))).status_code == 200
        assert outcome(await ask(worker, assertion(acme, "robot", OTHER))) == REFUSED
        rsa = {"alg": "RS256"}
        assert outcome(await ask(worker, assertion(acme, "robot", KEYS["RS256"], rsa))) == REFUSED
        mac = assertion(acme, "robot", b"\x00\x00\x00", {"kid": "mac"})
        assert outcome(await ask(worker, mac)) == REFUSED


async def test_an_address_inside_is_never_called(issuers: Issuers) -> None:
    acme = issuers.acme
    async with key_server(KEY) as server:
        await add_remote_client(acme, server.url)
        assert outcome(await ask(acme, assertion(acme, "robot", KEY))) == REFUSED
        assert server.asked == 0


async def test_two_tenants_never_share_what_was_read(issuers: Issuers) -> None:
    """Of one process, at one address."""
    acme, globex = issuers.acme, issuers.globex
    async with (
        key_server(KEY) as server,
        services_reaching(issuers, server) as services,
        second_worker(acme, services) as one,
        second_worker(globex, services) as two,
    ):
        await add_remote_client(acme, server.url)
        await add_remote_client(globex, server.url)
        assert (await ask(one, assertion(acme, "robot", KEY))).status_code == 200
        server.keys = [OTHER]
        assert outcome(await ask(two, assertion(globex, "robot", KEY))) == REFUSED
        assert (await ask(two, assertion(globex, "robot", OTHER))).status_code == 200
        assert (await ask(one, assertion(acme, "robot", KEY))).status_code == 200


async def test_another_address_in_another_worker_counts_at_once(issuers: Issuers) -> None:
    acme = issuers.acme
    async with key_server(KEY) as server, reaching(issuers, acme, server) as worker:
        await add_remote_client(acme, server.url)
        assert (await ask(worker, assertion(acme, "robot", KEY))).status_code == 200
        await acme.change(models.Client, {"client_id": "robot"}, jwks_uri="https://keys.example.com/")
        assert outcome(await ask(worker, assertion(acme, "robot", KEY))) == REFUSED


async def test_a_client_without_any_key_proves_nothing(issuers: Issuers) -> None:
    await add_client(issuers.acme, "robot", token_endpoint_auth_method="private_key_jwt", grant_types=BOTH)
    assert outcome(await ask(issuers.acme, assertion(issuers.acme, "robot", KEY))) == REFUSED
