"""F8 and F9: two servers on one data folder, and everything that may happen once."""

import asyncio
import secrets
from collections import Counter

import httpx
import pytest

from tests.faults.checks import is_whole, operations_of
from tests.faults.conftest import Ground
from tests.faults.servers import two_serving
from tests.operators import machine_token
from tests.relying_party import Answer, RelyingParty

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

PARALLEL = 50
ROUNDS = 6


def party(ground: Ground, http: httpx.AsyncClient) -> RelyingParty:
    tenant = ground.demo.tenants[0]
    return RelyingParty(http, tenant.issuer, tenant.clients["web"], tenant.api_audience, tenant.users[0])


async def test_f8_f9_what_may_happen_once_happens_once_over_two_servers(ground: Ground) -> None:
    async with (
        two_serving(ground.data) as servers,
        servers[0].client() as here,
        servers[1].client() as there,
    ):
        await _one_code(ground, here, there)
        await _one_refresh_token(ground, here, there)
        await _one_key(ground, here, there)
        await _the_same_tenant(ground, here, there)
        await _delete_and_change(ground, here, there)
    is_whole(ground.data)


async def _at_once(first: RelyingParty, second: RelyingParty, form: dict[str, str | None]) -> list[Answer]:
    return await asyncio.gather(*(rp.token(form) for _ in range(PARALLEL) for rp in (first, second)))


async def _one_code(ground: Ground, here: httpx.AsyncClient, there: httpx.AsyncClient) -> None:
    """RFC 6749 section 4.1.2: one wins, and what it won is taken back because others tried."""
    first, second = party(ground, here), party(ground, there)
    form: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "code": await first.code(),
        "redirect_uri": first.redirect_uri,
        "code_verifier": first.verifier,
    }
    answers = await _at_once(first, second, form)
    assert Counter(answer.status for answer in answers) == {200: 1, 400: 2 * PARALLEL - 1}
    assert {answer.error for answer in answers if answer.status != 200} == {"invalid_grant"}
    won = next(answer for answer in answers if answer.status == 200)
    for rp in (first, second):
        assert (await rp.refresh(won.refresh_token)).error == "invalid_grant"


async def _one_refresh_token(ground: Ground, here: httpx.AsyncClient, there: httpx.AsyncClient) -> None:
    """Without leeway a token that is used twice ends its family, on both servers."""
    first, second = party(ground, here), party(ground, there)
    tokens = await first.redeem(await first.code(prompt="login"))
    form: dict[str, str | None] = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
    answers = await _at_once(first, second, form)
    assert Counter(answer.status for answer in answers) == {200: 1, 400: 2 * PARALLEL - 1}
    won = next(answer for answer in answers if answer.status == 200)
    assert (await second.refresh(won.refresh_token)).error == "invalid_grant"


async def _one_key(ground: Ground, here: httpx.AsyncClient, there: httpx.AsyncClient) -> None:
    """One `Idempotency-Key`, sent to both servers at once: one role, one answer; and one tenant, one answer."""
    tenant = ground.demo.tenants[0]
    token = await machine_token(here, tenant.issuer, tenant.clients["m2m"], tenant.management_audience)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(8)}
    body = {"name": f"once {secrets.token_hex(4)}"}
    answers = await asyncio.gather(
        *(
            http.post(f"{tenant.issuer}api/v2/roles", json=body, headers=headers)
            for _ in range(10)
            for http in (here, there)
        )
    )
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    first, second = await ground.operator(here), await ground.operator(there)
    key = {"Idempotency-Key": secrets.token_hex(8)}
    made = await asyncio.gather(
        *(ground.made(who, "once", **key) for _ in range(5) for who in (first, second))
    )
    assert {answer.status_code for answer in made} == {201}
    assert len({answer.text for answer in made}) == 1
    assert len(operations_of(ground.data, "once")) == 1


async def _the_same_tenant(ground: Ground, here: httpx.AsyncClient, there: httpx.AsyncClient) -> None:
    first, second = await ground.operator(here), await ground.operator(there)
    for number in range(ROUNDS):
        answers = await asyncio.gather(*(ground.made(who, f"race{number}") for who in (first, second)))
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        won = next(answer for answer in answers if answer.status_code == 201).json()
        assert won["state"] == "active"
        keys = [(await http.get(f"{won['issuer']}.well-known/jwks.json")).json() for http in (here, there)]
        assert keys[0] == keys[1]


async def _delete_and_change(ground: Ground, here: httpx.AsyncClient, there: httpx.AsyncClient) -> None:
    """One after the other, in either order, and no mixture of both."""
    first, second = await ground.operator(here), await ground.operator(there)
    for number in range(ROUNDS):
        url = f"{ground.plane}/tenants/race{number}"
        name = f"name {number}"
        deleted, changed = await asyncio.gather(
            first.call("DELETE", url), second.call("PATCH", url, {"display_name": name, "labels": ["x"]})
        )
        assert deleted.status_code == 202, deleted.text
        assert changed.status_code in (200, 409), changed.text
        found = (await second.call("GET", url)).json()
        assert found["state"] == "deleting"
        assert (found["display_name"] == name) == (found["labels"] == ["x"])
        for http in (here, there):
            assert (await http.get(f"{found['issuer']}.well-known/jwks.json")).status_code == 404
        restored = await first.call("POST", f"{url}/restore")
        assert restored.json()["state"] == "active", restored.text
