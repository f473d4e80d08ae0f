"""The Basic OP profile: each module of `oidcc-basic-certification-test-plan`, named as there, as a black-box check.

Written so that the same modules run with `response_mode=form_post` (test_form_post_op.py).
"""

import json

import httpx
import pytest

from tests.conformance.conftest import Module, Suite
from tests.conformance.op import CALLBACK, CALLBACK_WITH_QUERY, Op, shows_login
from tests.conformance.shared_checks import check_claims, check_token_answer, check_token_error
from tests.relying_party import challenge

pytestmark = pytest.mark.anyio

LOGIN_ERRORS = {"login_required", "interaction_required", "account_selection_required"}


async def server(op: Op) -> None:
    """`oidcc-server`: a plain login with openid; userinfo knows the same person."""
    tokens = await op.tokens()
    told = await op.userinfo(tokens["access_token"])
    assert told.status_code == 200
    assert told.json()["sub"] == tokens["id_claims"]["sub"]


async def response_type_missing(op: Op) -> None:
    """`oidcc-response-type-missing`."""
    answer = await op.open(response_type=None)
    if op.page is not None:
        assert answer.status_code >= 400
        return
    assert op.landed()["error"] in ("unsupported_response_type", "invalid_request")


async def idtoken_signature(op: Op) -> None:
    """`oidcc-idtoken-signature`: RS256 where no algorithm is registered, by a key that the header names."""
    await op.id_claims(await op.tokens(), algorithms=("RS256",))


async def idtoken_unsigned(op: Op) -> None:
    """`oidcc-idtoken-unsigned` is skipped by the suite where `none` is not advertised."""
    assert "none" not in op.metadata["id_token_signing_alg_values_supported"]


async def userinfo_get(op: Op) -> None:
    """`oidcc-userinfo-get`."""
    tokens = await op.tokens()
    told = await op.userinfo(tokens["access_token"])
    assert told.headers["content-type"].startswith("application/json")
    assert told.json()["sub"] == tokens["id_claims"]["sub"]


async def userinfo_post_header(op: Op) -> None:
    """`oidcc-userinfo-post-header`."""
    tokens = await op.tokens()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    told = await op.http.post(op.metadata["userinfo_endpoint"], headers=headers)
    assert (told.status_code, told.json()["sub"]) == (200, tokens["id_claims"]["sub"])


async def userinfo_post_body(op: Op) -> None:
    """`oidcc-userinfo-post-body`."""
    tokens = await op.tokens()
    form = {"access_token": tokens["access_token"]}
    told = await op.http.post(op.metadata["userinfo_endpoint"], data=form)
    assert (told.status_code, told.json()["sub"]) == (200, tokens["id_claims"]["sub"])


async def without_nonce(op: Op) -> None:
    """`oidcc-ensure-request-without-nonce-succeeds-for-code-flow`."""
    assert "nonce" not in (await op.tokens(nonce=None))["id_claims"]


async def scopes(op: Op) -> None:
    """`oidcc-scope-profile`, `-email`, `-address`, `-phone`, `-all`: claims come from userinfo, of the right types."""
    wanted = {
        "profile": {"name", "nickname", "updated_at"},
        "email": {"email", "email_verified"},
        "address": set(),
        "phone": set(),
        "profile email address phone": {"name", "email", "email_verified"},
    }
    for scope, expected in wanted.items():
        tokens = await op.tokens(scope=f"openid {scope}")
        told = (await op.userinfo(tokens["access_token"])).json()
        assert expected <= told.keys()
        check_claims(told)
        assert not {"name", "email"} & tokens["id_claims"].keys()


async def alternate_happy_flow(op: Op) -> None:
    """`oidcc-alternate-happy-flow`: scopes and parameters in another order."""
    await op.tokens(scope="email openid profile")
    address = op.address(scope="profile openid")
    path, _, query = address.partition("?")
    await op.browser.open(f"{path}?{'&'.join(reversed(query.split('&')))}")
    body = check_token_answer(await op.redeem(op.landed()["code"]))
    await op.id_claims(body)


async def display(op: Op) -> None:
    """`oidcc-display-page`, `oidcc-display-popup`."""
    for value in ("page", "popup"):
        answer = await op.open(display=value)
        assert answer.status_code == 200
        assert shows_login(op.page)
    await op.log_in()
    assert "code" in op.landed()


