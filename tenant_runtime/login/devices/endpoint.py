"""Somebody approves a device (RFC 8628 section 3.3).

    /activate ──> log in ──> choose organization ──> /activate/confirm ──> done
        (code)       (the steps of every login)        (allow or deny)

The code that is entered becomes an authorization request of this browser (`requests`); what a login needs is
decided by `flow` as everywhere. In the place of the answer stands the confirmation. It is shown whatever session or
consent there is: who was sent here by somebody else must be able to see that it is not their device (section 5.4). A
code in the address fills the field and does nothing more.
"""

from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, get, post
from sqlalchemy import Connection, bindparam, select

from core.clock import now_ms
from core.errors import AccessDenied, TenantSuspended
from core.ids import digest, new_id, new_secret
from core.tenants import Tenant, TenantState
from tenant_runtime.audit import Event
from tenant_runtime.configuration import configuration
from tenant_runtime.dependencies import client_ip_of, request_id_of, services_of, tenant_of
from tenant_runtime.expiry import is_current
from tenant_runtime.login.answers import branding_of, redirect, show, speech_of
from tenant_runtime.login.authorization_requests import RequestKey, store_request
from tenant_runtime.login.consent import scope_items
from tenant_runtime.login.cookies import binding_cookie, browser_of, new_binding
from tenant_runtime.login.devices.decisions import (
    APPROVED,
    MISSING,
    Decision,
    DeviceGone,
    approve,
    deny,
    find_waiting,
)
from tenant_runtime.login.devices.pages import DecidedPage, DevicePage, UserCodePage
from tenant_runtime.login.devices.requests import MARKER
from tenant_runtime.login.flow import next_step
from tenant_runtime.login.forms import FORM_LIMIT, check_token, form_token, submitted
from tenant_runtime.login.pages import ErrorPage
from tenant_runtime.login.sessions import Lifetimes
from tenant_runtime.login.standing import Situation, rules_of, situation
from tenant_runtime.login.steps import (
    CONFIRM_DEVICE,
    IDENTIFIER,
    StepVisit,
    address_of,
    at,
    opened,
    posted,
)
from tenant_runtime.login.texts import ProblemKey
from tenant_runtime.models import DeviceCode
from tenant_runtime.oauth.body import parse_form
from tenant_runtime.oauth.device.user_codes import digest_of, read_user_code, shown

AnyRequest = Request[Any, Any, Any]
ACTIVATE = "/activate"
WRONG_CODE = "fdeac"

_c = DeviceCode.__table__.c
_BY_USER_CODE = select(_c.digest, _c.client_id, _c.scope, _c.audience, _c.organization).where(
    _c.user_code_digest == bindparam("user_code"),
    _c.issuer == bindparam("issuer"),
    is_current(DeviceCode.__table__),
    _c.is_approved.is_(None),
)


@get(ACTIVATE, include_in_schema=False)
async def code_page(request: AnyRequest) -> Response[str]:
    _require_active(tenant_of(request))
    user_code = read_user_code(parse_form(request.scope["query_string"]).get("user_code", ""))
    return await _ask(request, shown(user_code) if user_code else "")


