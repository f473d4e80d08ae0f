"""Ending the session of this browser: RP-Initiated Logout 1.0 at /oidc/logout, Auth0's /v2/logout beside it.

| what is sent to /oidc/logout | what happens |
|---|---|
| a hint of the signed-in person, registered address | signed out, redirect with the same state |
| a hint of the signed-in person, no address | signed out, a page says so |
| anything without such a hint, while somebody is signed in | a question first: nobody logs others out by a link |
| an address that is not registered, or nobody vouches for | never a redirect |

The session's refresh families end with it. A client whose `refresh_token.keep_after_logout` is true keeps those with
offline_access, for applications that go on working while the person is away. Clients that took part are told over the
back channel (`backchannel_logout`), after the answer. Only cookies of this host are cleared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from sqlalchemy import Connection, Row

from core.clock import now_ms
from core.crypto.sealing import DataKey
from core.errors import InvalidRequest
from core.tenants import Tenant
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import ClientConfiguration, Configuration, configuration
from tenant_runtime.dependencies import Services, client_ip_of, request_id_of, services_of, tenant_of
from tenant_runtime.login.answers import branding_of, redirect, show, speech_of
from tenant_runtime.login.client_card import card_of, way_on
from tenant_runtime.login.cookies import (
    Browser,
    binding_cookie,
    browser_of,
    cleared_session_cookies,
    new_binding,
)
from tenant_runtime.login.custom_texts import Speech
from tenant_runtime.login.forms import FORM_LIMIT, check_token, form_token, submitted
from tenant_runtime.login.pages import LogoutPage, SignedOutPage
from tenant_runtime.login.sessions import end_session, load_session
from tenant_runtime.oauth.authorization.id_token_hint import Hint, read_hint
from tenant_runtime.oauth.authorization.parameters import MAX_LENGTH, MAX_LENGTHS
from tenant_runtime.oauth.authorization.redirect_uris import is_safe, with_query
from tenant_runtime.oauth.backchannel_logout import Initiator
from tenant_runtime.oauth.body import parse_form

AnyRequest = Request[Any, Any, Any]

QUESTION = "/u/logout"
REPEATED = ("client_id", "post_logout_redirect_uri", "state", "ui_locales")
KNOWN = (*REPEATED, "id_token_hint", "returnTo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """One request to leave, and everything that it is judged by."""

    tenant: Tenant
    services: Services
    configuration: Configuration
    browser: Browser
    sent: Mapping[str, str]
    session: Row[Any] | None
    hint: Hint | None
    client: ClientConfiguration | None
    speech: Speech
    event: Event

    @property
    def is_vouched_for(self) -> bool:
        return (
            self.hint is not None and self.session is not None and self.hint.subject == self.session.user_id
        )

    @property
    def address(self) -> str | None:
        """Where to go afterwards, with the state and nothing else added; None without anybody to say it is theirs."""
        address, state = self.sent.get("post_logout_redirect_uri"), self.sent.get("state")
        if address is None or self.client is None:
            return None
        return with_query(address, {"state": state} if state is not None else {})


@get("/oidc/logout", include_in_schema=False)
async def logout(request: AnyRequest) -> Response[str]:
    return await _oidc_logout(request, request.scope["query_string"])


@post("/oidc/logout", include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def logout_by_post(request: AnyRequest) -> Response[str]:
    return await _oidc_logout(request, await request.body())


@post(QUESTION, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def answer_question(request: AnyRequest) -> Response[str]:
    """The question's own answer; `state` holds what was asked of /oidc/logout, and is checked again."""
    tenant = tenant_of(request)
    fields = await submitted(request, tenant)
    state = fields.get("state", "")
    check_token(tenant, fields, browser_of(request.scope["headers"], tenant.issuer).binding, QUESTION, state)
    leaving = await _leaving(request, parse_form(state.encode()))
    _check_address(leaving)
    if fields.get("decision") == "logout":
        return await _leave(leaving)
    return redirect(leaving.address) if leaving.address else _page(leaving, ())


@get("/v2/logout", include_in_schema=False)
async def auth0_logout(request: AnyRequest) -> Response[str]:
    """No hint and no question, as Auth0's SDKs expect; so only where the browser itself goes, not for an image or a
    frame of somebody's page, and never on to where a stranger says."""
    leaving = await _leaving(request, parse_form(request.scope["query_string"]))
    return_to = leaving.sent.get("returnTo")
    allowed = leaving.configuration.settings.allowed_logout_urls
    if leaving.client is not None and not card_of(leaving.client).is_stranger:
        allowed = (*leaving.client.allowed_logout_urls, *allowed)
    if return_to is not None and not (return_to in allowed and is_safe(return_to)):
        raise InvalidRequest("The returnTo address is not registered.")
    if request.headers.get("sec-fetch-dest", "document") != "document":
        return _question(leaving)
    cookies = await _end(leaving)
    return redirect(return_to, status=302, cookies=cookies) if return_to else _page(leaving, cookies)


handlers = [logout, logout_by_post, answer_question, auth0_logout]


async def _oidc_logout(request: AnyRequest, encoded: bytes) -> Response[str]:
    try:
        leaving = await _leaving(request, parse_form(encoded))
        _check_address(leaving)
    except InvalidRequest as error:
        _tell_of_refusal(request, error)
        raise
    if leaving.is_vouched_for:
        return await _leave(leaving)
    if leaving.session is not None:
        return _question(leaving)
    if leaving.hint is not None and leaving.address:
        return redirect(leaving.address)
    return _page(leaving, cleared_session_cookies(is_https=leaving.browser.is_https))


