"""A new password by a link that is sent to the account's address, or that the tenant's own software asked for.

The link of a letter is made when the letter is sent, so that it stands nowhere else. It is good once, for an hour, and
only while the account is as it was: same address, same password. Using it changes the password and ends everything
that was begun with the old one, in one unit; that of a letter proves the address as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update

from core.crypto.sealing import DataKey
from core.errors import Forbidden, NotFound
from core.ids import digest, new_secret
from core.tenants import Tenant
from tenant_runtime.attack_protection import brute_force
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import configuration
from tenant_runtime.deliveries import Outgoing, enqueue
from tenant_runtime.dependencies import Services
from tenant_runtime.expiry import Lapsing, is_current
from tenant_runtime.limits import take
from tenant_runtime.login.accounts import find_account, set_password
from tenant_runtime.mail.letters import Contents
from tenant_runtime.mail.limits import PER_ADDRESS
from tenant_runtime.mail.queue import admit, posted
from tenant_runtime.mail.templates import LinkOptions, link_options
from tenant_runtime.mail.texts import Template
from tenant_runtime.management import escalation
from tenant_runtime.management.endings import end_logins
from tenant_runtime.models import Ticket, User
from tenant_runtime.oauth.backchannel_logout import Initiator

PATH = "/u/reset-password"
API_PATH = "/api/auth/reset-password"
KIND: Template = "password_reset"
"""Of the ticket, and of the letter that brings it."""

LIFETIME_MS = 3_600_000
NOTICE_MS = 86_400_000

_t = Ticket.__table__.c
_IS_GOOD = (
    _t.digest == bindparam("of"),
    _t.kind == KIND,
    _t.used_at.is_(None),
    is_current(Ticket.__table__),
)
_LAPSING = Lapsing(Ticket.__table__, _t.kind == KIND)
_FIND = select(_t.payload).where(*_IS_GOOD)
_CLAIM = update(Ticket.__table__).where(*_IS_GOOD).values(used_at=bindparam("now")).returning(_t.payload)
_VERIFY = (
    update(User.__table__)
    .where(User.__table__.c.user_id == bindparam("user"), User.__table__.c.email == bindparam("of"))
    .values(email_verified=True)
)


class ResetLinkUsed(Forbidden):
    code = "invalid_ticket"
    description = "This link was used, is too old, or your account has changed since. Ask for a new one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Somebody asked for a link to be sent to an address that may or may not be an account's."""

    connection_id: str
    connection_name: str
    email: str
    client_id: str | None
    client_name: str | None
    now: int
    ip: str
    user_agent: str | None
    request_id: str
    languages: str = ""
    redirect_to: str | None = None
    """Where the application itself asks for the new password (`/api/auth`); None: the page of this host."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What a link is for, as it stands in the ticket's row. `password` is the digest of the hash that it replaces.
    `asked_with`: the permissions of who asked for it, unless that is the user or the link goes to them by mail."""

    user_id: str
    connection_id: str
    connection_name: str
    client_id: str | None
    email: str
    password: str
    proves_address: bool = True
    result_url: str | None = None
    shows_email: bool = True
    organization: Mapping[str, str] = {}
    asked_with: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A link for an account, to be handed on by whoever asks for it."""

    connection_id: str
    connection_name: str
    email: str
    client_id: str | None
    result_url: str | None
    shows_email: bool
    proves_address: bool
    organization: Mapping[str, str]
    asked_with: frozenset[str] | None


async def ask(tenant: Tenant, services: Services, asked: Asked) -> None:
    """The same for every address. Raises `MailUnavailable`, and `RateLimited` after too many."""
    await admit(services, tenant, asked.ip, asked.now)
    about = {name: getattr(asked, name) for name in asked.__slots__ if name not in ("email", "now")}
    link = posted(KIND, asked.email, expires_at=asked.now + LIFETIME_MS, **about)
    await tenant.database.write(_ask, tenant.data_key, link, f"{KIND} {asked.connection_id}", asked.now)
    services.deliveries.soon(tenant)


def _ask(connection: Connection, data_key: DataKey, link: Outgoing, counted_as: str, now: int) -> None:
    take(connection, counted_as, link.recipient, now, PER_ADDRESS)
    enqueue(connection, data_key, link, now)


# --- When the letter is sent ---------------------------------------------------------------------------------------


async def write_link(tenant: Tenant, payload: Mapping[str, Any], now: int) -> Contents | None:
    """None: nobody can log in with this address, or they are blocked. The tenant's log says so, and nobody else."""
    secret, options = new_secret(), link_options(await configuration(tenant), KIND)
    if not await tenant.database.write(_make_ticket, digest(secret), payload, options, now):
        return None
    values = {"email": payload["to"], "minutes": str((options.lifetime_ms or LIFETIME_MS) // 60_000)}
    return Contents(template=KIND, values=values, link=link_of(tenant, secret, payload.get("redirect_to")))


def link_of(tenant: Tenant, secret: str, redirect_to: str | None = None) -> str:
    if redirect_to is None:
        return f"{tenant.primary_issuer}{PATH[1:]}?ticket={secret}"
    callback = quote(redirect_to, safe="")
    return f"{tenant.primary_issuer}{API_PATH[1:]}/{secret}?callbackURL={callback}"


async def write_notice(tenant: Tenant, payload: Mapping[str, Any], now: int) -> Contents | None:
    return Contents(template=payload["template"], values={"email": payload["to"]})


def _make_ticket(
    connection: Connection, of: str, payload: Mapping[str, Any], options: LinkOptions, now: int
) -> bool:
    email = payload["to"]
    account = find_account(connection, payload["connection_id"], email)
    is_good = account is not None and not account.blocked
    record(
        connection,
        Event(
            type="scpr" if is_good else "fcpr",
            created_at=now,
            description="A link to choose a new password was sent." if is_good else "No such account.",
            client_id=payload["client_id"],
            client_name=payload["client_name"],
            user_id=account.user_id if account is not None else None,
            user_name=email,
            connection=payload["connection_name"],
            ip=payload["ip"],
            user_agent=payload["user_agent"],
            request_id=payload["request_id"],
        ),
    )
    if account is None or not is_good:
        return False
    link = Link(
        user_id=account.user_id,
        connection_id=payload["connection_id"],
        connection_name=payload["connection_name"],
        client_id=payload["client_id"],
        email=email,
        password=_as_it_is(account.hash),
        result_url=options.result_url,
        shows_email=options.shows_email,
    )
    _keep(connection, of, link, now, now + (options.lifetime_ms or LIFETIME_MS))
    return True


def make_link(connection: Connection, of: str, wanted: Wanted, now: int, until: int) -> str:
    """`of` is the digest of the secret that `link_of` puts into the link. Answers whose it is; raises `NotFound`."""
    account = find_account(connection, wanted.connection_id, wanted.email)
    if account is None:
        raise NotFound("user")
    about = {name: getattr(wanted, name) for name in wanted.__slots__}
    link = Link(user_id=account.user_id, password=_as_it_is(account.hash), **about)
    _keep(connection, of, link, now, until)
    return link.user_id


def _keep(connection: Connection, of: str, link: Link, now: int, until: int) -> None:
    row = {"digest": of, "kind": KIND, "payload": msgspec.to_builtins(link), "created_at": now}
    connection.execute(insert(Ticket.__table__), {**row, "expires_at": until, "used_at": None})


def _as_it_is(password_hash: str | None) -> str:
    return digest(password_hash or "")


# --- When the link is followed -------------------------------------------------------------------------------------


async def look_at(tenant: Tenant, of: str, now: int) -> Link:
    try:
        return await tenant.database.read(_look_at, of, now)
    except ResetLinkUsed:
        await _LAPSING.refused(tenant, of, now)
        raise


def _look_at(connection: Connection, of: str, now: int) -> Link:
    payload = connection.execute(_FIND, {"of": of, "now": now}).scalar_one_or_none()
    return _good(connection, payload)


def change_password(
    connection: Connection, of: str, new_hash: str, event: Event, notice: Outgoing | None, tenant: Tenant
) -> None:
    """Raised, everything is undone."""
    now = event.created_at
    payload = connection.execute(_CLAIM, {"of": of, "now": now}).scalar_one_or_none()
    good = _good(connection, payload)
    set_password(connection, good.user_id, new_hash, now)
    if good.proves_address:
        connection.execute(_VERIFY, {"user": good.user_id, "of": good.email})
    brute_force.unblock(connection, good.user_id)
    end_logins(connection, tenant.data_key, good.user_id, now, why=Initiator.PASSWORD_CHANGED)
    record(connection, event)
    if notice is not None:
        enqueue(connection, tenant.data_key, notice, now)


def _good(connection: Connection, payload: Mapping[str, Any] | None) -> Link:
    if payload is None:
        raise ResetLinkUsed()
    link = msgspec.convert(payload, Link)
    account = find_account(connection, link.connection_id, link.email)
    if account is None or account.blocked or account.user_id != link.user_id:
        raise ResetLinkUsed()
    if _as_it_is(account.hash) != link.password:
        raise ResetLinkUsed()
    asked_with = link.asked_with
    if asked_with is not None and not escalation.may_sign_in_as(connection, asked_with, link.user_id):
        raise ResetLinkUsed()
    return link