async def prompt_login(op: Op) -> None:
    """`oidcc-prompt-login`: the login is shown again, and auth_time moves on."""
    first = await op.tokens()
    await op.advance(2)
    await op.open(prompt="login")
    assert shows_login(op.page)
    await op.log_in()
    body = check_token_answer(await op.redeem(op.landed()["code"]))
    claims = await op.id_claims(body)
    assert claims["auth_time"] > first["id_claims"]["auth_time"]
    assert claims["sub"] == first["id_claims"]["sub"]


async def prompt_none_not_logged_in(op: Op) -> None:
    """`oidcc-prompt-none-not-logged-in`."""
    await op.open(prompt="none")
    answer = op.landed()
    assert answer["error"] in LOGIN_ERRORS
    assert "code" not in answer


async def prompt_none_logged_in(op: Op) -> None:
    """`oidcc-prompt-none-logged-in`: no page, the same person, the same moment."""
    first = await op.tokens()
    await op.advance(2)
    await op.open(prompt="none")
    claims = await op.id_claims(check_token_answer(await op.redeem(op.landed()["code"])))
    for name in ("sub", "auth_time"):
        assert claims[name] == first["id_claims"][name]


async def max_age_1(op: Op) -> None:
    """`oidcc-max-age-1`: a login that is too old is made again."""
    first = await op.tokens()
    await op.advance(2)
    await op.open(max_age="1")
    assert shows_login(op.page)
    await op.log_in()
    claims = await op.id_claims(check_token_answer(await op.redeem(op.landed()["code"])))
    assert claims["auth_time"] > first["id_claims"]["auth_time"]


async def max_age_10000(op: Op) -> None:
    """`oidcc-max-age-10000`: a login that is young enough is not made again."""
    first = await op.tokens(max_age="10000")
    await op.open(max_age="10000")
    assert op.page is None or op.response_mode == "form_post"
    claims = await op.id_claims(check_token_answer(await op.redeem(op.landed()["code"])))
    for name in ("sub", "auth_time"):
        assert claims[name] == first["id_claims"][name]


async def unknown_parameter(op: Op) -> None:
    """`oidcc-ensure-request-with-unknown-parameter-succeeds`."""
    await op.tokens(extra="foobar")


async def id_token_hint(op: Op) -> None:
    """`oidcc-id-token-hint`: the same person, at once."""
    first = await op.tokens()
    await op.open(prompt="none", id_token_hint=first["id_token"])
    claims = await op.id_claims(check_token_answer(await op.redeem(op.landed()["code"])))
    assert claims["sub"] == first["id_claims"]["sub"]


async def login_hint(op: Op) -> None:
    """`oidcc-login-hint`: and it stands in the field."""
    await op.open(login_hint="somebody@example.net")
    assert op.page is not None
    assert "somebody@example.net" in op.page
    await op.log_in()
    assert "code" in op.landed()


async def locales(op: Op) -> None:
    """`oidcc-ui-locales`, `oidcc-claims-locales`."""
    await op.tokens(ui_locales="se", claims_locales="se")


async def acr_values(op: Op) -> None:
    """`oidcc-ensure-request-with-acr-values-succeeds`: what is advertised is what is said."""
    for value in (*op.metadata["acr_values_supported"], "1 2"):
        claims = (await op.tokens(acr_values=value))["id_claims"]
        assert claims["acr"] in op.metadata["acr_values_supported"]


async def codereuse(op: Op) -> None:
    """`oidcc-codereuse`: at once."""
    answer = await op.authorize()
    check_token_answer(await op.redeem(answer["code"]))
    check_token_error(await op.redeem(answer["code"]), "invalid_grant")


async def codereuse_30seconds(op: Op) -> None:
    """`oidcc-codereuse-30seconds`: half a minute later, and the first use's access token dies of it."""
    answer = await op.authorize()
    tokens = check_token_answer(await op.redeem(answer["code"]))
    await op.advance(30)
    check_token_error(await op.redeem(answer["code"]), "invalid_grant")
    assert (await op.userinfo(tokens["access_token"])).status_code == 401