@post(ACTIVATE, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def enter_code(request: AnyRequest) -> Response[str]:
    tenant, services = tenant_of(request), services_of(request)
    _require_active(tenant)
    fields, browser = await submitted(request, tenant), browser_of(request.scope["headers"], tenant.issuer)
    check_token(tenant, fields, browser.binding, ACTIVATE)
    user_code = read_user_code(fields.get("user_code", ""))
    if user_code is None:
        return await _ask(request, fields.get("user_code", "")[:20], "device_code_malformed")
    now, ip = now_ms(services.clock), client_ip_of(request)
    guesses = services.device_guesses
    refused_until = guesses.attempt(tenant, ip, now)
    if refused_until:
        return await _slowed_down(request, refused_until - now)
    state = f"{new_secret()}.{user_code}"  # whose digest is stored: nobody can put another code into it
    key = RequestKey(digest(state), browser.binding_digest or "", tenant.issuer)
    found = await tenant.database.write(_begin, key, digest_of(tenant.data_key, user_code), now)
    if not found:
        services.audit.add(tenant, _event(request, WRONG_CODE, "The user code is wrong or has expired."))
        return await _ask(request, shown(user_code), "device_code_wrong")
    guesses.was_right(tenant, ip, now)
    return redirect(at(CONFIRM_DEVICE, state))


@get(CONFIRM_DEVICE, include_in_schema=False)
async def confirm_page(request: AnyRequest) -> Response[str]:
    """Where the steps of the login come back to, too: it knows what is next."""
    visit = await opened(request, CONFIRM_DEVICE)
    if visit.progress.has_refused:
        await visit.tenant.database.write(deny, _decision(visit))
        return _decided(visit, is_approved=False)
    looked = await visit.tenant.database.read(_look, visit)
    if not looked.is_waiting:
        raise DeviceGone()
    try:
        step = next_step(rules_of(visit.request), looked.situation.standing, visit.now)
    except AccessDenied as refused:
        return _refused(visit, refused)
    if step in MISSING:
        return redirect(address_of(step, visit.state))
    return visit.show(_confirmation(visit, looked.situation))


@post(CONFIRM_DEVICE, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def decide(request: AnyRequest) -> Response[str]:
    """Anything but a clear yes is a no."""
    visit = await posted(request, CONFIRM_DEVICE)
    is_approved = visit.fields.get("decision") == "allow"
    step = await visit.tenant.database.write(approve if is_approved else deny, _decision(visit))
    if step is not None:
        return redirect(address_of(step, visit.state))
    return _decided(visit, is_approved=is_approved)


handlers = [code_page, enter_code, confirm_page, decide]


def _require_active(tenant: Tenant) -> None:
    if tenant.state is TenantState.SUSPENDED:
        raise TenantSuspended()


async def _ask(
    request: AnyRequest, user_code: str, problem: ProblemKey | None = None, *, field: str = "user_code"
) -> Response[str]:
    tenant = tenant_of(request)
    browser = browser_of(request.scope["headers"], tenant.issuer)
    binding = browser.binding or new_binding()
    found = await configuration(tenant)
    page = UserCodePage(
        branding=branding_of(tenant, found.settings),
        speech=speech_of(request, found),
        action=ACTIVATE,
        form_token=form_token(tenant, binding, ACTIVATE),
        user_code=user_code,
        problems={field: problem} if problem else {},
    )
    cookies = [] if browser.binding else [binding_cookie(binding, is_https=browser.is_https)]
    return show(page, status=400 if problem else 200, cookies=cookies)


async def _slowed_down(request: AnyRequest, wait_ms: int) -> Response[str]:
    services, tenant = services_of(request), tenant_of(request)
    services.audit.add(tenant, _event(request, "limit_wc", "Too many wrong user codes."))
    response = await _ask(request, "", "too_many", field="")
    response.status_code = 429
    response.headers["Retry-After"] = str(max(1, -(-wait_ms // 1000)))
    return response


def _event(request: AnyRequest, type: str, description: str) -> Event:
    return Event(
        type=type,
        created_at=now_ms(services_of(request).clock),
        description=description,
        ip=client_ip_of(request),
        user_agent=(request.headers.get("user-agent") or "")[:500] or None,
        request_id=request_id_of(request),
    )


def _begin(connection: Connection, key: RequestKey, user_code_digest: str, now: int) -> bool:
    values = {"user_code": user_code_digest, "issuer": key.issuer, "now": now}
    row = connection.execute(_BY_USER_CODE, values).one_or_none()
    if row is None:
        return False
    store_request(connection, key, row.client_id, _parameters(row), now)
    return True


def _parameters(row: Any) -> dict[str, str]:
    asked = {
        "client_id": row.client_id,
        "scope": row.scope,
        "audience": row.audience,
        "organization": row.organization,
    }
    return {name: value for name, value in asked.items() if value} | {MARKER: row.digest}


@dataclass(frozen=True, slots=True)
class _Looked:
    situation: Situation
    is_waiting: bool


def _look(connection: Connection, visit: StepVisit) -> _Looked:
    rules = visit.organization_rules
    found = situation(connection, visit.request, visit.session, visit.progress, rules=rules, now=visit.now)
    return _Looked(found, find_waiting(connection, visit) is not None)


def _confirmation(visit: StepVisit, found: Situation) -> DevicePage:
    assert visit.session is not None
    organization = found.organization
    return visit.page(
        DevicePage,
        user_code=shown(visit.state.rpartition(".")[2]),
        email=visit.session.email or visit.session.user_id,
        scopes=tuple(scope_items(visit.request)),
        organization_name=(organization.display_name or organization.name) if organization else "",
        switch_url=at(IDENTIFIER, visit.state),
    )


def _decision(visit: StepVisit) -> Decision:
    return Decision(
        visit=visit,
        grant_id=new_id("cgr"),
        event=visit.event(APPROVED, audience=visit.request.audience),
        lifetimes=Lifetimes.of(visit.configuration.settings),
    )


def _decided(visit: StepVisit, *, is_approved: bool) -> Response[str]:
    branding = visit.branding
    name = visit.request.client.name
    page = DecidedPage(branding=branding, speech=visit.speech, is_approved=is_approved, client_name=name)
    return show(page)


def _refused(visit: StepVisit, refused: AccessDenied) -> Response[str]:
    """Another account of theirs may do: the device still waits."""
    page = ErrorPage(
        branding=visit.branding,
        description=refused.description,
        support_id=visit.request_id,
        code=refused.code,
        retry_url=at(IDENTIFIER, visit.state),
    )
    return show(page, status=refused.status)
