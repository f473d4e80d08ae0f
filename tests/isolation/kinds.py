"""Everything that a tenant makes for somebody to bring back, how it is made, and where it is brought back to."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from core.crypto import jwt
from entrypoints.browser import Browser, Form, forms_of, origin_of
from entrypoints.demo_content import CALLBACK
from tenant_runtime.login.forms import form_token
from tests.isolation.sides import API, DEVICE, EXCHANGE, KEY, VERIFIER, Side
from tests.mailbox import OTP, code_in, link_in
from tests.operators import machine_token
from tests.relying_party import challenge

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
BROWSER, SESSION = "keystead_login", "keystead_session"


@dataclass(frozen=True)
class Outcome:
    """Whether what was brought was taken for what it should be."""

    accepted: bool
    response: httpx.Response


Make = Callable[[Side], Awaitable[str]]
Use = Callable[[Side, str], Awaitable[Outcome]]


# --- Made --------------------------------------------------------------------------------------------------


async def fresh_tokens(side: Side, client: str = "app", **changes: str | None) -> dict[str, Any]:
    """Of a sign-in in a browser of its own."""
    async with side.mail.installation.browser() as http:
        answer = await side.party(client, http).sign_in(**changes)
        return answer.body


async def code(side: Side) -> str:
    async with side.mail.installation.browser() as http:
        return await side.party(http=http).code()


async def refresh_token(side: Side) -> str:
    return str((await fresh_tokens(side))["refresh_token"])


async def servers_refresh_token(side: Side) -> str:
    """Of the client that may introspect."""
    return str((await fresh_tokens(side, "server"))["refresh_token"])


async def access_token(side: Side) -> str:
    return str((await fresh_tokens(side, "server"))["access_token"])


async def opaque_token(side: Side) -> str:
    token = str((await fresh_tokens(side, "server", audience=None))["access_token"])
    assert "." not in token
    return token


async def management_token(side: Side) -> str:
    tenant = side.mail.tenant(side.tenant.id)
    return await machine_token(side.mail.http, side.issuer, tenant.clients["m2m"], tenant.management_audience)


async def id_token(side: Side) -> str:
    return str((await fresh_tokens(side))["id_token"])


async def device(side: Side) -> dict[str, str]:
    answer = await side.post("oauth/device/code", {**side.credentials(), "scope": "openid", "audience": API})
    assert answer.status_code == 200, answer.text
    made: dict[str, str] = answer.json()
    return made


async def user_code(side: Side) -> str:
    return (await device(side))["user_code"]


async def device_code(side: Side) -> str:
    """Of a device that somebody has approved."""
    made = await device(side)
    await side.sign_in()
    browser = Browser(side.http, stops=())
    await browser.open(f"{side.issuer}activate")
    await browser.submit({"user_code": made["user_code"]})
    page = await browser.submit(button=("decision", "allow"))
    assert page.status_code == 200, page.text
    return made["device_code"]


async def device_state(side: Side, binding: str) -> str:
    """Of the browser with this secret, which has entered the code of a device."""
    made = await device(side)
    data = {"user_code": made["user_code"], "form_token": form_token(side.tenant, binding, "/activate")}
    answer = await side.post("activate", data, Cookie=f"{BROWSER}={binding}")
    return parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]


def request_of(side: Side, client: str = "app") -> dict[str, str]:
    return {
        "client_id": side.client_id(client),
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": secrets.token_urlsafe(8),
        "code_challenge": challenge(VERIFIER),
        "code_challenge_method": "S256",
    }


async def request_uri(side: Side) -> str:
    answer = await side.post("oauth/par", request_of(side))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["request_uri"])


async def request_object(side: Side) -> str:
    now = int(side.mail.installation.clock.now())
    names = {"iss": side.client_id("signing"), "aud": side.issuer, "iat": now, "exp": now + 300}
    return jwt.sign({**request_of(side, "signing"), **names}, KEY, typ="oauth-authz-req+jwt")


LETTERS = "letters@twin.example"


async def login_code(side: Side) -> str:
    side.mail.begin_a_window()
    body = {**side.credentials(), "connection": "email", "email": LETTERS, "send": "code"}
    answer = await side.stranger.post(f"{side.issuer}passwordless/start", json=body)
    assert answer.status_code == 200, answer.text
    return code_in((await side.mail.settle(side.tenant.id))[-1])


async def reset_ticket(side: Side) -> str:
    side.mail.begin_a_window()
    body = {
        "client_id": side.client_id(),
        "email": side.user.email,
        "connection": "Username-Password-Authentication",
    }
    answer = await side.stranger.post(f"{side.issuer}dbconnections/change_password", json=body)
    assert answer.status_code == 200, answer.text
    return parse_qs(urlsplit(link_in((await side.mail.settle(side.tenant.id))[-1])).query)["ticket"][0]


async def verification_ticket(side: Side) -> str:
    manager = await side.mail.installation.manager(side.tenant.id)
    [user] = await manager.get("/users-by-email", email=side.user.email)
    made = await manager.post("/tickets/email-verification", {"user_id": user["user_id"]})
    return parse_qs(urlsplit(made["ticket"]).query)["ticket"][0]


async def initial_access_token(side: Side) -> str:
    manager = await side.mail.installation.manager(side.tenant.id)
    return str((await manager.post("/client-registration-tokens", {"max_uses": 1}))["token"])


async def registered(side: Side) -> dict[str, str]:
    answer = await _register(side, await initial_access_token(side))
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


async def registration_token(side: Side) -> str:
    """With the client's id before it: it is good for that one's address."""
    made = await registered(side)
    return f"{made['client_id']} {made['registration_access_token']}"


async def login_page(side: Side) -> tuple[Form, str]:
    """The form of somebody who is asked who they are, and the secret that their browser keeps."""
    async with side.mail.installation.browser() as http:
        party = side.party(http=http)
        page = await party.authorize()
        return forms_of(page.text)[0], str(http.cookies[BROWSER])


async def login_state(side: Side) -> str:
    """With what belongs to it: the form's token, and the secret of the browser."""
    form, binding = await login_page(side)
    return f"{form.fields['state']} {form.fields['form_token']} {binding}"


