"""FAPI 2.0 Security Profile (final), private_key_jwt and DPoP: the groups of the plan, against all tenants at once."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc.jwk import OKPKey, RSAKey

from entrypoints.browser import forms_of
from tests.conformance.conftest import PROFILE, Suite, twins
from tests.conformance.fapi_op import FapiOp, Holder, full_hash, new_key
from tests.conformance.op import Op
from tests.conformance.shared_checks import check_token_answer, check_token_error, entropy
from tests.relying_party import payload

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:EdDSA is deprecated")]

Check = Callable[[FapiOp], Awaitable[None]]
KEYS = {"fapi": new_key("fapi-key"), "fapi_two": new_key("fapi-two-key")}
STRANGER = new_key("fapi-key")


@pytest.fixture(scope="module")
async def fapi(suite: Suite) -> Suite:
    body = {
        **PROFILE,
        "token_endpoint_auth_method": "private_key_jwt",
        "require_pkce": True,
        "compliance_level": "fapi2_sp_pkj_dpop",
    }
    bodies = {name: {**body, "jwks": {"keys": [key.as_dict(private=False)]}} for name, key in KEYS.items()}
    made = await twins(suite.installation, bodies)
    for tenant_id, clients in made.items():
        for name, client in clients.items():
            suite.add(tenant_id, name, replace(client, key=KEYS[name]))
    return suite


def module(check: Check) -> Check:
    MODULES.append(check)
    return check


MODULES: list[Check] = []


@module
async def discovery(f: FapiOp) -> None:
    """`discovery-end-point-verification`."""
    document = f.op.metadata
    assert document["pushed_authorization_request_endpoint"].startswith("https://")
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["response_types_supported"] == ["code"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert isinstance(document["require_pushed_authorization_requests"], bool)
    assert "private_key_jwt" in document["token_endpoint_auth_methods_supported"]
    assert {"PS256", "ES256", "EdDSA"} <= set(document["token_endpoint_auth_signing_alg_values_supported"])
    assert set(document["dpop_signing_alg_values_supported"]) == {"PS256", "ES256", "EdDSA"}


@module
async def happy_flow(f: FapiOp) -> None:
    """`happy-flow`, and with the second client."""
    tokens = await f.tokens()
    told = await f.userinfo(tokens["access_token"])
    assert (told.status_code, told.json()["sub"]) == (200, tokens["id_claims"]["sub"])
    two = FapiOp(f.op, Holder())
    code = await two.code(f.other)
    check_token_answer(await two.redeem(code, f.other))


@module
async def user_rejects_authentication(f: FapiOp) -> None:
    """`user-rejects-authentication`."""
    await f.open(await f.pushed())
    page = f.op.browser.response
    assert page is not None
    index, button = next(
        (place, button)
        for place, form in enumerate(forms_of(page.text))
        for button in form.buttons
        if button[1] == "cancel"
    )
    await f.op.browser.submit(form=index, button=button)
    assert f.op.landed()["error"] == "access_denied"


@module
async def without_state_or_nonce(f: FapiOp) -> None:
    """`ensure-request-object-without-state-success`, `-without-nonce-success`."""
    for changes in ({"state": None}, {"nonce": None}):
        check_token_answer(await f.redeem(await f.code(**changes)))


@module
async def long_state_and_nonce(f: FapiOp) -> None:
    """`state-only-64-characters`, long ones: whole, or refused at once."""
    for length in (64, 384, 1000):
        text = "s" * length
        code = await f.code(state=text, nonce=text)
        body = check_token_answer(await f.redeem(code))
        assert payload(body["id_token"])["nonce"] == text


@module
async def scope_order_and_claims(f: FapiOp) -> None:
    """`ensure-different-nonce-inside-and-outside-…` do not apply; scopes in any order, the claims parameter."""
    code = await f.code(scope="offline_access openid", claims=json.dumps({"userinfo": {"name": None}}))
    body = check_token_answer(await f.redeem(code))
    assert (await f.userinfo(body["access_token"])).json()["name"]


@module
async def scheme_names_in_any_letter_case(f: FapiOp) -> None:
    tokens = await f.tokens()
    for scheme in ("DPoP", "dpop", "DPOP"):
        assert (await f.userinfo(tokens["access_token"], scheme=scheme)).status_code == 200


@module
async def plain_requests_are_refused(f: FapiOp) -> None:
    """`ensure-unsigned-authorization-request-without-using-par-fails`."""
    asked = {**f.request(), "client_id": f.client.client_id}
    answer = await f.op.browser.open(f"{f.op.metadata['authorization_endpoint']}?{urlencode(asked)}")
    if f.op.page is not None:
        assert answer.status_code >= 400
    else:
        assert f.op.landed()["error"] == "invalid_request"


@module
async def pkce_is_required(f: FapiOp) -> None:
    """`par-ensure-pkce-required`, `par-plain-pkce-rejected`, `par-ensure-pkce-code-verifier-required`."""
    for changes in (
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": "v" * 64, "code_challenge_method": "plain"},
        {"code_challenge_method": None},
    ):
        answer = await f.push(**changes)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    for verifier in (None, "w" * 64):
        check_token_error(await f.redeem(await f.code(), code_verifier=verifier), "invalid_grant")


@module
async def request_uris(f: FapiOp) -> None:
    """One client's, for its time, once a login is completed no more, and usable twice before."""
    request_uri = await f.pushed()
    assert entropy(request_uri.rpartition(":")[2]) >= 128
    for _ in range(2):
        assert (await f.open(request_uri)).status_code == 200
    await f.op.log_in()
    assert "code" in f.op.landed()
    for refused in (await f.open(request_uri), await f.open(await f.pushed(), f.other)):
        assert f.op.browser.landed is None
        assert refused.status_code == 400
    late = await f.pushed()
    await f.op.advance(700)
    assert (await f.open(late)).status_code == 400


