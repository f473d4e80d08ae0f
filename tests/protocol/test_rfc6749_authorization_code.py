"""RFC 6749 section 4.1.3, RFC 7636 section 4.6, and what RFC 9700 adds: a code is good once, for one client."""

import asyncio
import base64
import hashlib
from typing import Any

import httpx
import pytest

from core import failpoints
from core.ids import digest
from tenant_runtime import models
from tests.protocol.issuer import (
    API,
    CALLBACK,
    OPEN_API,
    VERIFIER,
    Issuers,
    challenge,
    claims_of,
    second_worker,
)

pytestmark = pytest.mark.anyio


async def test_a_code_becomes_tokens(issuers: Issuers) -> None:
    answer = await issuers.acme.redeem(await issuers.acme.code())
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body.keys() == {
        "access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"
    }  # fmt: skip
    assert body["token_type"] == "Bearer"
    assert isinstance(body["expires_in"], int)
    assert await issuers.acme.events() == ["seacft"]


async def test_a_code_is_redeemed_once_however_many_ask_at_once(issuers: Issuers) -> None:
    code = await issuers.acme.code()
    answers = await asyncio.gather(*(issuers.acme.redeem(code) for _ in range(100)))
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    assert {a.json()["error"] for a in answers if a not in good} == {"invalid_grant"}
    late = await issuers.acme.refresh(good[0].json()["refresh_token"])
    assert late.json()["error"] == "invalid_grant"
    assert (await issuers.acme.userinfo(good[0].json()["access_token"])).status_code == 401


