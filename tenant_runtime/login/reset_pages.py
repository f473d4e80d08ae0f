"""The pages of a password reset: ask for the link, and follow it.

    /u/login/password ──> /u/reset-password/request ──> (a letter) ──> /u/reset-password

The first is a step of a sign-in, so that nobody is written to from nowhere; it says the same whoever has the address.
The second needs nothing but the link, which may be opened in any browser. It signs nobody in.
"""

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

from litestar import Request, Response, get, post

from core.clock import now_ms
from core.errors import RateLimited
from core.ids import digest
from tenant_runtime.attack_protection.leaks import Chosen, is_refused
from tenant_runtime.audit import Event
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.connections.options import DatabaseOptions
from tenant_runtime.dependencies import client_ip_of, request_id_of, services_of, tenant_of
from tenant_runtime.login.answers import branding_of, show, speech_of
from tenant_runtime.login.cookies import binding_cookie, browser_of, new_binding
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.login.forms import FORM_LIMIT, check_token, form_token, submitted
from tenant_runtime.login.link_done import done_page, result_url_of
from tenant_runtime.login.pages import FormPage, MessagePage, Problems
from tenant_runtime.login.password_rules import MINIMUM, problem_of
from tenant_runtime.login.reset import (
    LIFETIME_MS,
    NOTICE_MS,
    PATH,
    Asked,
    Link,
    ask,
    change_password,
    look_at,
)
from tenant_runtime.login.steps import IDENTIFIER, RESET, StepVisit, at, opened, posted
from tenant_runtime.mail.queue import posted as letter
from tenant_runtime.mail.queue import require_mail
from tenant_runtime.oauth.body import parse_form

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class ResetRequestPage(FormPage):
    """Posts `email`."""

    template: ClassVar[str] = "reset_request.html"

    _: KW_ONLY
    email: str = ""
    login_url: str


@dataclass(frozen=True, slots=True)
class NewPasswordPage(FormPage):
    """Posts `password`; `state` is the link's secret. A `username` goes along for password managers."""

    template: ClassVar[str] = "new_password.html"

    _: KW_ONLY
    email: str
    password_minimum: int = MINIMUM


# --- Asking for the link -------------------------------------------------------------------------------------------


@get(RESET, include_in_schema=False)
async def request_page(request: AnyRequest) -> Response[str]:
    visit = await opened(request, RESET)
    if not visit.takes_new_passwords:
        return visit.go(IDENTIFIER)
    await require_mail(visit.services, visit.tenant)
    return visit.show(_request_page(visit, visit.progress.identifier))


