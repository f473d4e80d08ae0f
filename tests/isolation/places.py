"""Every endpoint and page of the protocol, with parameters that are right but for what they stand for."""

from dataclasses import replace

from entrypoints.demo_content import CALLBACK, SIGNED_OUT
from tenant_runtime.login.forms import form_token
from tests.isolation import kinds
from tests.isolation.odd_requests import JSON, Place
from tests.isolation.sides import API, DEVICE, EXCHANGE, VERIFIER, Side
from tests.mailbox import OTP

STEPS = {
    "u/login/identifier": {"email": "ada@example.com"},
    "u/login/password": {"password": "correct horse battery"},
    "u/signup": {"email": "new@example.com", "password": "short", "name": "New"},
    "u/organization": {"organization": "org_none"},
    "u/consent": {"decision": "maybe"},
    "u/reset-password/request": {"email": "ada@example.com"},
    "u/reset-password": {"password": "short"},
    "u/email-verification": {},
    "u/setup": {"email": "ada@example.com", "password": "short"},
    "u/logout": {"decision": "no"},
    "activate/confirm": {"decision": "deny"},
}
"""Forms of pages, with what a person puts into them."""


async def places_of(side: Side) -> list[Place]:
    return [*_programs(side), *_authorization(side), *await _pages(side), *_registration()]


def _programs(side: Side) -> list[Place]:
    app, server = side.credentials(), side.credentials("server")
    grants = [
        {
            "grant_type": "authorization_code",
            "code": "x",
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        },
        {"grant_type": "refresh_token", "refresh_token": "x", "scope": "openid", "organization": "org_none"},
        {"grant_type": DEVICE, "device_code": "x"},
        {
            "grant_type": OTP,
            "username": "nobody@example.org",
            "otp": "123456",
            "realm": "email",
            "audience": API,
        },
    ]
    exchange = {
        "grant_type": EXCHANGE,
        "subject_token": "a.b.c",
        "subject_token_type": kinds.ACCESS_TOKEN,
        "actor_token": "a.b.c",
        "actor_token_type": kinds.ACCESS_TOKEN,
        "requested_token_type": kinds.ACCESS_TOKEN,
        "audience": API,
        "resource": API,
    }
    assertion = {"client_assertion_type": kinds.ASSERTION, "client_assertion": "a.b.c"}
    users = {"client_id": app["client_id"], "connection": "Username-Password-Authentication"}
    return [
        *(Place("oauth/token", {**app, **grant}, is_json=True) for grant in grants),
        Place("oauth/token", {**server, **exchange}),
        Place("oauth/token", {**server, "grant_type": "client_credentials", "audience": API, "organization": "x"}),
        Place("oauth/token", {**assertion, **grants[0]}),
        Place("oauth/par", {**kinds.request_of(side), "dpop_jkt": "x" * 43}, is_json=True),
        Place("oauth/device/code", {**app, "scope": "openid", "audience": API, "organization": "org_none"}),
        Place("oauth/introspect", {**server, "token": "x", "token_type_hint": "access_token"}),
        Place("oauth/revoke", {**server, "token": "x", "token_type_hint": "refresh_token"}, is_json=True),
        Place("passwordless/start", {**app, "connection": "email", "email": "nobody@example.org", "send": "code"}),
        Place("dbconnections/signup", {**users, "email": "nobody@example.org", "password": "short", "name": "x",
                                       "username": "x", "picture": "https://p.example/x.png"}),
        Place("dbconnections/change_password", {**users, "email": "nobody@example.org"}),
        Place("userinfo", {"access_token": "x"}, method="GET"),
        Place("api/v1/licenses/check", {"feature": "sso", "need": "1"}, method="GET"),
        Place("api/v1/licenses/entitlements", {}, method="GET"),
        Place("userinfo", {"access_token": "x"}),
        *(
            Place(f".well-known/{name}", {"x": "y"}, method="GET")
            for name in ("openid-configuration", "oauth-authorization-server", "jwks.json", "oauth-protected-resource")
        ),
    ]  # fmt: skip


