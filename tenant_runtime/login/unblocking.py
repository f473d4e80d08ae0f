"""The owner of an account ends the wait that wrong passwords brought about, by a link that only they are sent.

As with a password reset the link is made when the letter is sent; it opens a page, and only that page's form uses it.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

from litestar import Request, Response, get, post
from sqlalchemy import Connection, bindparam, insert, select, update

from core.clock import now_ms
from core.errors import Forbidden
from core.ids import digest, new_secret
from core.tenants import Tenant
from tenant_runtime.attack_protection import brute_force
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import configuration
from tenant_runtime.dependencies import client_ip_of, request_id_of, services_of, tenant_of
from tenant_runtime.expiry import Lapsing, is_current
from tenant_runtime.login.answers import branding_of, show, speech_of
from tenant_runtime.login.cookies import binding_cookie, browser_of, new_binding
from tenant_runtime.login.forms import FORM_LIMIT, check_token, form_token, submitted
from tenant_runtime.login.pages import FormPage, MessagePage
from tenant_runtime.mail.letters import Contents
from tenant_runtime.models import Ticket, User
from tenant_runtime.oauth.body import parse_form

PATH = "/u/unblock"
KIND = "unblock"
_HOUR_MS = 3_600_000
LIFETIME_MS = 24 * _HOUR_MS

AnyRequest = Request[Any, Any, Any]

_t, _u = Ticket.__table__.c, User.__table__.c
_IS_GOOD = (
    _t.digest == bindparam("of"),
    _t.kind == KIND,
    _t.used_at.is_(None),
    is_current(Ticket.__table__),
)
_LAPSING = Lapsing(Ticket.__table__, _t.kind == KIND)
_FIND = select(_t.payload).where(*_IS_GOOD)
_CLAIM = update(Ticket.__table__).where(*_IS_GOOD).values(used_at=bindparam("now")).returning(_t.payload)
_USER = select(_u.user_id, _u.email, _u.blocked).where(_u.user_id == bindparam("user"))


class UnblockLinkUsed(Forbidden):
    code = "invalid_ticket"
    description = "This link was used or is too old."


@dataclass(frozen=True, slots=True)
class UnblockPage(FormPage):
    """Posts nothing but that it was sent; `state` is the link's secret."""

    template: ClassVar[str] = "unblock.html"

    _: KW_ONLY
    email: str


# --- When the letter is sent ---------------------------------------------------------------------------------------


async def write_link(tenant: Tenant, payload: Mapping[str, Any], now: int) -> Contents | None:
    secret = new_secret()
    if not await tenant.database.write(_make_ticket, digest(secret), payload, now):
        return None
    values = {"email": payload["to"], "ip": payload["ip"], "hours": str(LIFETIME_MS // _HOUR_MS)}
    link = f"{tenant.primary_issuer}{PATH[1:]}?ticket={secret}"
    return Contents(template="blocked_account", values=values, link=link)


def _make_ticket(connection: Connection, of: str, payload: Mapping[str, Any], now: int) -> bool:
    user = connection.execute(_USER, {"user": payload["user_id"]}).one_or_none()
    if user is None or user.blocked or user.email != payload["to"]:
        return False
    stands_for = {"user_id": user.user_id, "email": user.email}
    row = {"digest": of, "kind": KIND, "payload": stands_for, "created_at": now, "used_at": None}
    connection.execute(insert(Ticket.__table__), {**row, "expires_at": now + LIFETIME_MS})
    return True


# --- When it is followed -------------------------------------------------------------------------------------------


@get(PATH, include_in_schema=False)
async def unblock_page(request: AnyRequest) -> Response[str]:
    tenant = tenant_of(request)
    ticket = parse_form(request.scope["query_string"]).get("ticket", "")
    email = await _look_at(tenant, digest(ticket), _now(request))
    browser = browser_of(request.scope["headers"], tenant.issuer)
    binding = browser.binding or new_binding()
    found = await configuration(tenant)
    page = UnblockPage(
        branding=branding_of(tenant, found.settings),
        speech=speech_of(request, found),
        action=PATH,
        form_token=form_token(tenant, binding, PATH, ticket),
        state=ticket,
        email=email,
    )
    return show(page, cookies=[] if browser.binding else [binding_cookie(binding, is_https=browser.is_https)])


@post(PATH, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def unblock(request: AnyRequest) -> Response[str]:
    tenant = tenant_of(request)
    fields = await submitted(request, tenant)
    ticket = fields.get("state", "")
    check_token(tenant, fields, browser_of(request.scope["headers"], tenant.issuer).binding, PATH, ticket)
    await _look_at(tenant, digest(ticket), _now(request))
    event = Event(
        type="sapi",
        created_at=_now(request),
        description="The owner of an account ended its block.",
        ip=client_ip_of(request),
        request_id=request_id_of(request),
    )
    await tenant.database.write(_unblock, digest(ticket), event)
    found = await configuration(tenant)
    speech, branding = speech_of(request, found), branding_of(tenant, found.settings)
    texts = speech.of("unblock_done", company=branding.display_name)
    done = MessagePage(
        branding=branding,
        speech=speech,
        heading=texts.say("unblock_done_title"),
        text=texts.say("unblock_done_lead"),
        done=True,
    )
    return show(done)


handlers = [unblock_page, unblock]


def _now(request: AnyRequest) -> int:
    return now_ms(services_of(request).clock)


async def _look_at(tenant: Tenant, of: str, now: int) -> str:
    """Whose account it is."""
    try:
        return await tenant.database.read(_find, of, now)
    except UnblockLinkUsed:
        await _LAPSING.refused(tenant, of, now)
        raise


def _find(connection: Connection, of: str, now: int) -> str:
    payload = connection.execute(_FIND, {"of": of, "now": now}).scalar_one_or_none()
    if payload is None:
        raise UnblockLinkUsed()
    return str(payload["email"])


def _unblock(connection: Connection, of: str, event: Event) -> None:
    payload = connection.execute(_CLAIM, {"of": of, "now": event.created_at}).scalar_one_or_none()
    if payload is None:
        raise UnblockLinkUsed()
    brute_force.unblock(connection, payload["user_id"])
    record(connection, replace(event, user_id=payload["user_id"], user_name=payload["email"]))
