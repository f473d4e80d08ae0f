"""The authorization endpoint (RFC 6749 section 3.1, OpenID Connect Core 1.0 section 3.1.2).

Order is everything: client and redirect address first, and what is wrong with them is a page; from then on every
error, also an unforeseen one, travels to the client by the response mode it asked for. What the person must do is
decided by `login.flow`; each of those steps sends the browser back to `/authorize/resume`, which asks again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie

from core.clock import now_ms
from core.errors import (
    IdentityError,
    InvalidInput,
    InvalidRequest,
    LoginRequired,
    OAuthError,
    ServerError,
    TenantSuspended,
)
from core.ids import digest, new_id, new_secret
from core.tenants import Tenant, TenantState
from tenant_runtime.audit import Event
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.dependencies import Services, client_ip_of, request_id_of, services_of, tenant_of
from tenant_runtime.login.answers import branding_of, redirect
from tenant_runtime.login.arrival import Arrival, Outcome, arrive
from tenant_runtime.login.authorization_requests import RequestGone, RequestKey, load_request
from tenant_runtime.login.client_card import card_of
from tenant_runtime.login.cookies import Browser, binding_cookie, browser_of, new_binding
from tenant_runtime.login.custom_texts import speech_in
from tenant_runtime.login.devices.requests import is_of_device
from tenant_runtime.login.flow import Step
from tenant_runtime.login.forms import state_of
from tenant_runtime.login.invitations.requests import is_of_invitation
from tenant_runtime.login.sessions import Lifetimes
from tenant_runtime.login.steps import CONFIRM_DEVICE, INVITATION, PASSWORD, SIGNUP, address_of, at
from tenant_runtime.oauth.authorization.acceptance import (
    AcceptedRequest,
    Destination,
    accept,
    client_of,
    destination,
)
from tenant_runtime.oauth.authorization.codes import NewCode
from tenant_runtime.oauth.authorization.parameters import Sent, sent
from tenant_runtime.oauth.authorization.pushed_requests import is_pushed, read_pushed
from tenant_runtime.oauth.authorization.request_objects import read_object
from tenant_runtime.oauth.authorization.response_modes import answer, error_parameters
from tenant_runtime.oauth.body import BODY_LIMIT, FORM, media_type
from tenant_runtime.oauth.clients.documents import SCHEME, with_document
from tenant_runtime.organizations.joining.at_login import JOINED, WayIn
from tenant_runtime.organizations.joining.letters import Post

AnyRequest = Request[Any, Any, Any]
log = structlog.get_logger(__name__)

LONGEST_TOLD = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request to this endpoint, and everything that it is judged by."""

    tenant: Tenant
    services: Services
    configuration: Configuration
    browser: Browser
    sent: Sent
    to: Destination
    now: int
    ip: str
    user_agent: str | None
    request_id: str
    after_form: bool

    def answer(self, parameters: dict[str, str], cookies: tuple[Cookie, ...] = ()) -> Response[str]:
        branding = branding_of(self.tenant, self.configuration.settings)
        speech = speech_in(self.configuration, self.sent.get("ui_locales") or "")
        return answer(
            self.to,
            parameters,
            branding=branding,
            speech=speech,
            after_form=self.after_form,
            cookies=cookies,
        )

    def event(self, type: str, description: str | None = None) -> Event:
        return Event(
            type=type,
            created_at=self.now,
            description=description,
            client_id=self.to.client.client_id,
            client_name=self.to.client.name,
            audience=_told(self.sent.get("audience")),
            scope=_told(self.sent.get("scope")),
            ip=self.ip,
            user_agent=self.user_agent,
            request_id=self.request_id,
        )


def _told(value: str | None) -> str | None:
    """Anybody may fail here, as often and at such a length as they like: the log keeps the beginning."""
    return value[:LONGEST_TOLD] if value is not None else None


@get("/authorize", include_in_schema=False)
async def authorize(request: AnyRequest) -> Response[str]:
    return await _authorize(request, request.scope["query_string"], after_form=False)


@post("/authorize", include_in_schema=False, request_max_body_size=BODY_LIMIT)
async def authorize_by_post(request: AnyRequest) -> Response[str]:
    if media_type(request.headers.get("content-type")) != FORM:
        raise InvalidInput(f"The body must be {FORM}.", status=415)
    return await _authorize(request, await request.body(), after_form=True)