async def session(side: Side) -> str:
    async with side.mail.installation.browser() as http:
        await side.party(http=http).sign_in()
        return str(http.cookies[SESSION])


async def nonce(side: Side) -> str:
    answer = await _proved(side, side.holder.proof("POST", f"{side.issuer}oauth/token", nonce=None))
    assert answer.json()["error"] == "use_dpop_nonce"
    return str(answer.headers["dpop-nonce"])


async def proof(side: Side) -> str:
    return side.holder.proof("POST", f"{side.issuer}oauth/token", nonce=await nonce(side))


async def client_assertion(side: Side) -> str:
    now, client_id = int(side.mail.installation.clock.now()), side.client_id("signing")
    claims = {"iss": client_id, "sub": client_id, "aud": side.issuer, "jti": secrets.token_urlsafe(12)}
    return jwt.sign({**claims, "iat": now, "exp": now + 60}, KEY, typ="JWT")


async def logout_token(side: Side) -> str:
    """As the client's server received it."""
    before = len(side.receiver.sent)
    async with side.mail.installation.browser() as http:
        party = side.party(http=http)
        tokens = await party.sign_in()
        await http.get(f"{side.issuer}oidc/logout", params={"id_token_hint": tokens.body["id_token"]})
    await side.mail.settle(side.tenant.id)
    sent = (await side.receiver.arrivals(before + 1))[-1]
    return sent.form["logout_token"][0]


# --- Brought back ------------------------------------------------------------------------------------------


async def _token(side: Side, grant_type: str, client: str = "app", **form: str) -> Outcome:
    answer = await side.post("oauth/token", {"grant_type": grant_type, **side.credentials(client), **form})
    return Outcome("access_token" in answer.text, answer)


async def redeem(side: Side, value: str) -> Outcome:
    return await _token(side, "authorization_code", code=value, redirect_uri=CALLBACK, code_verifier=VERIFIER)


async def refresh(side: Side, value: str) -> Outcome:
    return await _token(side, "refresh_token", refresh_token=value)


async def poll(side: Side, value: str) -> Outcome:
    return await _token(side, DEVICE, device_code=value)


async def redeem_otp(side: Side, value: str) -> Outcome:
    return await _token(side, OTP, username=LETTERS, otp=value, realm="email")


async def exchange(side: Side, value: str, **changes: str) -> Outcome:
    given = {"subject_token": value, "subject_token_type": ACCESS_TOKEN, "audience": API} | changes
    return await _token(side, EXCHANGE, "server", **given)


async def enter_user_code(side: Side, value: str) -> Outcome:
    async with side.mail.installation.browser() as http:
        page = await http.get(f"{side.issuer}activate")
        fields = forms_of(page.text)[0].fields
        answer = await http.post(f"{side.issuer}activate", data={**fields, "user_code": value})
    return Outcome(answer.status_code == 303, answer)


async def authorize_pushed(side: Side, value: str) -> Outcome:
    return await _authorize(side, request_uri=value, client_id=side.client_id())


async def authorize_signed(side: Side, value: str) -> Outcome:
    return await _authorize(side, request=value, client_id=side.client_id("signing"))


async def _authorize(side: Side, **parameters: str) -> Outcome:
    answer = await side.get("authorize", parameters)
    return Outcome(answer.headers.get("location", "").startswith("/u/login/"), answer)


async def open_reset_link(side: Side, value: str) -> Outcome:
    """Only looked at, so that it can be looked at again."""
    answer = await side.get("u/reset-password", {"ticket": value})
    return Outcome(answer.status_code == 200, answer)


