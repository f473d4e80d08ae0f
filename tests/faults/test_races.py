"""F8: what counts once is sent a hundred times at once, to two processes on one data folder."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.faults.checks import file_of, is_whole, query
from tests.faults.conftest import Ground
from tests.faults.servers import two_serving
from tests.holder import Holder
from tests.keyholders import Keyholder
from tests.relying_party import Answer, RelyingParty

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

EACH = 50
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
ALLOW = ("decision", "allow")
LEEWAY = 20

Both = tuple[httpx.AsyncClient, httpx.AsyncClient]
Form = dict[str, str | None]


def party(ground: Ground, http: httpx.AsyncClient, client: str = "web") -> RelyingParty:
    tenant = ground.demo.tenants[0]
    return RelyingParty(http, tenant.issuer, tenant.clients[client], tenant.api_audience, tenant.users[0])


def manager(ground: Ground, http: httpx.AsyncClient) -> Keyholder:
    return Keyholder(http, ground.demo.tenants[0])


async def at_once(both: Both, send: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> list[Any]:
    """A hundred that wait for one another, so that all are under way before the first is answered."""
    barrier = asyncio.Event()

    async def one(http: httpx.AsyncClient) -> Any:
        await barrier.wait()
        return await send(http)

    tasks = [asyncio.create_task(one(http)) for _ in range(EACH) for http in both]
    await asyncio.sleep(0)
    barrier.set()
    return await asyncio.gather(*tasks)


async def test_f8_of_a_hundred_one_succeeds_and_the_others_are_told_apart(ground: Ground) -> None:
    async with two_serving(ground.data) as (first, second), first.client() as here, second.client() as there:
        both = here, there
        await _a_code(ground, both)
        await _a_refresh_token_without_leeway(ground, both)
        await _a_refresh_token_within_its_leeway(ground, both)
        await _a_device_code(ground, both)
        await _a_proof(ground, both)
    is_whole(ground.data)


async def _a_code(ground: Ground, both: Both) -> None:
    """bad-inputs 56. What the one was given is taken back, its access token too, in both processes."""
    rp = party(ground, both[0])
    form: Form = {
        "grant_type": "authorization_code",
        "code": await rp.code(),
        "redirect_uri": rp.redirect_uri,
        "code_verifier": rp.verifier,
    }
    answers: list[Answer] = await at_once(both, lambda http: party(ground, http).token(form))
    won = _one_won(answers)
    for http in both:
        other = party(ground, http)
        assert (await other.userinfo(won.access_token)).status_code == 401
        assert (await other.refresh(won.refresh_token)).error == "invalid_grant"


async def _a_refresh_token_without_leeway(ground: Ground, both: Both) -> None:
    """bad-inputs 62."""
    rp = party(ground, both[0])
    tokens = await rp.sign_in(prompt="login")
    answers = await at_once(both, lambda http: party(ground, http).refresh(tokens.refresh_token))
    won = _one_won(answers)
    for http in both:
        for token in (tokens, won):
            assert (await party(ground, http).refresh(token.refresh_token)).error == "invalid_grant"
            assert (await party(ground, http).userinfo(token.access_token)).status_code == 401


async def _a_refresh_token_within_its_leeway(ground: Ground, both: Both) -> None:
    """Siblings while the leeway lasts, counted from the first use; afterwards theft."""
    await _set_leeway(ground, both[0], LEEWAY)
    rp = party(ground, both[0])
    tokens = await rp.sign_in(prompt="login")
    begun = time.monotonic()
    answers: list[Answer] = await at_once(
        both, lambda http: party(ground, http).refresh(tokens.refresh_token)
    )
    assert time.monotonic() - begun < LEEWAY, "this machine is too slow for this test"
    assert {answer.status for answer in answers} == {200}
    siblings = {answer.refresh_token for answer in answers}
    assert len(siblings) == 2 * EACH
    statement = (
        "SELECT count(DISTINCT family_id) FROM refresh_tokens WHERE used_at IS NULL AND created_at > ?"
    )
    since = int((time.time() - (time.monotonic() - begun)) * 1000)
    assert query(file_of(ground.data, "acme"), statement, since) == [(1,)], "one family"
    await _set_leeway(ground, both[0], 1)
    await asyncio.sleep(1.1)
    late = await at_once(both, lambda http: party(ground, http).refresh(tokens.refresh_token))
    assert {(answer.status, answer.error) for answer in late} == {(400, "invalid_grant")}
    for http in both:
        assert (await party(ground, http).refresh(siblings.pop())).error == "invalid_grant", "all are ended"
    await _set_leeway(ground, both[0], 0)


async def _set_leeway(ground: Ground, http: httpx.AsyncClient, seconds: int) -> None:
    client = ground.demo.tenants[0].clients["web"].client_id
    policy = {"rotation_type": "rotating", "expiration_type": "expiring", "leeway": seconds}
    body = {"refresh_token": policy}
    changed = await manager(ground, http).call("PATCH", f"/clients/{client}", body)
    assert changed.status_code == 200, changed.text


async def _a_device_code(ground: Ground, both: Both) -> None:
    """Approved in a browser; then the device asks a hundred times."""
    http, tenant = both[0], ground.demo.tenants[0]
    body = {"name": "Screen", "app_type": "native", "grant_types": [DEVICE, "refresh_token"]}
    made = await manager(ground, http).call("POST", "/clients", body)
    assert made.status_code == 201, made.text
    client = {"client_id": made.json()["client_id"]}
    scope = {"scope": "openid offline_access read:invoices", "audience": tenant.api_audience}
    codes = (await http.post(f"{tenant.issuer}oauth/device/code", data={**client, **scope})).json()
    rp = party(ground, http)
    await rp.browser.open(f"{tenant.issuer}activate")
    page = await rp.browser.submit({"user_code": codes["user_code"]})
    if "/activate/confirm" not in str(page.url):
        await rp.log_in()
    await rp.browser.submit(button=ALLOW)
    form = {**client, "grant_type": DEVICE, "device_code": codes["device_code"]}
    answers: list[httpx.Response] = await at_once(
        both, lambda http: http.post(f"{tenant.issuer}oauth/token", data=form)
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 2 * EACH - 1}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    won = next(answer for answer in answers if answer.status_code == 200).json()
    form = {**client, "grant_type": "refresh_token", "refresh_token": won["refresh_token"]}
    for each in both:
        assert (await each.post(f"{tenant.issuer}oauth/token", data=form)).status_code == 400
        assert (await party(ground, each).userinfo(won["access_token"])).status_code == 401


async def _a_proof(ground: Ground, both: Both) -> None:
    """RFC 9449 section 11.1: a proof that is sent to both processes counts in one, and uses up no more than itself."""
    tenant, holder = ground.demo.tenants[0], Holder(time.time)
    machine, url = tenant.clients["m2m"], f"{tenant.issuer}oauth/token"
    form = {
        "grant_type": "client_credentials",
        "client_id": machine.client_id,
        "client_secret": machine.client_secret or "",
        "audience": tenant.management_audience,
    }
    told = await both[0].post(url, data=form, headers={"DPoP": holder.proof("POST", url)})
    holder.nonce = told.headers["dpop-nonce"]
    proof = {"DPoP": holder.proof("POST", url)}
    answers: list[httpx.Response] = await at_once(both, lambda http: http.post(url, data=form, headers=proof))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 2 * EACH - 1}
    refused = {answer.json()["error"] for answer in answers if answer.status_code == 400}
    assert refused == {"invalid_dpop_proof"}


def _one_won(answers: list[Answer]) -> Answer:
    assert Counter(answer.status for answer in answers) == {200: 1, 400: 2 * EACH - 1}
    assert {answer.error for answer in answers if answer.status != 200} == {"invalid_grant"}
    return next(answer for answer in answers if answer.status == 200)
