"""A public key that is none, or that is costly: whoever shows it is told so, at once (`specs/bad-inputs.md` 21, 34)."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import monotonic, process_time
from typing import Any

import httpx
import pytest

from entrypoints.demo_content import CALLBACK, Demo
from tests.isolation import kinds
from tests.isolation.odd_keys import KEY_SETS, odd_keys
from tests.isolation.sides import KEY, Side, two_sides
from tests.keyholders import keyholder

pytestmark = pytest.mark.anyio

SECONDS = 2.0
MOST_SECONDS = 0.05
TRIES = 4
Show = Callable[[Any], Awaitable[httpx.Response]]


@pytest.fixture(scope="module")
async def side(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Side]:
    async with two_sides(golden, tmp_path_factory.mktemp("keys")) as sides:
        sides.a.holder.key = KEY.jose
        yield sides.a


async def _in_proofs(side: Side) -> Show:
    nonce = await kinds.nonce(side)

    async def show(jwk: Any) -> httpx.Response:
        url = f"{side.issuer}oauth/token"
        made = side.holder.proof("POST", url, nonce=nonce, header={"jwk": jwk})
        return (await kinds.prove(side, made)).response

    return show


async def _in_credentials(side: Side) -> Show:
    operator = keyholder(side.mail.installation)
    path = f"/clients/{side.client_id('server')}/credentials"
    headers = {"Authorization": f"Bearer {await operator.token()}", "Content-Type": "application/json"}

    async def show(jwk: Any) -> httpx.Response:
        body = json.dumps({"credential_type": "public_key", "jwk": jwk})
        return await side.stranger.post(f"{side.issuer}api/v2{path}", content=body, headers=headers)

    return show


async def _in_registrations(side: Side) -> Show:
    manager = await side.mail.installation.manager(side.tenant.id)
    token = (await manager.post("/client-registration-tokens", {"max_uses": 10_000}))["token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    method = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt"}

    async def show(jwk: Any) -> httpx.Response:
        body = json.dumps({**method, "jwks": {"keys": [jwk]}})
        return await side.stranger.post(f"{side.issuer}oidc/register", content=body, headers=headers)

    return show


@pytest.mark.parametrize("place", [_in_proofs, _in_credentials, _in_registrations])
async def test_an_odd_key_is_the_senders_mistake(
    side: Side, place: Callable[[Side], Awaitable[Show]]
) -> None:
    """As many as fit into the time, others each day, the same all day long."""
    wrong: list[tuple[object, ...]] = []
    show, keys = await place(side), list(odd_keys())
    Random(datetime.now(UTC).toordinal()).shuffle(keys)
    until = monotonic() + SECONDS
    for name, jwk in keys:
        if monotonic() > until:
            break
        answer, seconds = await _timed(show, jwk)
        if seconds > MOST_SECONDS:
            wrong.append((name, seconds))
        if answer.status_code >= 500 or answer.headers["cache-control"] != "no-store":
            wrong.append((name, answer.status_code, answer.text))
    assert wrong == []


async def _timed(show: Show, jwk: Any) -> tuple[httpx.Response, float]:
    """The seconds that the processor took. What is accepted may cost what it costs: the next has to read it."""
    seconds = []
    for _ in range(TRIES):
        began = process_time()
        answer = await show(jwk)
        seconds.append(process_time() - began)
        if answer.is_success:
            return answer, 0.0
        if seconds[-1] < MOST_SECONDS:
            break
    return answer, min(seconds)


@pytest.mark.parametrize("keys", KEY_SETS, ids=[json.dumps(keys)[:20] for keys in KEY_SETS])
async def test_an_odd_key_set_registers_nobody(side: Side, keys: Any) -> None:
    token = await kinds.initial_access_token(side)
    body = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt", "jwks": keys}
    answer = await side.stranger.post(
        f"{side.issuer}oidc/register", json=body, headers={"Authorization": f"Bearer {token}"}
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata"), answer.text
    assert (await kinds.register(side, token)).accepted
