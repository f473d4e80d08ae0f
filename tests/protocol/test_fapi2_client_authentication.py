"""FAPI 2.0 Security Profile (final), the client's side: `specs/protocol.md` 2.7, row client authentication."""

import base64
from typing import Any

import httpx
import pytest

from core.crypto.keys import SigningKey
from tenant_runtime import models
from tests.holder import Holder
from tests.protocol.assertions import (
    BOTH,
    FAPI,
    add_key,
    add_mac_client,
    add_sealed_secret,
    add_signing_client,
    assertion,
)
from tests.protocol.issuer import API, CALLBACK, VERIFIER, Issuer, Issuers, header_of

pytestmark = pytest.mark.anyio

KEYS = {alg: SigningKey.generate(alg) for alg in ("RS256", "PS256", "ES256", "EdDSA")}
KEY, OTHER = KEYS["PS256"], SigningKey.generate("ES256")
NOW = 1_800_000_000


@pytest.fixture(autouse=True)
async def _people_may_sign_in(issuers: Issuers) -> None:
    """Who pushes a request names a connection, or the tenant has one."""
    await issuers.acme.add(
        models.Connection,
        id="con_users",
        name="Users",
        strategy="auth0",
        options={},
        enabled_for_all_clients=True,
    )


async def add_fapi_client(issuer: Issuer, *keys: SigningKey, **values: Any) -> None:
    row = {"compliance_level": FAPI, "callbacks": [CALLBACK]} | values
    await add_signing_client(issuer, "bank", *keys, **row)


async def ask(issuer: Issuer, form: dict[str, str], holder: Holder | None = None) -> httpx.Response:
    body = form if "grant_type" in form else {"grant_type": "client_credentials", "audience": API} | form
    holder = holder or Holder(issuer.clock.now)
    return await holder.send(issuer.http, "POST", f"{issuer.tenant.issuer}oauth/token", data=body)


async def push(issuer: Issuer, form: dict[str, str]) -> httpx.Response:
    request = {
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    return await issuer.http.post("/oauth/par", data=request | form)


def outcome(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("error")


REFUSED = (401, "invalid_client")


@pytest.mark.parametrize("alg", ["PS256", "ES256", "EdDSA"])
async def test_a_client_proves_itself_by_an_algorithm_of_the_profile(issuers: Issuers, alg: str) -> None:
    await add_fapi_client(issuers.acme, KEYS[alg])
    answer = await ask(issuers.acme, assertion(issuers.acme, "bank", KEYS[alg]))
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "DPoP"
    pushed = await push(issuers.acme, assertion(issuers.acme, "bank", KEYS[alg]))
    assert pushed.status_code == 201, pushed.text


@pytest.mark.parametrize("alg", ["RS256", "HS256", "none"])
async def test_any_other_algorithm_is_refused(issuers: Issuers, alg: str) -> None:
    key = KEYS["RS256"]
    await add_fapi_client(issuers.acme, key)
    for endpoint in (ask, push):
        if alg == "HS256":
            form = assertion(issuers.acme, "bank", key.public_jwk["n"].encode(), {"kid": key.kid})
        else:
            form = assertion(issuers.acme, "bank", key)
        if alg == "none":
            head, payload, _ = form["client_assertion"].split(".")
            head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
            form["client_assertion"] = f"{head}.{payload}."
        assert outcome(await endpoint(issuers.acme, form)) == REFUSED


@pytest.mark.parametrize(
    "audience",
    [
        ["https://acme.example.com/"],
        ["https://acme.example.com/", "https://globex.example.com/"],
        "https://acme.example.com/oauth/token",
        "https://acme.example.com/oauth/par",
        "https://acme.example.com",
        "https://globex.example.com/",
        "",
    ],
    ids=str,
)
async def test_the_audience_is_the_issuer_as_one_text(issuers: Issuers, audience: Any) -> None:
    await add_fapi_client(issuers.acme, KEY)
    for endpoint in (ask, push):
        form = assertion(issuers.acme, "bank", KEY, aud=audience)
        assert outcome(await endpoint(issuers.acme, form)) == REFUSED
        assert (await endpoint(issuers.acme, assertion(issuers.acme, "bank", KEY))).status_code in (200, 201)


async def test_others_may_name_the_endpoint_where_they_push(issuers: Issuers) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    for audience in ("https://acme.example.com/oauth/par", ["https://acme.example.com/oauth/token"]):
        form = assertion(issuers.acme, "robot", KEY, aud=audience)
        assert (await push(issuers.acme, form)).status_code == 201


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - 300},
        {"exp": NOW + 3600},
        {"sub": None},
        {"sub": "web"},
        {"iss": None},
        {"jti": None},
        {"nbf": NOW + 60},
        {"iat": NOW + 60},
    ],
    ids=str,
)
async def test_an_assertion_that_is_not_whole_or_not_now_is_refused(
    issuers: Issuers, claims: dict[str, Any]
) -> None:
    await add_fapi_client(issuers.acme, KEY)
    for endpoint in (ask, push):
        form = assertion(issuers.acme, "bank", KEY, **claims)
        assert outcome(await endpoint(issuers.acme, form)) == REFUSED


@pytest.mark.parametrize("claims", [{"nbf": NOW + 8}, {"iat": NOW + 8}], ids=str)
async def test_eight_seconds_ahead_are_forgiven(issuers: Issuers, claims: dict[str, Any]) -> None:
    await add_fapi_client(issuers.acme, KEY)
    form = assertion(issuers.acme, "bank", KEY, **claims)
    assert (await ask(issuers.acme, form)).status_code == 200
    assert (await push(issuers.acme, assertion(issuers.acme, "bank", KEY, **claims))).status_code == 201


