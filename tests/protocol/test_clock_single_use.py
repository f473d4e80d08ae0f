"""F23: what counts once counts once, wherever the clock goes, and between processes whose clocks are apart."""

from dataclasses import replace

import httpx
import pytest

from core.crypto.keys import SigningKey
from core.ids import digest
from tenant_runtime import models
from tenant_runtime.login.sweeping import sweep
from tests.holder import Holder
from tests.protocol.assertions import (
    REFUSED,
    add_signing_client,
    ask,
    assertion,
    key_server,
    outcome,
    reaching,
)
from tests.protocol.issuer import API, HandClock, Issuer, Issuers, second_worker

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

HOUR = 3600
YEARS = 3653 * 86_400
KEY, OTHER = SigningKey.generate("ES256"), SigningKey.generate("ES256")


def sweeping_jti(*names: str) -> str:
    """One whose claim removes what is over."""
    texts = (f"sweep-{number}" for number in range(100_000))
    return next(text for text in texts if digest("\0".join((*names, text))).startswith("00"))


async def prove(issuer: Issuer, proof: str) -> httpx.Response:
    body = {"client_id": "m2m", "client_secret": issuer.secrets["m2m"]}
    form = {**body, "grant_type": "client_credentials", "audience": API}
    return await issuer.http.post("/oauth/token", data=form, headers={"DPoP": proof})


async def told_a_nonce(issuer: Issuer, holder: Holder) -> Holder:
    answer = await prove(issuer, holder.proof("POST", f"{issuer.tenant.issuer}oauth/token", nonce=None))
    holder.nonce = answer.headers["dpop-nonce"]
    return holder


@pytest.mark.parametrize("jump", [HOUR, YEARS])
async def test_a_used_assertion_is_used_after_a_sweep_by_a_clock_that_was_ahead(
    issuers: Issuers, jump: int
) -> None:
    acme = issuers.acme
    await add_signing_client(acme, "robot", KEY)
    form = assertion(acme, "robot", KEY, exp=int(issuers.clock.time) + 240)
    assert (await ask(acme, form)).status_code == 200
    issuers.clock.time += jump
    later = assertion(acme, "robot", KEY, jti=sweeping_jti("client_assertion", "robot"))
    assert (await ask(acme, later)).status_code == 200
    await acme.tenant.database.write(sweep, acme.now_ms)
    issuers.clock.time -= jump
    assert outcome(await ask(acme, form)) == REFUSED
    assert outcome(await ask(acme, later)) == REFUSED, "which is from another time"
    issuers.clock.time += jump
    assert outcome(await ask(acme, later)) == REFUSED


async def test_a_used_assertion_is_used_when_its_time_comes_again(issuers: Issuers) -> None:
    """The clock is set back by an hour: the assertion of an hour ago would be good once more."""
    acme = issuers.acme
    await add_signing_client(acme, "robot", KEY)
    form = assertion(acme, "robot", KEY)
    assert (await ask(acme, form)).status_code == 200
    issuers.clock.time += HOUR + 30
    later = assertion(acme, "robot", KEY, jti=sweeping_jti("client_assertion", "robot"))
    assert (await ask(acme, later)).status_code == 200
    issuers.clock.time -= HOUR
    assert outcome(await ask(acme, form)) == REFUSED


@pytest.mark.parametrize("jump", [HOUR, YEARS])
async def test_a_used_proof_is_used_after_a_sweep_by_a_clock_that_was_ahead(
    issuers: Issuers, jump: int
) -> None:
    acme, clock = issuers.acme, issuers.clock
    holder = await told_a_nonce(acme, Holder(clock.now))
    url = f"{acme.tenant.issuer}oauth/token"
    proof = holder.proof("POST", url)
    assert (await prove(acme, proof)).status_code == 200
    clock.time += jump
    await told_a_nonce(acme, holder)
    later = holder.proof("POST", url, jti=sweeping_jti("dpop", holder.jkt))
    assert (await prove(acme, later)).status_code == 200
    clock.time -= jump
    for one in (proof, later):
        assert (await prove(acme, one)).json()["error"] in ("invalid_dpop_proof", "use_dpop_nonce")
    assert (await prove(acme, proof)).json()["error_description"] == "The DPoP proof is invalid.", "used"
    fresh = await told_a_nonce(acme, holder)
    assert (await prove(acme, fresh.proof("POST", url))).status_code == 200


async def test_what_is_over_is_forgotten_all_the_same(issuers: Issuers) -> None:
    acme = issuers.acme
    await add_signing_client(acme, "robot", KEY)
    assert (await ask(acme, assertion(acme, "robot", KEY))).status_code == 200
    for hours, left in ((1, 1), (1, 0)):
        issuers.clock.time += hours * HOUR
        await acme.tenant.database.write(sweep, acme.now_ms)
        assert len(await acme.rows(models.UsedId)) == left


@pytest.mark.parametrize("apart", [5, -5])
async def test_processes_five_seconds_apart_take_the_same_proofs_and_each_once(
    issuers: Issuers, apart: int
) -> None:
    acme = issuers.acme
    await add_signing_client(acme, "robot", KEY)
    services = replace(issuers.services, clock=HandClock(issuers.clock.time + apart))
    async with second_worker(acme, services) as other:
        other = replace(other, secrets=acme.secrets)
        for first, second in ((acme, other), (other, acme)):
            holder = await told_a_nonce(first, Holder(issuers.clock.now))
            url = f"{acme.tenant.issuer}oauth/token"
            proof = holder.proof("POST", url)
            assert (await prove(second, proof)).status_code == 200, "the nonce of one is good at the other"
            assert (await prove(first, proof)).json()["error"] == "invalid_dpop_proof"
            form = assertion(acme, "robot", KEY, nbf=int(issuers.clock.time))
            assert (await ask(second, form)).status_code == 200
            assert outcome(await ask(first, form)) == REFUSED


@pytest.mark.parametrize("jump", [HOUR, YEARS])
async def test_keys_that_were_read_while_the_clock_was_ahead_are_read_again(
    issuers: Issuers, jump: int
) -> None:
    acme = issuers.acme
    async with key_server(KEY) as server, reaching(issuers, acme, server) as worker:
        await add_signing_client(acme, "robot", jwks_uri=server.url)
        issuers.clock.time += jump
        assert (await ask(worker, assertion(acme, "robot", KEY))).status_code == 200
        issuers.clock.time -= jump
        server.keys = [OTHER]
        assert outcome(await ask(worker, assertion(acme, "robot", KEY))) == REFUSED
        assert (await ask(worker, assertion(acme, "robot", OTHER))).status_code == 200
