"""RFC 9449 section 10, from the authorization request on: a code is its key's alone, asked for openly or pushed."""

import secrets

import httpx
import pytest

from tests.holder import Holder
from tests.installation import Installation
from tests.relying_party import RelyingParty, challenge, payload

pytestmark = pytest.mark.anyio


@pytest.fixture
def holder(shared: Installation) -> Holder:
    return Holder(shared.clock.now)


def credentials(party: RelyingParty) -> dict[str, str]:
    assert party.client.client_secret is not None
    return {"client_id": party.client.client_id, "client_secret": party.client.client_secret}


async def redeem(party: RelyingParty, holder: Holder, code: str) -> httpx.Response:
    form = {
        **credentials(party),
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": party.redirect_uri,
        "code_verifier": party.verifier,
    }
    return await holder.send(party.http, "POST", f"{party.issuer}oauth/token", data=form)


async def push(party: RelyingParty, holder: Holder, **more: str) -> httpx.Response:
    form = {
        **credentials(party),
        "response_type": "code",
        "redirect_uri": party.redirect_uri,
        "scope": "openid offline_access read:invoices",
        "audience": party.audience,
        "state": secrets.token_urlsafe(8),
        "code_challenge": challenge(party.verifier),
        "code_challenge_method": "S256",
        **more,
    }
    return await holder.send(party.http, "POST", f"{party.issuer}oauth/par", data=form)


async def pushed_code(party: RelyingParty, pushed: httpx.Response) -> str:
    assert pushed.status_code == 201, pushed.text
    client_id, uri = party.client.client_id, pushed.json()["request_uri"]
    await party.browser.open(
        str(httpx.URL(f"{party.issuer}authorize", params={"client_id": client_id, "request_uri": uri}))
    )
    if party.browser.landed is None:
        await party.log_in()
    return party.landed["code"]


async def test_a_code_asked_for_with_a_key_is_redeemed_with_it(shared: Installation, holder: Holder) -> None:
    async with shared.browser() as http:
        party = shared.relying_party("acme", http=http)
        code = await party.code(dpop_jkt=holder.jkt)
        unproved = await party.redeem(code)
        assert (unproved.status, unproved.error) == (400, "invalid_grant")
        code = await party.code(dpop_jkt=holder.jkt)
        stranger = await redeem(party, Holder(shared.clock.now), code)
        assert (stranger.status_code, stranger.json()["error"]) == (400, "invalid_grant")
        good = await redeem(party, holder, await party.code(dpop_jkt=holder.jkt))
        assert good.json()["token_type"] == "DPoP"
        assert payload(good.json()["access_token"])["cnf"] == {"jkt": holder.jkt}


@pytest.mark.parametrize("thumbprint", ["short", "x" * 44, "+" * 43])
async def test_a_key_is_named_by_its_thumbprint(shared: Installation, thumbprint: str) -> None:
    async with shared.browser() as http:
        party = shared.relying_party("acme", http=http)
        await party.authorize(dpop_jkt=thumbprint)
        assert party.landed["error"] == "invalid_request"


async def test_a_proof_at_the_push_binds_the_code(shared: Installation, holder: Holder) -> None:
    async with shared.browser() as http:
        party = shared.relying_party("acme", http=http)
        code = await pushed_code(party, await push(party, holder))
        stranger = await redeem(party, Holder(shared.clock.now), code)
        assert (stranger.status_code, stranger.json()["error"]) == (400, "invalid_grant")
        code = await pushed_code(party, await push(party, holder, dpop_jkt=holder.jkt))
        assert (await redeem(party, holder, code)).json()["token_type"] == "DPoP"


async def test_a_push_names_no_other_key_than_its_proof(shared: Installation, holder: Holder) -> None:
    async with shared.browser() as http:
        party = shared.relying_party("acme", http=http)
        answer = await push(party, holder, dpop_jkt=Holder(shared.clock.now).jkt)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