async def follow_reset_link(side: Side, value: str) -> Outcome:
    """To the end: the password stays what it is by being chosen again."""
    async with side.mail.installation.browser() as http:
        page = await http.get(f"{side.issuer}u/reset-password", params={"ticket": value})
        fields = {"state": value, "form_token": "none"}
        if page.status_code == 200:
            fields = forms_of(page.text)[0].fields
        data = {**fields, "password": side.user.password}
        answer = await http.post(f"{side.issuer}u/reset-password", data=data)
    if answer.status_code == 200:
        side.is_signed_in = False
    return Outcome(answer.status_code == 200, answer)


async def open_verification_link(side: Side, value: str) -> Outcome:
    answer = await side.get("u/email-verification", {"ticket": value})
    return Outcome(answer.status_code == 200, answer)


async def follow_verification_link(side: Side, value: str) -> Outcome:
    async with side.mail.installation.browser() as http:
        page = await http.get(f"{side.issuer}u/email-verification", params={"ticket": value})
        fields = forms_of(page.text)[0].fields if page.status_code == 200 else {"state": value}
        answer = await http.post(f"{side.issuer}u/email-verification", data=fields)
    return Outcome(answer.status_code == 200, answer)


async def _register(side: Side, token: str) -> httpx.Response:
    url, headers = f"{side.issuer}oidc/register", {"Authorization": f"Bearer {token}"}
    return await side.stranger.post(url, json={"redirect_uris": [CALLBACK]}, headers=headers)


async def register(side: Side, value: str) -> Outcome:
    answer = await _register(side, value)
    return Outcome(answer.status_code == 201, answer)


async def manage_registration(side: Side, value: str) -> Outcome:
    client_id, _, token = value.rpartition(" ")
    path = f"oidc/register/{client_id or side.client_id()}"
    answer = await side.get(path, Authorization=f"Bearer {token}")
    return Outcome(answer.status_code == 200, answer)


async def answer_login_page(side: Side, value: str) -> Outcome:
    state, form_token, binding = value.split(" ")
    data = {"state": state, "form_token": form_token, "email": side.user.email}
    answer = await side.post(
        "u/login/identifier", data, Cookie=f"{BROWSER}={binding}", Origin=origin_of(side.issuer)
    )
    return Outcome(answer.status_code == 303, answer)


async def come_back_to_login(side: Side, value: str) -> Outcome:
    """Without any form."""
    state, _, binding = value.split(" ")
    cookie = f"{BROWSER}={binding}"
    answer = await side.get("u/login/identifier", {"state": state}, Cookie=cookie)
    return Outcome(answer.status_code == 200, answer)


async def continue_session(side: Side, value: str) -> Outcome:
    asked = {**request_of(side), "prompt": "none"}
    answer = await side.get("authorize", asked, Cookie=f"{SESSION}={value}")
    return Outcome("code=" in answer.headers.get("location", ""), answer)


async def hint_of_session(side: Side, value: str) -> Outcome:
    """In the browser of somebody who is signed in here, as the same person."""
    asked = {**request_of(side), "prompt": "none", "id_token_hint": value}
    answer = await side.http.get(f"{side.issuer}authorize", params=asked)
    return Outcome("code=" in answer.headers.get("location", ""), answer)


async def hint_of_logout(side: Side, value: str) -> Outcome:
    """Signed out without a question."""
    answer = await side.http.get(f"{side.issuer}oidc/logout", params={"id_token_hint": value})
    is_out = answer.status_code == 200 and not forms_of(answer.text)
    side.is_signed_in = side.is_signed_in and not is_out
    return Outcome(is_out, answer)


async def userinfo(side: Side, value: str) -> Outcome:
    answer = await side.get("userinfo", Authorization=f"Bearer {value}")
    return Outcome(answer.status_code == 200, answer)


async def manage(side: Side, value: str) -> Outcome:
    answer = await side.get("api/v2/clients", Authorization=f"Bearer {value}")
    return Outcome(answer.status_code == 200, answer)


async def introspect(side: Side, value: str) -> Outcome:
    answer = await side.post("oauth/introspect", {**side.credentials("server"), "token": value})
    assert answer.status_code == 200, answer.text
    if not answer.json()["active"]:
        assert answer.json() == {"active": False}
    return Outcome(answer.json()["active"], answer)


async def _proved(side: Side, proof: str) -> httpx.Response:
    """A request that fails for its code, once its proof is good."""
    form = {"grant_type": "authorization_code", "code": "none", "redirect_uri": CALLBACK}
    return await side.post("oauth/token", {**form, **side.credentials()}, DPoP=proof)


async def prove(side: Side, value: str) -> Outcome:
    answer = await _proved(side, value)
    return Outcome(answer.json()["error"] == "invalid_grant", answer)


async def prove_with_nonce(side: Side, value: str) -> Outcome:
    """In a proof that is right in everything else."""
    return await prove(side, side.holder.proof("POST", f"{side.issuer}oauth/token", nonce=value))


async def authenticate(side: Side, value: str) -> Outcome:
    asked = {"client_assertion_type": ASSERTION, "client_assertion": value}
    answer = await side.post("oauth/par", {**request_of(side, "signing"), **asked})
    return Outcome(answer.status_code == 201, answer)