@module
async def request_uri_inside_par(f: FapiOp) -> None:
    """`par-authorization-request-containing-request_uri`; other methods; the address."""
    answer = await f.push(request_uri=await f.pushed())
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    address = f.op.metadata["pushed_authorization_request_endpoint"]
    for method in ("GET", "PUT", "DELETE"):
        assert (await f.op.http.request(method, address)).status_code == 405
    assert (await f.push(redirect_uri=None)).status_code == 400
    assert (await f.push(redirect_uri="https://rp.example.net/nowhere")).status_code == 400


@module
async def response_types(f: FapiOp) -> None:
    """`ensure-response-type-code-idtoken-fails`, `-token-fails`."""
    for value in ("code id_token", "token", None):
        assert (await f.push(response_type=value)).status_code == 400


@module
async def client_authentication(f: FapiOp) -> None:
    """The group of client assertions, at the token endpoint and at PAR."""
    now = int(f.now())
    rsa = RSAKey.generate_key(2048, {"kid": "fapi-key"})
    refused: list[dict[str, Any]] = [
        {"key": rsa, "alg": "RS256"},
        {"key": STRANGER},
        {"exp": now - 300},
        {"aud": "https://elsewhere.example.net/"},
        {"aud": [f.op.issuer]},
        {"aud": f.op.metadata["token_endpoint"]},
        {"aud": f.op.metadata["pushed_authorization_request_endpoint"]},
        {"sub": None},
        {"sub": f.other.client_id},
        {"nbf": now + 60},
        {"iat": now + 60},
        {"exp": None},
        {"jti": None},
    ]
    for changes in refused:
        answer = await f.push(assertion=changes)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), changes
    for changes in ({"nbf": now + 8}, {"iat": now + 8}):
        assert (await f.push(assertion=changes)).status_code == 201
    form = {**f.request(), "client_id": f.client.client_id}
    answer = await f.op.http.post(f.op.metadata["pushed_authorization_request_endpoint"], data=form)
    assert answer.status_code in (400, 401)
    wrong = {**f.request(), **f.authentication(), "client_id": f.other.client_id}
    answer = await f.op.http.post(f.op.metadata["pushed_authorization_request_endpoint"], data=wrong)
    assert answer.status_code in (400, 401)
    same = f.authentication()
    address = f.op.metadata["pushed_authorization_request_endpoint"]
    assert (await f.op.http.post(address, data={**f.request(), **same})).status_code == 201
    assert (await f.op.http.post(address, data={**f.request(), **same})).status_code == 401


@module
async def codes(f: FapiOp) -> None:
    """Bound to the client; second use; first use after a minute."""
    check_token_error(await f.redeem(await f.code(), f.other), "invalid_grant")
    code = await f.code()
    tokens = check_token_answer(await f.redeem(code))
    await f.op.advance(1)
    check_token_error(await f.redeem(code), "invalid_grant")
    assert (await f.userinfo(tokens["access_token"])).status_code == 401
    code = await f.code()
    await f.op.advance(61)
    check_token_error(await f.redeem(code), "invalid_grant")


@module
async def holder_of_key_is_required(f: FapiOp) -> None:
    check_token_error(await f.redeem(await f.code(), proof=False))


@module
async def dpop_jkt(f: FapiOp) -> None:
    """A code that was asked for by one key is redeemed by that key."""
    code = await f.code(dpop_jkt=f.holder.jkt)
    check_token_answer(await f.redeem(code))
    code = await f.code(dpop_jkt=f.holder.jkt)
    check_token_error(await f.redeem(code, holder=Holder()), "invalid_grant", "invalid_dpop_proof")
    form = {**f.request(dpop_jkt=Holder().jkt), **f.authentication()}
    assert (await f.post(f.op.metadata["pushed_authorization_request_endpoint"], form)).status_code == 400