async def registered_redirect_uri(op: Op) -> None:
    """`oidcc-ensure-registered-redirect-uri`: a page, never a redirect."""
    answer = await op.open(redirect_uri="https://rp.example.net/elsewhere")
    assert op.browser.landed is None
    assert answer.status_code >= 400


async def post_request(op: Op) -> None:
    """`oidcc-ensure-post-request-succeeds`: the authorization request by POST."""
    path, _, query = op.address().partition("?")
    answer = await op.http.post(
        path, content=query, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    await op.browser._follow(answer)
    await op.log_in()
    check_token_answer(await op.redeem(op.landed()["code"]))


async def client_secret_post(op: Op) -> None:
    """`oidcc-server-client-secret-post`."""
    await op.tokens(op.clients["post"])


async def unsigned_request_objects(op: Op) -> None:
    """`oidcc-request-uri-unsigned-…`, `oidcc-unsigned-request-object-…`: refused by name, never ignored."""
    unsigned = "eyJhbGciOiJub25lIn0.eyJjbGllbnRfaWQiOiJ4In0."
    for changes in ({"request": unsigned}, {"request_uri": "https://rp.example.net/request.jwt"}):
        answer: httpx.Response = await op.open(**changes)
        if op.page is not None:
            assert answer.status_code >= 400
            continue
        assert op.landed()["error"] in (
            "request_not_supported",
            "request_uri_not_supported",
            "invalid_request_object",
            "invalid_request_uri",
            "invalid_request",
        )


async def claims_essential(op: Op) -> None:
    """`oidcc-claims-essential`."""
    tokens = await op.tokens(claims=json.dumps({"userinfo": {"name": {"essential": True}}}))
    assert (await op.userinfo(tokens["access_token"])).json()["name"]


async def request_object_with_redirect_uri(op: Op) -> None:
    """`oidcc-ensure-request-object-with-redirect-uri`: an unsigned one decides nothing."""
    answer = await op.open(
        op.clients["two_addresses"], request="eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJ4In0."
    )
    assert op.page is None or answer.status_code >= 400
    if op.page is None:
        assert "code" not in op.landed()


async def refresh_token(op: Op) -> None:
    """`oidcc-refresh-token`: it works, for its client alone, and says what the first tokens said."""
    tokens = await op.tokens(scope="openid offline_access")
    check_token_error(await op.refresh(tokens["refresh_token"], op.clients["second"]), "invalid_grant")
    again = check_token_answer(await op.refresh(tokens["refresh_token"]))
    op.nonce = None
    claims = await op.id_claims(again)
    for name in ("iss", "sub", "aud", "auth_time"):
        assert claims[name] == tokens["id_claims"][name]
    assert "refresh_token" in op.metadata["grant_types_supported"]


async def valid_pkce(op: Op) -> None:
    """`oidcc-ensure-request-with-valid-pkce-succeeds`."""
    verifier = "v" * 64
    answer = await op.authorize(code_challenge=challenge(verifier), code_challenge_method="S256")
    check_token_answer(await op.redeem(answer["code"], code_verifier=verifier))


async def query_of_the_address(op: Op) -> None:
    """`oidcc-redirect-uri-query-OK`, `-mismatch`, `-added`: whole and exact."""
    two = op.clients["two_addresses"]
    await op.open(two, redirect_uri=CALLBACK_WITH_QUERY)
    await op.log_in()
    assert "code" in op.landed()
    for address in (f"{CALLBACK}?foo=baz", f"{CALLBACK_WITH_QUERY}&a=b", None):
        answer = await op.open(two, redirect_uri=address)
        assert op.browser.landed is None
        assert answer.status_code >= 400


MODULES = (
    server, response_type_missing, idtoken_signature, idtoken_unsigned, userinfo_get, userinfo_post_header,
    userinfo_post_body, without_nonce, scopes, alternate_happy_flow, display, prompt_login,
    prompt_none_not_logged_in, prompt_none_logged_in, max_age_1, max_age_10000, unknown_parameter, id_token_hint,
    login_hint, locales, acr_values, codereuse, codereuse_30seconds, registered_redirect_uri, post_request,
    client_secret_post, unsigned_request_objects, claims_essential, request_object_with_redirect_uri,
    refresh_token, valid_pkce, query_of_the_address,
)  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
async def test_basic(suite: Suite, module: Module) -> None:
    await suite.run(module)
