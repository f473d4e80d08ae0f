"""The one-time link by which the first operator makes their account (`specs/tenancy.md` section 1).

The link is the proof: whoever holds it was given it by the person who started the installation. It is claimed in
the unit that makes the account, so it makes one account, or none.
"""

from typing import Any

from litestar import Request, Response, get, post
from sqlalchemy import Connection, bindparam, insert, select, update

from core.clock import now_ms
from core.errors import Forbidden
from core.ids import digest, new_user_id
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.dependencies import client_ip_of, request_id_of, services_of, tenant_of
from tenant_runtime.expiry import Lapsing, is_current
from tenant_runtime.login.accounts import PROVIDER, NewAccount, create_account
from tenant_runtime.login.answers import branding_of, show
from tenant_runtime.login.cookies import binding_cookie, browser_of, new_binding
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.login.forms import FORM_LIMIT, check_token, form_token, state_of, submitted
from tenant_runtime.login.pages import MessagePage, Problems, SignupPage
from tenant_runtime.login.password_rules import MINIMUM, problem_of
from tenant_runtime.models import Ticket, User, UserRole

AnyRequest = Request[Any, Any, Any]
PATH = "/u/setup"
KIND = "setup"

_t = Ticket.__table__.c
_IS_GOOD = (
    _t.digest == bindparam("of"),
    _t.kind == KIND,
    _t.used_at.is_(None),
    is_current(Ticket.__table__),
)
_LAPSING = Lapsing(Ticket.__table__, _t.kind == KIND)
_FIND = select(_t.digest).where(*_IS_GOOD)
_CLAIM = update(Ticket.__table__).where(*_IS_GOOD).values(used_at=bindparam("now")).returning(_t.payload)
_NEW_ROLE = insert(UserRole.__table__)
_VERIFY = (
    update(User.__table__).where(User.__table__.c.user_id == bindparam("user")).values(email_verified=True)
)


class LinkUsed(Forbidden):
    code = "invalid_ticket"
    description = "This link was used or is too old. Run keystead init for a new one."


@get(PATH, include_in_schema=False)
async def setup_page(request: AnyRequest) -> Response[str]:
    tenant, ticket = tenant_of(request), state_of(request)
    now = now_ms(services_of(request).clock)
    if not await tenant.database.read(_is_good, digest(ticket), now):
        await _LAPSING.refused(tenant, digest(ticket), now)
        raise LinkUsed()
    return await _form(request, ticket)


@post(PATH, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def set_up(request: AnyRequest) -> Response[str]:
    tenant, services, found = (
        tenant_of(request),
        services_of(request),
        await configuration(tenant_of(request)),
    )
    fields = await submitted(request, tenant)
    ticket = fields.get("state", "")
    check_token(tenant, fields, browser_of(request.scope["headers"], tenant.issuer).binding, PATH, ticket)
    email, password = normal_email(fields.get("email", "")), fields.get("password", "")
    problems = _problems(email, password)
    if problems:
        return await _form(request, ticket, email, problems)
    database, now = found.database_connection(), now_ms(services.clock)
    if database is None:
        raise LinkUsed()
    account = NewAccount(
        user_id=new_user_id(PROVIDER),
        connection_id=database.id,
        email=email,
        name="",
        hash=await services.passwords.hash(password, tenant=tenant.id),
        now=now,
    )
    event = Event(
        type="ss",
        created_at=now,
        description="First operator",
        user_id=account.user_id,
        user_name=email,
        ip=client_ip_of(request),
        request_id=request_id_of(request),
    )
    try:
        await tenant.database.write(_make_operator, digest(ticket), account, event)
    except LinkUsed:
        await _LAPSING.refused(tenant, digest(ticket), now)
        raise
    return show(_done(request, found))


handlers = [setup_page, set_up]


def _is_good(connection: Connection, of: str, now: int) -> bool:
    return connection.execute(_FIND, {"of": of, "now": now}).first() is not None


def _make_operator(connection: Connection, of: str, account: NewAccount, event: Event) -> None:
    """Raised, everything is undone: the link stays good."""
    payload = connection.execute(_CLAIM, {"of": of, "now": account.now}).scalar_one_or_none()
    if payload is None or not create_account(connection, account):
        raise LinkUsed()
    connection.execute(_VERIFY, {"user": account.user_id})
    role = {"user_id": account.user_id, "role_id": payload["role_id"], "created_at": account.now}
    connection.execute(_NEW_ROLE, role)
    record(connection, event)


def _problems(email: str, password: str) -> Problems:
    if not is_email(email):
        return {"email": "email_malformed"}
    problem = problem_of(password, email)
    return {"password": problem} if problem else {}


async def _form(
    request: AnyRequest, ticket: str, email: str = "", problems: Problems | None = None
) -> Response[str]:
    tenant = tenant_of(request)
    settings = (await configuration(tenant)).settings
    browser = browser_of(request.scope["headers"], tenant.issuer)
    binding = browser.binding or new_binding()
    page = SignupPage(
        branding=branding_of(tenant, settings),
        action=PATH,
        form_token=form_token(tenant, binding, PATH, ticket),
        state=ticket,
        email=email,
        password_minimum=MINIMUM,
        problems=problems or {},
    )
    cookies = [] if browser.binding else [binding_cookie(binding, is_https=browser.is_https)]
    return show(page, status=400 if problems else 200, cookies=cookies)


def _done(request: AnyRequest, found: Configuration) -> MessagePage:
    return MessagePage(
        branding=branding_of(tenant_of(request), found.settings),
        heading="You are the first operator",
        text="Your account holds the role Platform Admin. Sign in with an application of the control plane.",
        done=True,
    )