@get("/authorize/resume", include_in_schema=False)
async def resume(request: AnyRequest) -> Response[str]:
    """The person has finished a step."""
    tenant, services = tenant_of(request), services_of(request)
    state, browser = state_of(request), browser_of(request.scope["headers"], tenant.issuer)
    key = RequestKey(digest(state), browser.binding_digest or "", tenant.issuer)
    stored = await tenant.database.read(load_request, key, now_ms(services.clock))
    if is_of_device(stored.parameters):
        return redirect(at(CONFIRM_DEVICE, state), status=302)
    if is_of_invitation(stored.parameters):
        return redirect(at(INVITATION, state), status=302)
    visit = await _visit(request, Sent(stored.parameters), browser, after_form=False)

    async def go_on() -> Response[str]:
        return await _go_on(visit, _accepted(visit), key, state=state, is_new=False)

    return await _told_to_the_client(visit, go_on)


handlers = [authorize, authorize_by_post, resume]


async def _authorize(request: AnyRequest, encoded: bytes, *, after_form: bool) -> Response[str]:
    browser = browser_of(request.scope["headers"], tenant_of(request).issuer)
    parameters = sent(encoded)
    await _know_client(request, parameters)
    if parameters.is_indirect:
        try:
            parameters = await _meant(request, parameters)
        except OAuthError as error:
            return await _unread(request, parameters, browser, error, after_form=after_form)
    visit = await _visit(request, parameters, browser, after_form=after_form)

    async def begin() -> Response[str]:
        accepted = _accepted(visit)
        if accepted.parameters.is_silent:
            return await _silently(visit, accepted)
        state, binding = new_secret(), browser.binding or new_binding()
        key = RequestKey(digest(state), digest(binding), visit.tenant.issuer)
        fresh = () if browser.binding else (binding_cookie(binding, is_https=browser.is_https),)
        return await _go_on(visit, accepted, key, state=state, is_new=True, cookies=fresh)

    return await _told_to_the_client(visit, begin)


async def _know_client(request: AnyRequest, parameters: Sent) -> None:
    """One whose id is an address is known by the document there; what is wrong with it is shown on a page."""
    tenant, services = tenant_of(request), services_of(request)
    client_id = parameters.get("client_id")
    if client_id is not None and client_id.startswith(SCHEME) and tenant.state is not TenantState.SUSPENDED:
        held = await configuration(tenant)
        await with_document(tenant, services, held, client_id, error=InvalidRequest)


async def _meant(request: AnyRequest, outer: Sent) -> Sent:
    """The parameters that count, of a request that was pushed before or that is signed."""
    tenant, services = tenant_of(request), services_of(request)
    held = await configuration(tenant)
    reference = outer.get("request_uri")
    if reference is None or "request" in outer.values or not is_pushed(reference):
        return await read_object(outer, tenant, services, held)
    client = client_of(outer, held)
    return await read_pushed(tenant, client.client_id, reference, now_ms(services.clock))


async def _unread(
    request: AnyRequest, outer: Sent, browser: Browser, error: OAuthError, *, after_form: bool
) -> Response[str]:
    """Told to the client where an address of its own stands beside the object that could not be read; else, and
    always where nothing was pushed, on a page."""
    if tenant_of(request).state is TenantState.SUSPENDED:
        raise TenantSuspended() from error
    if outer.get("redirect_uri") is None or is_pushed(outer.get("request_uri") or ""):
        raise error
    try:
        visit = await _visit(request, outer, browser, after_form=after_form)
    except OAuthError:
        raise error from None
    return _failed(visit, error)


async def _visit(request: AnyRequest, parameters: Sent, browser: Browser, *, after_form: bool) -> Visit:
    tenant, services = tenant_of(request), services_of(request)
    held = await configuration(tenant)
    return Visit(
        tenant=tenant,
        services=services,
        configuration=held,
        browser=browser,
        sent=parameters,
        to=_destination(parameters, held, tenant),
        now=now_ms(services.clock),
        ip=client_ip_of(request),
        user_agent=(request.headers.get("user-agent") or "")[:500] or None,
        request_id=request_id_of(request),
        after_form=after_form,
    )


