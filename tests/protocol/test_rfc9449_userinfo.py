"""RFC 9449 section 7 at /userinfo: a token that is bound to a key is its holder's alone."""

from typing import Any

import httpx
import pytest

from tenant_runtime import models
from tests.holder import Holder
from tests.no_proofs import NO_PROOFS_OF_A_TOKEN, Made, Wanted
from tests.protocol.issuer import (
    API,
    CALLBACK,
    OPEN_API,
    SPA_ORIGIN,
    VERIFIER,
    Issuer,
    Issuers,
    second_worker,
)

pytestmark = pytest.mark.anyio

KINDS = pytest.mark.parametrize("code", [{}, {"audience": API}], ids=["opaque", "JWT"])


async def bound_token(issuer: Issuer, holder: Holder, **code: Any) -> str:
    form = {
        "grant_type": "authorization_code",
        "code": await issuer.code("spa", **code),
        "client_id": "spa",
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    answer = await holder.send(issuer.http, "POST", f"{issuer.tenant.issuer}oauth/token", data=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def address(issuer: Issuer) -> str:
    return f"{issuer.tenant.issuer}userinfo"


async def show(issuer: Issuer, token: str, *proofs: str, scheme: str = "DPoP") -> httpx.Response:
    headers = [("authorization", f"{scheme} {token}"), *(("dpop", proof) for proof in proofs)]
    return await issuer.http.get("/userinfo", headers=headers)


async def show_well(issuer: Issuer, holder: Holder, token: str) -> httpx.Response:
    return await show(issuer, token, holder.proof("GET", address(issuer), token))


def refused(answer: httpx.Response, error: str) -> bool:
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith(f'DPoP realm="userinfo", error="{error}", error_description="'), challenge
    assert ', algs="ES256 PS256 EdDSA"' in challenge
    return (answer.status_code, answer.json()["error"]) == (401, error)


@pytest.fixture
def holder(issuers: Issuers) -> Holder:
    return Holder(issuers.clock.now)


@KINDS
async def test_the_holder_is_answered(issuers: Issuers, holder: Holder, code: dict[str, str]) -> None:
    token = await bound_token(issuers.acme, holder, **code)
    answer = await show_well(issuers.acme, holder, token)
    assert (answer.status_code, answer.json()) == (200, {"sub": "auth0|ann"})
    posted = await holder.send(issuers.acme.http, "POST", address(issuers.acme), token)
    assert posted.status_code == 200


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP", "dPoP"])
async def test_the_scheme_may_be_in_any_letters(issuers: Issuers, holder: Holder, scheme: str) -> None:
    token = await bound_token(issuers.acme, holder)
    proof = holder.proof("GET", address(issuers.acme), token)
    assert (await show(issuers.acme, token, proof, scheme=scheme)).status_code == 200


@KINDS
async def test_nobody_else_may_use_it(issuers: Issuers, holder: Holder, code: dict[str, str]) -> None:
    acme, url = issuers.acme, address(issuers.acme)
    token = await bound_token(acme, holder, **code)
    stranger = Holder(issuers.clock.now, nonce=holder.nonce)
    assert refused(await show(acme, token, stranger.proof("GET", url, token)), "invalid_token")
    assert refused(await show(acme, token), "invalid_dpop_proof")
    downgraded = await show(acme, token, holder.proof("GET", url, token), scheme="Bearer")
    assert downgraded.status_code == 401
    assert downgraded.headers["www-authenticate"].startswith('DPoP error="invalid_token"')
    assert (await acme.userinfo(token)).status_code == 401
    in_body = await acme.http.post(
        "/userinfo", data={"access_token": token}, headers={"DPoP": holder.proof("POST", url, token)}
    )
    assert in_body.status_code == 401
    assert (await show_well(acme, holder, token)).status_code == 200


@KINDS
async def test_a_token_without_a_key_is_no_token_of_this_scheme(
    issuers: Issuers, holder: Holder, code: dict[str, str]
) -> None:
    await bound_token(issuers.acme, holder)
    token = (await issuers.acme.tokens(**code))["access_token"]
    assert refused(await show_well(issuers.acme, holder, token), "invalid_token")
    assert (await issuers.acme.userinfo(token)).status_code == 200


@pytest.mark.parametrize("make", NO_PROOFS_OF_A_TOKEN.values(), ids=NO_PROOFS_OF_A_TOKEN.keys())
async def test_what_is_no_proof_is_refused_and_changes_nothing(
    issuers: Issuers, holder: Holder, make: Made
) -> None:
    acme = issuers.acme
    token = await bound_token(acme, holder)
    before = await acme.rows(models.UsedId)
    answer = await show(acme, token, make(holder, Wanted("GET", address(acme), token)))
    assert refused(answer, "invalid_dpop_proof"), answer.text
    assert await acme.rows(models.UsedId) == before
    assert (await show_well(acme, holder, token)).status_code == 200


async def test_two_proofs_are_refused(issuers: Issuers, holder: Holder) -> None:
    token = await bound_token(issuers.acme, holder)
    one, other = (holder.proof("GET", address(issuers.acme), token) for _ in range(2))
    assert refused(await show(issuers.acme, token, one, other), "invalid_dpop_proof")
    assert refused(await show(issuers.acme, token, one, one), "invalid_dpop_proof")
    assert (await show(issuers.acme, token, one)).status_code == 200


@KINDS
async def test_a_proof_counts_once_in_all_processes(
    issuers: Issuers, holder: Holder, code: dict[str, str]
) -> None:
    token = await bound_token(issuers.acme, holder, **code)
    proof = holder.proof("GET", address(issuers.acme), token)
    async with second_worker(issuers.acme, issuers.services) as other:
        assert (await show(issuers.acme, token, proof)).status_code == 200
        assert refused(await show(other, token, proof), "invalid_dpop_proof")
        assert refused(await show(issuers.acme, token, proof), "invalid_dpop_proof")
        assert (await show_well(other, holder, token)).status_code == 200


async def test_a_proof_without_a_good_nonce_is_told_one(issuers: Issuers, holder: Holder) -> None:
    acme, url = issuers.acme, address(issuers.acme)
    token = await bound_token(acme, holder)
    for nonce in (None, "x"):
        answer = await show(acme, token, holder.proof("GET", url, token, nonce=nonce))
        assert refused(answer, "use_dpop_nonce")
        assert answer.headers["dpop-nonce"] == holder.nonce
    issuers.clock.time += 200
    followed = await show_well(acme, holder, token)
    assert followed.status_code == 200
    assert followed.headers["dpop-nonce"] != holder.nonce
    issuers.clock.time += 200
    assert refused(await show_well(acme, holder, token), "use_dpop_nonce")


async def test_another_tenants_nonce_and_proof_are_worth_nothing(issuers: Issuers, holder: Holder) -> None:
    theirs = Holder(issuers.clock.now, key=holder.key)
    foreign = await bound_token(issuers.globex, theirs)
    token = await bound_token(issuers.acme, holder)
    url = address(issuers.acme)
    used = holder.proof("GET", url, token, nonce=theirs.nonce)
    assert refused(await show(issuers.acme, token, used), "use_dpop_nonce")
    moved = theirs.proof("GET", address(issuers.globex), token)
    assert refused(await show(issuers.acme, token, moved), "invalid_dpop_proof")
    shown = await show(issuers.acme, foreign, holder.proof("GET", url, foreign))
    assert refused(shown, "invalid_token")


async def test_a_bound_token_ends_like_any_other(issuers: Issuers, holder: Holder) -> None:
    token = await bound_token(issuers.acme, holder)
    await issuers.acme.revoke(token, "spa")
    assert refused(await show_well(issuers.acme, holder, token), "invalid_token")


async def test_want_of_a_scope_is_told_in_the_same_scheme(issuers: Issuers, holder: Holder) -> None:
    token = await bound_token(issuers.acme, holder, scope="profile")
    answer = await show_well(issuers.acme, holder, token)
    assert answer.status_code == 403
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('DPoP realm="userinfo", error="insufficient_scope"')
    assert 'scope="openid"' in challenge


async def test_a_token_of_the_open_api_is_bound_as_well(issuers: Issuers, holder: Holder) -> None:
    token = await bound_token(issuers.acme, holder, audience=OPEN_API, scope="openid")
    assert (await issuers.acme.userinfo(token)).status_code == 401
    assert (await show_well(issuers.acme, holder, token)).status_code == 200


async def test_a_browser_application_may_read_the_refusal(issuers: Issuers, holder: Holder) -> None:
    token = await bound_token(issuers.acme, holder)
    proof = holder.proof("GET", address(issuers.acme), token, nonce=None)
    headers = {"Origin": SPA_ORIGIN, "Authorization": f"DPoP {token}", "DPoP": proof}
    answer = await issuers.acme.http.get("/userinfo", headers=headers)
    assert refused(answer, "use_dpop_nonce")
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"dpop-nonce", "www-authenticate"} <= set(exposed)


async def test_without_the_scheme_nothing_is_written(issuers: Issuers) -> None:
    token = (await issuers.acme.tokens())["access_token"]
    assert (await issuers.acme.userinfo(token)).status_code == 200
    assert await issuers.acme.rows(models.UsedId) == []


async def test_a_refusal_brings_the_next_nonce_as_well(issuers: Issuers, holder: Holder) -> None:
    acme = issuers.acme
    token = await bound_token(acme, holder)
    assert (await show_well(acme, holder, token)).status_code == 200
    issuers.clock.time += 200
    answer = await show_well(acme, holder, "made-up")
    assert refused(answer, "invalid_token")
    assert answer.headers["dpop-nonce"] != holder.nonce