def _authorization(side: Side) -> list[Place]:
    usual = kinds.request_of(side)
    shown = {
        "audience": API, "resource": API, "nonce": "n", "response_mode": "query", "prompt": "none", "max_age": "60",
        "login_hint": "ada@example.com", "ui_locales": "en de", "display": "page", "acr_values": "1", "claims": "{}",
        "organization": "org_none", "connection": "x", "screen_hint": "signup", "id_token_hint": "a.b.c",
        "dpop_jkt": "x" * 43, "code_challenge": usual["code_challenge"],
    }  # fmt: skip
    by_value = {"client_id": side.client_id("signing"), "request": "a.b.c", "redirect_uri": CALLBACK}
    by_reference = {"client_id": side.client_id(), "request_uri": "urn:ietf:params:oauth:request_uri:x"}
    leaving = {
        "id_token_hint": "a.b.c", "client_id": side.client_id(), "post_logout_redirect_uri": SIGNED_OUT, "state": "s",
        "ui_locales": "de", "logout_hint": "x",
    }  # fmt: skip
    return [
        Place("authorize", {**usual, **shown}, method="GET"),
        Place("authorize", usual, method="GET"),
        Place("authorize", usual),
        Place("authorize", by_value, method="GET"),
        Place("authorize", by_reference, method="GET"),
        Place("oidc/logout", leaving, method="GET"),
        Place("oidc/logout", leaving),
        Place(
            "v2/logout",
            {"client_id": side.client_id(), "returnTo": SIGNED_OUT, "federated": "1"},
            method="GET",
        ),
        Place("activate", {"user_code": "BCDF-GHJK"}, method="GET"),
        Place("authorize/resume", {"state": "x"}, method="GET"),
    ]


async def _pages(side: Side) -> list[Place]:
    """As somebody sees them who is about to log in."""
    state, _, binding = (await kinds.login_state(side)).split(" ")
    cookie = {"Cookie": f"{kinds.BROWSER}={binding}"}
    states = {
        "u/reset-password": await kinds.reset_ticket(side),
        "u/email-verification": await kinds.verification_ticket(side),
        "activate/confirm": await kinds.device_state(side, binding),
    }
    found = []
    for path, fields in STEPS.items():
        own = states.get(path, state)
        token = form_token(side.tenant, binding, f"/{path}", own)
        found.append(Place(path, {"state": own, "form_token": token, **fields}, headers=cookie))
        named = "ticket" if path in ("u/reset-password", "u/email-verification") else "state"
        found.append(Place(path, {named: own}, method="GET", headers=cookie))
    token = form_token(side.tenant, binding, "/activate")
    found.append(Place("activate", {"user_code": "BCDF-GHJK", "form_token": token}, headers=cookie))
    return found


def _registration() -> list[Place]:
    """Its JSON is in `REGISTRATION`."""
    said = Place("oidc/register", {"redirect_uris": CALLBACK})
    asked = Place("oidc/register/none", {"x": "y"}, method="GET", headers={"Authorization": "Bearer x"})
    return [said, replace(said, headers={"Content-Type": JSON}), asked, replace(asked, method="PUT")]


REGISTRATION: dict[str, str] = {
    "redirect_uris": f'["{CALLBACK}"]',
    "client_name": '"x"',
    "client_uri": f'"{CALLBACK}"',
    "logo_uri": '"https://x.example/l.png"',
    "tos_uri": '"https://x.example/t"',
    "policy_uri": '"https://x.example/p"',
    "contacts": '["a@x.example"]',
    "scope": '"openid"',
    "grant_types": '["authorization_code"]',
    "response_types": '["code"]',
    "application_type": '"web"',
    "token_endpoint_auth_method": '"client_secret_post"',
    "token_endpoint_auth_signing_alg": '"ES256"',
    "jwks": '{"keys":[]}',
    "jwks_uri": '"https://127.0.0.1/k"',
    "sector_identifier_uri": '"https://127.0.0.1/s"',
    "subject_type": '"public"',
    "id_token_signed_response_alg": '"RS256"',
    "userinfo_signed_response_alg": '"RS256"',
    "request_object_signing_alg": '"ES256"',
    "request_uris": '["https://127.0.0.1/r"]',
    "default_max_age": "60",
    "require_auth_time": "true",
    "default_acr_values": '["1"]',
    "initiate_login_uri": '"https://x.example/i"',
    "post_logout_redirect_uris": f'["{SIGNED_OUT}"]',
    "backchannel_logout_uri": '"https://127.0.0.1/b"',
    "backchannel_logout_session_required": "true",
    "require_pushed_authorization_requests": "true",
    "dpop_bound_access_tokens": "true",
    "software_id": '"x"',
    "software_version": '"1"',
    "software_statement": '"a.b.c"',
    "client_id": '"x"',
    "client_secret": '"x"',
}
"""What a client may say, each as JSON."""