@module
async def proofs_at_a_resource(f: FapiOp) -> None:
    """The negative list of DPoP; a good proof works before, between and afterwards."""
    token = (await f.tokens())["access_token"]
    assert (await f.userinfo(token)).status_code == 200
    now = int(f.now())
    address = f.op.metadata["userinfo_endpoint"]
    private = f.holder.key.as_dict(private=True)
    stranger = Holder(nonce=f.holder.nonce)
    weak = Holder(RSAKey.generate_key(2048), "RS256", f.holder.nonce)
    good = f.good_proof(token)
    header, body, signature = good.split(".")
    bad: dict[str, list[str]] = {
        "two": [f.good_proof(token), f.good_proof(token)],
        "malformed": ["abc"],
        "no typ": [f.good_proof(token, header={"typ": None})],
        "wrong typ": [f.good_proof(token, header={"typ": "JWT"})],
        "no jwk": [f.good_proof(token, header={"jwk": None})],
        "private": [f.good_proof(token, header={"jwk": private})],
        "RS256": [weak.proof("GET", address, now=now, token=token)],
        "none": [f"eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6Im5vbmUifQ.{body}."],
        "signature": [f"{header}.{body}.{signature[:-8]}AAAAAAAA"],
        **{
            f"no {name}": [f.good_proof(token, **{name: None})]
            for name in ("jti", "htm", "htu", "iat", "ath")
        },
        "method": [f.good_proof(token, htm="POST")],
        "address": [f.good_proof(token, htu=f"{f.op.issuer}oauth/token")],
        "old": [f.good_proof(token, iat=now - 3600)],
        "ahead": [f.good_proof(token, iat=now + 3600)],
        "ath": [f.good_proof(token, ath=full_hash("another"))],
        "key": [stranger.proof("GET", address, now=now, token=token)],
        "nothing": [],
    }
    for name, proofs in bad.items():
        answer = await f.userinfo(token, proofs=proofs)
        assert answer.status_code in (400, 401), name
        assert "www-authenticate" in answer.headers, name
    assert (await f.userinfo(token, proofs=[good])).status_code == 200
    assert (await f.userinfo(token, proofs=[good])).status_code == 401, "the same jti twice"
    assert (await f.op.userinfo(token)).status_code == 401, "downgrade to Bearer"


@module
async def proofs_that_are_good(f: FapiOp) -> None:
    """Ten seconds either way; query, fragment, letter case of the host, default port, more claims."""
    token = (await f.tokens())["access_token"]
    await f.userinfo(token)
    now = int(f.now())
    address = f.op.metadata["userinfo_endpoint"]
    host = address.split("/")[2]
    for proof in (
        f.good_proof(token, iat=now - 10),
        f.good_proof(token, iat=now + 10),
        f.good_proof(token, htu=f"{address}?a=b#c"),
        f.good_proof(token, htu=address.replace(host, host.upper()).replace("https", "HTTPS")),
        f.good_proof(token, htu=address.replace(host, f"{host}:443")),
        f.good_proof(token, more="claims"),
    ):
        assert (await f.userinfo(token, proofs=[proof])).status_code == 200
    for key, alg in ((RSAKey.generate_key(2048), "PS256"), (OKPKey.generate_key("Ed25519"), "EdDSA")):
        other = FapiOp(f.op, Holder(key, alg))
        body = check_token_answer(await other.redeem(await other.code()))
        assert (await other.userinfo(body["access_token"])).status_code == 200


@module
async def refresh_tokens(f: FapiOp) -> None:
    """Bound to the client, to the authentication and to the proof's key."""
    tokens = await f.tokens()
    token = tokens["refresh_token"]
    check_token_error(await f.refresh(token, f.other), "invalid_grant")
    check_token_error(await f.refresh(token, holder=Holder()), "invalid_grant", "invalid_dpop_proof")
    plain = {"grant_type": "refresh_token", "refresh_token": token, "client_id": f.client.client_id}
    assert (await f.post(f.op.metadata["token_endpoint"], plain)).status_code in (400, 401)
    again = check_token_answer(await f.refresh(token))
    assert payload(again["id_token"])["sub"] == tokens["id_claims"]["sub"]
    assert (await f.userinfo(again["access_token"])).status_code == 200


@pytest.mark.parametrize("check", MODULES, ids=lambda check: check.__name__)
async def test_fapi2(fapi: Suite, check: Check) -> None:
    async def run(op: Op) -> None:
        await check(FapiOp(op))

    await fapi.run(run)


async def test_nothing_of_one_tenant_is_good_at_the_other(fapi: Suite) -> None:
    """Same client id, same key: assertion, pushed request, code, token, nonce and proof stay where they were made."""
    made: dict[str, tuple[FapiOp, dict[str, Any], str, str]] = {}

    async def make(op: Op) -> None:
        f = FapiOp(op)
        made[op.issuer] = (f, await f.tokens(), await f.code(), await f.pushed())

    async def use(op: Op) -> None:
        _, tokens, code, request_uri = next(value for issuer, value in made.items() if issuer != op.issuer)
        foreign = next(issuer for issuer in made if issuer != op.issuer)
        f = FapiOp(op)
        assert (await f.open(request_uri)).status_code == 400
        check_token_error(await f.redeem(code), "invalid_grant")
        check_token_error(await f.refresh(tokens["refresh_token"]), "invalid_grant")
        assert (await f.userinfo(tokens["access_token"])).status_code == 401
        assert (await f.push(assertion={"aud": foreign})).status_code == 401

    await fapi.run(make)
    await fapi.run(use)
