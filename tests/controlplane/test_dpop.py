"""RFC 9449 on the control plane's host: the platform API, tenant one's own API, and a child's behind `tenant-id`."""

from typing import Any

import httpx
import pytest

from tests.conftest import serving, settings_for
from tests.controlplane.conftest import Platform
from tests.holder import Holder
from tests.installation import Installation

pytestmark = pytest.mark.anyio


@pytest.fixture
def holder(fresh: Platform) -> Holder:
    return Holder(fresh.installation.clock.now)


async def bound_token(installation: Installation, holder: Holder) -> str:
    plane = installation.demo.control_plane
    client = plane.clients["m2m"]
    form = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "audience": plane.management_audience,
    }
    answer = await holder.send(installation.http, "POST", f"{plane.issuer}oauth/token", data=form)
    assert answer.json()["token_type"] == "DPoP", answer.text
    return str(answer.json()["access_token"])


def refused(answer: httpx.Response, code: str) -> bool:
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith(f'DPoP error="{code}", error_description="'), challenge
    assert ', algs="ES256 PS256 EdDSA"' in challenge
    return (answer.status_code, answer.json()["errorCode"]) == (401, code)


async def show(platform: Platform, token: str, url: str, *proofs: str, **options: Any) -> httpx.Response:
    scheme = options.pop("scheme", "DPoP")
    headers = [("authorization", f"{scheme} {token}"), *(("dpop", proof) for proof in proofs)]
    return await platform.installation.http.get(url, headers=[*headers, *options.pop("more", ())])


async def test_the_platform_api_takes_a_bound_token_from_its_holder_once(
    fresh: Platform, holder: Holder
) -> None:
    url = f"{fresh.issuer}api/v2/tenants"
    token = await bound_token(fresh.installation, holder)
    proof = holder.proof("GET", url, token)
    assert (await show(fresh, token, url, proof)).status_code == 200
    assert refused(await show(fresh, token, url, proof), "invalid_dpop_proof")
    assert refused(await show(fresh, token, url), "invalid_dpop_proof")
    assert refused(await show(fresh, token, url, scheme="Bearer"), "invalid_token")
    stranger = Holder(holder.clock, nonce=holder.nonce)
    assert refused(await show(fresh, token, url, stranger.proof("GET", url, token)), "invalid_token")
    unbound = fresh.machine.token
    assert unbound is not None
    assert refused(await show(fresh, unbound, url, holder.proof("GET", url, unbound)), "invalid_token")
    assert (await show(fresh, token, f"{url}?take=1", holder.proof("GET", url, token))).status_code == 200


async def test_the_platform_api_asks_for_a_nonce_and_sends_the_next(fresh: Platform, holder: Holder) -> None:
    url = f"{fresh.issuer}api/v2/tenants"
    token = await bound_token(fresh.installation, holder)
    told = await show(fresh, token, url, holder.proof("GET", url, token, nonce=None))
    assert refused(told, "use_dpop_nonce")
    assert told.headers["dpop-nonce"] == holder.nonce
    fresh.installation.clock.advance(200)
    for path in ("tenants", "roles"):
        there = f"{fresh.issuer}api/v2/{path}"
        answer = await show(fresh, token, there, holder.proof("GET", there, token))
        assert answer.status_code == 200
        assert answer.headers["dpop-nonce"] not in ("", holder.nonce)
    fresh.installation.clock.advance(200)
    assert refused(await show(fresh, token, url, holder.proof("GET", url, token)), "use_dpop_nonce")


async def test_another_process_knows_which_proofs_were_used(fresh: Platform, holder: Holder) -> None:
    url = f"{fresh.issuer}api/v2/tenants"
    token = await bound_token(fresh.installation, holder)
    proof = holder.proof("GET", url, token)
    installation = fresh.installation
    assert (await show(fresh, token, url, proof)).status_code == 200
    async with serving(settings_for(installation.app.settings.data_dir), installation.demo) as second:
        other = Platform(second, fresh.machine)
        assert refused(await show(other, token, url, proof), "invalid_dpop_proof")
        assert (await show(other, token, url, holder.proof("GET", url, token))).status_code == 200


async def test_behind_the_header_a_proof_is_for_the_host_it_was_sent_to(
    fresh: Platform, holder: Holder
) -> None:
    token = await bound_token(fresh.installation, holder)
    child = fresh.installation.demo.tenants[0]
    url, more = f"{fresh.issuer}api/v2/roles", [("tenant-id", child.id)]
    there = Holder(holder.clock, key=holder.key)
    told = await show(fresh, token, url, there.proof("GET", url, token), more=more)
    assert refused(told, "use_dpop_nonce")
    there.nonce = told.headers["dpop-nonce"]
    assert there.nonce != holder.nonce
    proof = there.proof("GET", url, token)
    assert (await show(fresh, token, url, proof, more=more)).status_code == 200
    assert refused(await show(fresh, token, url, proof, more=more), "invalid_dpop_proof")
    assert refused(await show(fresh, token, url, there.proof("GET", url, token)), "use_dpop_nonce")
    elsewhere = there.proof("GET", f"{child.issuer}api/v2/roles", token)
    assert refused(await show(fresh, token, url, elsewhere, more=more), "invalid_dpop_proof")
    directly = there.proof("GET", f"{child.issuer}api/v2/roles", token)
    assert (await show(fresh, token, f"{child.issuer}api/v2/roles", directly)).status_code == 200