def _destination(parameters: Sent, held: Configuration, tenant: Tenant) -> Destination:
    """A suspended tenant says that it is, also where the answer may travel nowhere."""
    try:
        return destination(parameters, held, tenant.issuer)
    except InvalidRequest as refused:
        if tenant.state is TenantState.SUSPENDED:
            raise TenantSuspended() from refused
        raise


def _accepted(visit: Visit) -> AcceptedRequest:
    if visit.tenant.state is TenantState.SUSPENDED:
        raise TenantSuspended()
    return accept(visit.sent, visit.to, visit.configuration, visit.tenant.issuers)


async def _silently(visit: Visit, accepted: AcceptedRequest) -> Response[str]:
    """Nothing will be stored, so nothing is drawn for it: each random number is a call of the system."""
    if visit.browser.session is None:
        raise LoginRequired()
    return await _go_on(visit, accepted, RequestKey("", "", visit.tenant.issuer), state="", is_new=True)


async def _go_on(
    visit: Visit,
    accepted: AcceptedRequest,
    key: RequestKey,
    *,
    state: str,
    is_new: bool,
    cookies: tuple[Cookie, ...] = (),
) -> Response[str]:
    code = new_secret()
    settings = visit.configuration.settings
    arrival = Arrival(
        request=accepted,
        parameters=visit.sent.values,
        key=key,
        is_new=is_new,
        session_digest=visit.browser.session_digest,
        code=NewCode(digest(code), new_id("fam")),
        event=visit.event("ssa"),
        now=visit.now,
        lifetimes=Lifetimes.of(settings),
        way_in=_way_in(visit, accepted),
    )
    outcome = await visit.tenant.database.write(arrive, arrival)
    if outcome.step is Step.ASK_TO_JOIN:
        visit.services.deliveries.soon(visit.tenant)
    if outcome.error is not None:
        raise outcome.error
    if outcome.step is Step.DONE:
        return visit.answer({"code": code})
    assert outcome.step is not None
    address = _address(outcome, state, wants_signup=is_new and accepted.parameters.wants_signup)
    return redirect(address, status=303 if visit.after_form else 302, cookies=cookies)


def _address(outcome: Outcome, state: str, *, wants_signup: bool) -> str:
    """Who reads the mail of an invited address is led to what they have: an account, or none yet."""
    assert outcome.step is not None
    if outcome.step is Step.LOG_IN and outcome.entry is not None and outcome.entry.has_account is not None:
        return at(PASSWORD if outcome.entry.has_account else SIGNUP, state)
    return address_of(outcome.step, state, wants_signup=wants_signup)


def _way_in(visit: Visit, accepted: AcceptedRequest) -> WayIn:
    """A silent request asks nobody for anything."""
    post = None
    if not accepted.parameters.is_silent:
        post = Post.of(visit.tenant, visit.services, visit.configuration)
    return WayIn.of(visit.tenant, visit.configuration, visit.event(JOINED), new_id("mem"), post)


async def _told_to_the_client(visit: Visit, act: Callable[[], Awaitable[Response[str]]]) -> Response[str]:
    """A request that has gone is the one error that stays here: another arrival has already told the client."""
    try:
        return await act()
    except RequestGone:
        raise
    except IdentityError as error:
        return _failed(visit, error)
    except Exception:
        log.exception("unforeseen_exception", support_id=visit.request_id)
        return _failed(visit, ServerError())


def _failed(visit: Visit, error: IdentityError) -> Response[str]:
    """A failed attempt changes nothing but the log: not the session, not the cookie."""
    parameters = error_parameters(error)
    if error.status < 500:
        silent = visit.sent.get("prompt") == "none"
        told = f"{parameters['error']}: {parameters['error_description']}"
        visit.services.audit.add(visit.tenant, visit.event("fsa" if silent else "f", told))
    if _must_stay(visit):
        raise error
    return visit.answer(parameters)


def _must_stay(visit: Visit) -> bool:
    """Anybody may register an address, so nobody is sent there before they have signed in; only a silent request asks
    nobody (RFC 9700 section 4.11.2)."""
    is_alone = visit.browser.session is None and visit.sent.get("prompt") != "none"
    return is_alone and card_of(visit.to.client).is_stranger