@post(RESET, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def request_link(request: AnyRequest) -> Response[str]:
    visit = await posted(request, RESET)
    if not visit.takes_new_passwords:
        return visit.go(IDENTIFIER)
    email = normal_email(visit.fields.get("email", ""))
    if not is_email(email):
        problems: Problems = {"email": "email_malformed" if email else "email_missing"}
        return visit.show(_request_page(visit, email, problems), status=400)
    try:
        await ask(visit.tenant, visit.services, _asked(visit, email))
    except RateLimited as error:
        page = _request_page(visit, email, {"": "too_many"})
        return visit.show(page, status=error.status, headers=error.headers)
    branding = visit.branding
    values = {"company": branding.display_name, "organization": branding.organization_name}
    texts = visit.speech.of("reset_sent", client=visit.request.client.name, **values)
    sent = MessagePage(
        branding=branding,
        speech=visit.speech,
        heading=texts.say("reset_sent_title"),
        text=texts.say("reset_sent_lead", email=email, minutes=LIFETIME_MS // 60_000),
        link_url=at(IDENTIFIER, visit.state),
        link_label=texts.say("reset_back"),
    )
    return show(sent)


def _asked(visit: StepVisit, email: str) -> Asked:
    client, connection = visit.request.client, visit.request.connection
    return Asked(
        connection_id=connection.id,
        connection_name=connection.name,
        email=email,
        client_id=client.client_id,
        client_name=client.name,
        now=visit.now,
        ip=visit.ip,
        user_agent=visit.user_agent,
        request_id=visit.request_id,
        languages=visit.speech.asked,
    )


def _request_page(visit: StepVisit, email: str, problems: Problems | None = None) -> ResetRequestPage:
    return visit.page(
        ResetRequestPage, email=email, login_url=at(IDENTIFIER, visit.state), problems=problems or {}
    )


# --- Following it --------------------------------------------------------------------------------------------------


@get(PATH, include_in_schema=False)
async def new_password_page(request: AnyRequest) -> Response[str]:
    ticket = parse_form(request.scope["query_string"]).get("ticket", "")
    good = await look_at(tenant_of(request), digest(ticket), _now(request))
    return await _form(request, ticket, good)


@post(PATH, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def set_new_password(request: AnyRequest) -> Response[str]:
    tenant, services = tenant_of(request), services_of(request)
    fields = await submitted(request, tenant)
    ticket, password = fields.get("state", ""), fields.get("password", "")
    check_token(tenant, fields, browser_of(request.scope["headers"], tenant.issuer).binding, PATH, ticket)
    now = _now(request)
    good = await look_at(tenant, digest(ticket), now)
    found = await configuration(tenant)
    rules = _rules(found, good)
    names = (good.email, tenant.id, found.settings.friendly_name or tenant.display_name, *rules.blocked_words)
    problem = problem_of(password, *names, least=rules.least_length)
    if problem is not None:
        return await _form(request, ticket, good, {"password": problem})
    leaked = replace(_changed(request, good, now), type="reset_pwd_leak")
    leaked = replace(leaked, description="The new password is known from a leak.")
    chosen = Chosen(tenant=tenant, services=services, current=found, password=password, event=leaked)
    if await is_refused(chosen):
        return await _form(request, ticket, good, {"password": "password_leaked"})
    new_hash = await services.passwords.hash(password, tenant=tenant.id)
    notice = None
    if services.mail.are_there(tenant, found):
        notice = letter("password_changed", good.email, expires_at=now + NOTICE_MS)
    event = _changed(request, good, now)
    await tenant.database.write(change_password, digest(ticket), new_hash, event, notice, tenant)
    services.deliveries.soon(tenant)
    return done_page(request, found, good, "new_password_done")


handlers = [request_page, request_link, new_password_page, set_new_password]


def _now(request: AnyRequest) -> int:
    return now_ms(services_of(request).clock)


def _changed(request: AnyRequest, good: Link, now: int) -> Event:
    return Event(
        type="scp",
        created_at=now,
        description="The password was changed by a link.",
        client_id=good.client_id,
        user_id=good.user_id,
        user_name=good.email,
        ip=client_ip_of(request),
        user_agent=(request.headers.get("user-agent") or "")[:500] or None,
        request_id=request_id_of(request),
    )


async def _form(
    request: AnyRequest, ticket: str, good: Link, problems: Problems | None = None
) -> Response[str]:
    tenant = tenant_of(request)
    browser = browser_of(request.scope["headers"], tenant.issuer)
    binding, found = browser.binding or new_binding(), await configuration(tenant)
    page = NewPasswordPage(
        branding=branding_of(tenant, found.settings),
        speech=speech_of(request, found),
        action=PATH,
        form_token=form_token(tenant, binding, PATH, ticket),
        state=ticket,
        email=good.email,
        password_minimum=max(MINIMUM, _rules(found, good).least_length),
        problems=problems or {},
    )
    cookies = [] if browser.binding else [binding_cookie(binding, is_https=browser.is_https)]
    target = result_url_of(found, good)
    return show(page, status=400 if problems else 200, redirect_uri=target, cookies=cookies)


def _rules(found: Configuration, good: Link) -> DatabaseOptions:
    connection = found.connections.get(good.connection_id)
    return connection.database if connection is not None else DatabaseOptions()
