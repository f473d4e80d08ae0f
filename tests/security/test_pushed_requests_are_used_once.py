"""A pushed request (RFC 9126) ends with its first code, in whatever process; nothing of it is at another tenant."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from core.tenants import TenantState
from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

PROCESSES = 2
AT_ONCE = 6


async def push(rp: RelyingParty, **changes: str | None) -> httpx.Response:
    parameters = dict(parse_qsl(urlsplit(rp.authorize_url(**changes)).query))
    secret = {"client_secret": rp.client.client_secret or ""}
    return await rp.http.post(f"{rp.issuer}oauth/par", data=parameters | secret)


async def pushed(rp: RelyingParty, **changes: str | None) -> str:
    answer = await push(rp, **changes)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["request_uri"])


def opening(rp: RelyingParty, request_uri: str) -> str:
    return f"{rp.issuer}authorize?client_id={rp.client.client_id}&request_uri={request_uri}"


@pytest.fixture
async def processes(data_dir: Path, golden: tuple[Path, Demo]) -> AsyncIterator[list[Installation]]:
    settings = settings_for(data_dir)
    async with serving(settings, golden[1]) as one, serving(settings, golden[1]) as other:
        yield [one, other]


async def test_of_arrivals_at_two_processes_at_once_one_gets_a_code(processes: list[Installation]) -> None:
    first, second = (installation.relying_party("acme") for installation in processes)
    await first.sign_in()
    second.http.cookies = first.http.cookies
    request_uri = await pushed(first, prompt="none")
    arrivals = [rp.http.get(opening(rp, request_uri)) for rp in (first, second) for _ in range(AT_ONCE)]
    answers = await asyncio.gather(*arrivals)
    assert sum("code=" in answer.headers.get("location", "") for answer in answers) == 1
    for rp in (first, second):
        late = await rp.http.get(opening(rp, request_uri))
        assert late.status_code == 400
        assert "invalid_request_uri" in late.text


async def test_a_whole_session_begins_with_a_pushed_request(installation: Installation) -> None:
    rp = installation.relying_party("acme")
    await rp.browser.open(opening(rp, await pushed(rp)))
    await rp.log_in()
    tokens = await rp.redeem(rp.landed["code"])
    assert tokens.status == 200, tokens.body
    assert tokens.claims["aud"] == [rp.audience, f"{rp.issuer}userinfo"]


async def test_a_request_that_was_pushed_to_one_tenant_is_nothing_at_another(
    installation: Installation,
) -> None:
    here, there = installation.relying_party("acme"), installation.relying_party("globex")
    request_uri = await pushed(here)
    for client_id in (here.client.client_id, there.client.client_id):
        url = f"{there.issuer}authorize?client_id={client_id}&request_uri={request_uri}"
        answer = await there.http.get(url)
        assert answer.status_code == 400
        assert "location" not in answer.headers
    theirs = await there.http.post(
        f"{there.issuer}oauth/par",
        data={
            **dict(parse_qsl(urlsplit(here.authorize_url()).query)),
            "client_secret": here.client.client_secret,
        },
    )
    assert (theirs.status_code, theirs.json()["error"]) == (401, "invalid_client")
    assert (await here.http.get(opening(here, request_uri))).status_code == 302


async def test_a_suspended_tenant_takes_no_requests(installation: Installation) -> None:
    rp = installation.relying_party("acme")
    request_uri = await pushed(rp)
    operator = await installation.operator()
    await operator.post("/tenants/acme/suspend")
    refused = await push(rp)
    assert (refused.status_code, refused.json()["error"]) == (400, "access_denied")
    opened = await rp.http.get(opening(rp, request_uri))
    assert "error=access_denied" in opened.headers["location"]
    unknown = await rp.http.get(opening(rp, request_uri + "x"))
    assert unknown.status_code == 403
    assert TenantState.SUSPENDED.value in unknown.text