async def test_a_wrong_client_id_beside_it_or_none_of_it_is_refused(issuers: Issuers) -> None:
    await add_fapi_client(issuers.acme, KEY)
    await add_signing_client(issuers.acme, "robot", OTHER)
    for endpoint in (ask, push):
        for other in ("robot", "web", "nobody"):
            form = assertion(issuers.acme, "bank", KEY) | {"client_id": other}
            assert outcome(await endpoint(issuers.acme, form)) == REFUSED
        assert outcome(await endpoint(issuers.acme, {"client_id": "bank"})) == REFUSED
        assert outcome(await endpoint(issuers.acme, assertion(issuers.acme, "bank", OTHER))) == REFUSED


async def test_an_assertion_counts_once_whichever_endpoint_it_came_to(issuers: Issuers) -> None:
    await add_fapi_client(issuers.acme, KEY)
    form = assertion(issuers.acme, "bank", KEY)
    assert (await push(issuers.acme, form)).status_code == 201
    for endpoint in (push, ask):
        assert outcome(await endpoint(issuers.acme, form)) == REFUSED


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "client_secret_jwt", "none"])
async def test_only_a_key_proves_such_a_client_whatever_its_row_says(issuers: Issuers, method: str) -> None:
    """A row that the Management API would refuse opens nothing."""
    secret = await add_mac_client(
        issuers.acme, "bank", token_endpoint_auth_method=method, compliance_level=FAPI
    )
    await add_key(issuers.acme, "bank", KEY)
    await add_sealed_secret(issuers.acme, "bank")
    basic = base64.b64encode(b"bank:" + secret).decode()
    body = {"grant_type": "client_credentials", "audience": API}
    by_header = await issuers.acme.http.post(
        "/oauth/token", data=body, headers={"Authorization": f"Basic {basic}"}
    )
    assert outcome(by_header) == REFUSED
    for form in (
        {"client_id": "bank", "client_secret": secret.decode()},
        {"client_id": "bank"},
        assertion(issuers.acme, "bank", secret),
        assertion(issuers.acme, "bank", KEY),
    ):
        assert outcome(await ask(issuers.acme, form)) == REFUSED


async def test_such_a_client_has_the_grants_of_the_profile_only(issuers: Issuers) -> None:
    device = "urn:ietf:params:oauth:grant-type:device_code"
    exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
    await add_fapi_client(issuers.acme, KEY, grant_types=[*BOTH, device, exchange])
    for grant_type in (device, exchange):
        form = {
            **assertion(issuers.acme, "bank", KEY),
            "grant_type": grant_type,
            "device_code": "x",
            "subject_token": "x",
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }
        answer = await ask(issuers.acme, form)
        assert outcome(answer) in ((400, "unauthorized_client"), (400, "unsupported_grant_type"))


@pytest.mark.parametrize(
    ("registered", "signed"),
    [(None, "PS256"), ("RS256", "PS256"), ("ES256", "ES256"), ("EdDSA", "EdDSA"), ("PS256", "PS256")],
)
async def test_its_id_tokens_are_never_signed_with_rs256(
    issuers: Issuers, registered: str | None, signed: str
) -> None:
    acme = issuers.acme
    await add_fapi_client(acme, KEY, jwt_configuration={"alg": registered} if registered else {})
    form = {
        "grant_type": "authorization_code",
        "code": await acme.code("bank"),
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    answer = await ask(acme, form | assertion(acme, "bank", KEY))
    assert answer.status_code == 200, answer.text
    assert header_of(answer.json()["id_token"])["alg"] == signed


@pytest.mark.parametrize(("chosen", "rotates"), [({}, False), ({"rotation_type": "rotating"}, True)])
async def test_its_refresh_tokens_belong_to_its_key_and_do_not_rotate_unless_it_says_so(
    issuers: Issuers, chosen: dict[str, str], rotates: bool
) -> None:
    acme, holder = issuers.acme, Holder(issuers.clock.now)
    await add_fapi_client(acme, KEY, OTHER, refresh_token=chosen)
    code = {"grant_type": "authorization_code", "code": await acme.code("bank"), "redirect_uri": CALLBACK}
    code |= {"code_verifier": VERIFIER}
    first = await ask(acme, code | assertion(acme, "bank", KEY), holder)
    assert first.status_code == 200, first.text
    form = {"grant_type": "refresh_token", "refresh_token": first.json()["refresh_token"]}
    stolen = await ask(acme, form | assertion(acme, "bank", KEY), Holder(issuers.clock.now))
    assert stolen.json()["error"] == "invalid_grant"
    second = await ask(acme, form | assertion(acme, "bank", OTHER), holder)
    assert second.status_code == 200, second.text
    assert (second.json().get("refresh_token", form["refresh_token"]) != form["refresh_token"]) is rotates


async def test_a_key_taken_away_ends_the_client_at_once(issuers: Issuers) -> None:
    await add_fapi_client(issuers.acme, KEY)
    assert (await ask(issuers.acme, assertion(issuers.acme, "bank", KEY))).status_code == 200
    await issuers.acme.remove(models.ClientKey, client_id="bank")
    for endpoint in (ask, push):
        assert outcome(await endpoint(issuers.acme, assertion(issuers.acme, "bank", KEY))) == REFUSED