async def test_of_a_hundred_on_two_workers_one_succeeds(issuers: Issuers) -> None:
    code = await issuers.acme.code()
    async with second_worker(issuers.acme, issuers.services) as other:
        workers = (issuers.acme, other)
        answers = await asyncio.gather(*(workers[n % 2].redeem(code) for n in range(100)))
        [good] = [answer.json() for answer in answers if answer.status_code == 200]
        for worker in workers:
            assert (await worker.refresh(good["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("usage", "organization_id"), [("deny", "org_north"), ("require", None)], ids=["deny", "require"]
)
async def test_what_the_client_says_of_organizations_counts_at_the_exchange(
    issuers: Issuers, usage: str, organization_id: str | None
) -> None:
    code = await issuers.acme.code(organization_id=organization_id)
    await issuers.acme.change(models.Client, {"client_id": "web"}, organization_usage=usage)
    assert (await issuers.acme.redeem(code)).json()["error"] == "invalid_grant"


async def test_a_code_used_twice_ends_what_the_first_use_was_given(issuers: Issuers) -> None:
    code = await issuers.acme.code(audience=API)
    first = (await issuers.acme.redeem(code)).json()
    assert (await issuers.acme.userinfo(first["access_token"])).status_code == 200
    second = await issuers.acme.redeem(code)
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
    assert (await issuers.acme.userinfo(first["access_token"])).status_code == 401
    assert (await issuers.acme.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert await issuers.acme.events() == ["seacft", "feacft", "fertft"]


@pytest.mark.parametrize("form", [{}, {"client_id": "web"}], ids=["own name", "the other's name"])
async def test_another_client_cannot_redeem_a_code_and_does_not_spoil_it(
    issuers: Issuers, form: dict[str, str]
) -> None:
    code = await issuers.acme.code("web")
    basic = ("web2", issuers.acme.secrets["web2"])
    body = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    body |= {"code_verifier": VERIFIER} | form
    answer = await issuers.acme.http.post("/oauth/token", data=body, auth=basic)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await issuers.acme.redeem(code)).status_code == 200


async def test_another_client_does_not_end_a_family_with_a_used_code(issuers: Issuers) -> None:
    code = await issuers.acme.code("web")
    tokens = (await issuers.acme.redeem(code)).json()
    assert (await issuers.acme.redeem(code, "web2")).json()["error"] == "invalid_grant"
    assert (await issuers.acme.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_code_of_one_tenant_is_nothing_at_another_and_stays_good(issuers: Issuers) -> None:
    issuers.globex.secrets["web"] = issuers.acme.secrets["web"]
    await issuers.globex.add(
        models.ClientSecret,
        id="sec_same",
        client_id="web",
        digest=digest(issuers.acme.secrets["web"]),
        sealed=b"",
    )
    code = await issuers.acme.code()
    assert (await issuers.globex.redeem(code)).json()["error"] == "invalid_grant"
    assert (await issuers.acme.redeem(code)).status_code == 200


async def test_a_code_of_another_issuer_of_the_tenant_is_refused_and_stays(issuers: Issuers) -> None:
    code = await issuers.acme.code(issuer="https://login.acme.example/")
    assert (await issuers.acme.redeem(code)).json()["error"] == "invalid_grant"
    rows = await issuers.acme.rows(models.AuthorizationCode, digest=digest(code))
    assert rows[0].used_at is None


async def test_a_code_has_its_time(issuers: Issuers) -> None:
    code = await issuers.acme.code()
    issuers.clock.time += 60
    assert (await issuers.acme.redeem(code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("sent", "redirect_uri", "is_good"),
    [
        (True, CALLBACK, True),
        (True, f"{CALLBACK}/", False),
        (True, "https://app.example.com/other", False),
        (True, "", False),
        (False, "", True),
        (False, CALLBACK, True),
        (False, "https://app.example.com/other", False),
    ],
)
async def test_the_redirect_uri_is_the_one_of_the_request(
    issuers: Issuers, sent: bool, redirect_uri: str, is_good: bool
) -> None:
    code = await issuers.acme.code(redirect_uri_sent=sent)
    answer = await issuers.acme.redeem(code, redirect_uri=redirect_uri)
    assert (answer.status_code == 200) is is_good
    if not is_good:
        assert answer.json()["error"] == "invalid_grant"


SHORT = "x" * 42
LONG = "x" * 129


@pytest.mark.parametrize(
    ("asked", "verifier"),
    [
        (challenge(VERIFIER), ""),
        (challenge(VERIFIER), "w" * 64),
        (challenge(VERIFIER), challenge(VERIFIER)),
        (None, VERIFIER),
        (challenge(SHORT), SHORT),
        (challenge(LONG), LONG),
        (VERIFIER, VERIFIER),
    ],
    ids=["none", "wrong", "challenge itself", "never asked for", "42", "129", "plain"],
)
async def test_a_verifier_that_does_not_fit_burns_the_code(
    issuers: Issuers, asked: str | None, verifier: str
) -> None:
    code = await issuers.acme.code(code_challenge=asked)
    answer = await issuers.acme.redeem(code, code_verifier=verifier)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await issuers.acme.redeem(code)).json()["error"] == "invalid_grant"


async def test_a_confidential_client_may_have_logged_in_without_pkce(issuers: Issuers) -> None:
    code = await issuers.acme.code(code_challenge=None)
    assert (await issuers.acme.redeem(code, code_verifier="")).status_code == 200


async def test_the_example_of_rfc_7636_appendix_b(issuers: Issuers) -> None:
    code = await issuers.acme.code(code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert (await issuers.acme.redeem(code, code_verifier=verifier)).status_code == 200


async def _block(issuers: Issuers) -> None:
    await issuers.acme.change(models.User, {"user_id": "auth0|ann"}, blocked=True)


async def _change_password(issuers: Issuers) -> None:
    await issuers.acme.change(models.User, {"user_id": "auth0|ann"}, sessions_valid_from=issuers.acme.now_ms)


async def _delete_user(issuers: Issuers) -> None:
    await issuers.acme.remove(models.User, user_id="auth0|ann")


async def _end_session(issuers: Issuers) -> None:
    await issuers.acme.change(models.Session, {"id": "sess_ann"}, ended_at=issuers.acme.now_ms)


async def _remove_member(issuers: Issuers) -> None:
    await issuers.acme.remove(models.Membership, id="mem_north_ann")


async def _suspend_organization(issuers: Issuers) -> None:
    await issuers.acme.change(models.Organization, {"id": "org_north"}, suspended_at=1)


async def _delete_organization(issuers: Issuers) -> None:
    await issuers.acme.remove(models.Organization, id="org_north")


async def _delete_api(issuers: Issuers) -> None:
    await issuers.acme.remove(models.ResourceServer, id="open")


@pytest.mark.parametrize(
    "change",
    [
        _block,
        _change_password,
        _delete_user,
        _end_session,
        _remove_member,
        _suspend_organization,
        _delete_organization,
        _delete_api,
    ],
)
async def test_what_happened_since_the_login_counts_at_the_exchange(issuers: Issuers, change: Any) -> None:
    code = await issuers.acme.code(organization_id="org_north", audience=OPEN_API)
    await change(issuers)
    answer = await issuers.acme.redeem(code)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert await issuers.acme.rows(models.RefreshFamily) == []


@pytest.mark.parametrize(
    "change", [{"scope": "openid"}, {"audience": OPEN_API}], ids=["not asked for", "not allowed by the API"]
)
async def test_without_offline_access_there_is_no_refresh_token(
    issuers: Issuers, change: dict[str, str]
) -> None:
    await issuers.acme.change(models.ResourceServer, {"id": "open"}, allow_offline_access=False)
    tokens = await issuers.acme.tokens(**change)
    assert "refresh_token" not in tokens
    assert await issuers.acme.rows(models.RefreshFamily) == []


async def test_without_openid_there_is_no_id_token(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens(scope="read:invoices", audience=OPEN_API)
    assert "id_token" not in tokens
    assert claims_of(tokens["access_token"])["aud"] == OPEN_API


async def test_the_id_token_tells_of_the_login(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens(nonce="n-0S6", acr="urn:example:2", amr=["pwd", "otp"])
    claims = claims_of(tokens["id_token"])
    assert claims["iss"] == issuers.acme.tenant.issuer
    assert claims["sub"] == "auth0|ann"
    assert claims["aud"] == "web"
    assert claims["nonce"] == "n-0S6"
    assert claims["acr"] == "urn:example:2"
    assert claims["amr"] == ["pwd", "otp"]
    assert claims["sid"] == "sess_ann"
    assert claims["auth_time"] == int(issuers.clock.time) - 1
    assert claims["exp"] > claims["iat"] == int(issuers.clock.time)
    assert claims["at_hash"] == challenge_half(tokens["access_token"])
    assert "org_id" not in claims
    assert "name" not in claims


def challenge_half(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).rstrip(b"=").decode()


async def test_without_a_nonce_the_id_token_has_none(issuers: Issuers) -> None:
    assert "nonce" not in claims_of((await issuers.acme.tokens())["id_token"])


async def test_claims_asked_for_one_by_one_are_in_the_id_token(issuers: Issuers) -> None:
    asked = {"id_token": {"email": None, "address": {"essential": True}, "secret_thing": None, "sub": None}}
    claims = claims_of((await issuers.acme.tokens(claims=asked))["id_token"])
    assert claims["email"] == "ann@example.com"
    assert claims["address"] == {"country": "PT"}
    assert "secret_thing" not in claims
    assert "name" not in claims


async def test_a_code_for_an_organization_names_it_in_every_token(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens(organization_id="org_north", audience=API)
    for token in (tokens["access_token"], tokens["id_token"]):
        claims = claims_of(token)
        assert (claims["org_id"], claims["org_name"]) == ("org_north", "north")


async def test_a_code_is_only_a_code(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens()
    for value in (tokens["refresh_token"], tokens["access_token"], tokens["id_token"], "", "x" * 5000):
        answer = await issuers.acme.token(grant_type="authorization_code", code=value, redirect_uri=CALLBACK)
        assert answer.json()["error"] == ("invalid_grant" if value else "invalid_request")


@pytest.mark.parametrize("kind", ["code", "refresh token"])
async def test_a_commit_that_fails_leaves_what_was_presented_good(issuers: Issuers, kind: str) -> None:
    """Nothing is answered before the commit, so nothing is lost with it."""
    code = await issuers.acme.code()
    token = (await issuers.acme.tokens())["refresh_token"]

    async def present() -> httpx.Response:
        return await (issuers.acme.redeem(code) if kind == "code" else issuers.acme.refresh(token))

    failpoints.configure("database.before_commit=raise")
    try:
        assert (await present()).status_code >= 500
    finally:
        failpoints.configure("")
    assert (await present()).status_code == 200