def _tell_of_refusal(request: AnyRequest, error: InvalidRequest) -> None:
    services = services_of(request)
    event = Event(
        type="flo",
        created_at=now_ms(services.clock),
        description=error.description,
        ip=client_ip_of(request),
        user_agent=(request.headers.get("user-agent") or "")[:500] or None,
        request_id=request_id_of(request),
    )
    services.audit.add(tenant_of(request), event)


async def _leaving(request: AnyRequest, sent: Mapping[str, str]) -> Leaving:
    tenant, services = tenant_of(request), services_of(request)
    held = await configuration(tenant)
    browser = browser_of(request.scope["headers"], tenant.issuer)
    _check_lengths(sent)
    hint = _hint(sent, held, tenant)
    client = _client(sent, held, hint)
    now = now_ms(services.clock)
    digest = browser.session_digest
    session = await tenant.database.read(load_session, digest, now, tenant.issuer) if digest else None
    return Leaving(
        tenant=tenant,
        services=services,
        configuration=held,
        browser=browser,
        sent={name: sent[name] for name in KNOWN if name in sent},
        session=session,
        hint=hint,
        client=client,
        speech=speech_of(request, held, sent.get("ui_locales", "")),
        event=Event(
            type="slo",
            created_at=now,
            client_id=client.client_id if client else None,
            client_name=client.name if client else None,
            user_id=session.user_id if session else None,
            user_name=session.email if session else None,
            ip=client_ip_of(request),
            user_agent=(request.headers.get("user-agent") or "")[:500] or None,
            request_id=request_id_of(request),
        ),
    )


def _check_lengths(sent: Mapping[str, str]) -> None:
    for name in KNOWN:
        if len(sent.get(name, "")) > MAX_LENGTHS.get(name, MAX_LENGTH):
            raise InvalidRequest(f"The parameter {name} is too long.")


def _hint(sent: Mapping[str, str], held: Configuration, tenant: Tenant) -> Hint | None:
    """A hint that is no good is as none: the question is asked."""
    token = sent.get("id_token_hint")
    if token is None:
        return None
    return read_hint(token, keys=held.keys.public, issuers=tenant.issuers, clients=held.clients.keys())


def _client(sent: Mapping[str, str], held: Configuration, hint: Hint | None) -> ClientConfiguration | None:
    client_id = sent.get("client_id")
    if hint is not None:
        if client_id not in (None, hint.client_id):
            raise InvalidRequest("The client_id is not the one that the id_token_hint was issued to.")
        return held.clients[hint.client_id]
    if client_id is None:
        return None
    client = held.clients.get(client_id)
    if client is None:
        raise InvalidRequest("The client is unknown.")
    return client


def _check_address(leaving: Leaving) -> None:
    """Registered for the client that says so; without a client no address counts."""
    address = leaving.sent.get("post_logout_redirect_uri")
    if address is None or leaving.client is None:
        return
    if address not in leaving.client.allowed_logout_urls or not is_safe(address):
        raise InvalidRequest("The post_logout_redirect_uri is not registered for this client.")


async def _leave(leaving: Leaving) -> Response[str]:
    cookies = await _end(leaving)
    return redirect(leaving.address, cookies=cookies) if leaving.address else _page(leaving, cookies)


async def _end(leaving: Leaving) -> list[Cookie]:
    if leaving.session is not None:
        kept, tenant = kept_clients(leaving.configuration), leaving.tenant
        await tenant.database.write(end_here, tenant.data_key, leaving.session.id, kept, leaving.event)
        leaving.services.deliveries.soon(tenant)
    return cleared_session_cookies(is_https=leaving.browser.is_https)


def kept_clients(found: Configuration) -> frozenset[str]:
    """Those that go on working while the person is away."""
    return frozenset(
        client.client_id
        for client in found.clients.values()
        if client.refresh_token.get("keep_after_logout") is True
    )


def end_here(
    connection: Connection, data_key: DataKey, session_id: str, kept: frozenset[str], event: Event
) -> None:
    now = event.created_at
    if end_session(connection, data_key, session_id, now, why=Initiator.RP_LOGOUT, kept_clients=kept):
        record(connection, event)


def _question(leaving: Leaving) -> Response[str]:
    binding = leaving.browser.binding or new_binding()
    asked = {name: leaving.sent[name] for name in REPEATED if name in leaving.sent}
    state = with_query("", asked).removeprefix("?")
    page = LogoutPage(
        branding=branding_of(leaving.tenant, leaving.configuration.settings),
        speech=leaving.speech,
        action=QUESTION,
        form_token=form_token(leaving.tenant, binding, QUESTION, state),
        state=state,
        client_name=leaving.client.name if leaving.client else "",
        email=leaving.session.email or "" if leaving.session else "",
    )
    cookies = () if leaving.browser.binding else (binding_cookie(binding, is_https=leaving.browser.is_https),)
    return show(page, redirect_uri=leaving.address, cookies=cookies)


def _page(leaving: Leaving, cookies: list[Cookie] | tuple[Cookie, ...]) -> Response[str]:
    client = leaving.client
    page = SignedOutPage(
        branding=branding_of(leaving.tenant, leaving.configuration.settings),
        speech=leaving.speech,
        login_url=way_on(client),
        client_name=client.name if client else "",
    )
    return show(page, cookies=cookies)
