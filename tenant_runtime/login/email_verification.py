"""An address is proved by a link that was sent there, or that the tenant's own software asked for (a ticket).

The link of a letter is made when the letter is sent, so that it stands nowhere else. It opens a page, and only that
page's form uses it up: what fetches every link of a mail proves nothing. It is good once, and only while the user has
the address that it was made for (`specs/bad-inputs.md` 110).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from core.crypto.sealing import DataKey
from core.errors import Forbidden, InvalidInput, NotFound, RateLimited
from core.ids import digest, new_id, new_secret
from core.tenants import Tenant
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import configuration
from tenant_runtime.deliveries import Outgoing, enqueue
from tenant_runtime.dependencies import Services
from tenant_runtime.expiry import Lapsing, is_current
from tenant_runtime.limits import take
from tenant_runtime.login.accounts import NewAccount, find_account, is_taken, move_identities
from tenant_runtime.mail.letters import Contents
from tenant_runtime.mail.limits import PER_ADDRESS
from tenant_runtime.mail.queue import MailUnavailable, admit, posted
from tenant_runtime.mail.templates import LinkOptions, link_options
from tenant_runtime.mail.texts import Template
from tenant_runtime.management.endings import end_logins
from tenant_runtime.models import Identity, Session, Ticket, User
from tenant_runtime.oauth.backchannel_logout import Initiator

PATH = "/u/email-verification"
KIND = "email_verification"
LIFETIME_MS = 432_000_000
"""Five days, as Auth0's."""

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000

_t, _u, _i, _s = (model.__table__.c for model in (Ticket, User, Identity, Session))
_IS_GOOD = (
    _t.digest == bindparam("of"),
    _t.kind == KIND,
    _t.used_at.is_(None),
    is_current(Ticket.__table__),
)
_LAPSING = Lapsing(Ticket.__table__, _t.kind == KIND)
_FIND = select(_t.payload).where(*_IS_GOOD)
_CLAIM = update(Ticket.__table__).where(*_IS_GOOD).values(used_at=bindparam("now")).returning(_t.payload)
_USER = select(_u.user_id, _u.email, _u.email_verified, _u.blocked).where(_u.user_id == bindparam("user"))
_IDENTITY = select(_i.user_id).where(
    _i.user_id == bindparam("user"),
    _i.provider == bindparam("of_provider"),
    _i.provider_user_id == bindparam("of"),
)
_STANDS = select(_s.id).where(_s.id == bindparam("session"), _s.ended_at.is_(None))
_VERIFY = (
    update(User.__table__)
    .where(_u.user_id == bindparam("user"), _u.email == bindparam("of"))
    .values(email_verified=True, updated_at=bindparam("now"))
)


class VerificationLinkUsed(Forbidden):
    code = "invalid_ticket"
    description = "This link was used, is too old, or your address has changed since. Ask for a new one."


class Verification(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a link is for. `result_url`: where the browser goes afterwards, if that still is the tenant's address."""

    user_id: str
    email: str
    client_id: str | None = None
    result_url: str | None = None
    shows_email: bool = True
    organization: Mapping[str, str] = {}
    new_email: str | None = None
    """Of a user who wants another address: they have it when it is proved, and no sooner."""

    session_id: str | None = None
    """Of the session in which they said so."""

    @property
    def proves(self) -> str:
        return self.new_email or self.email


@dataclass(frozen=True, slots=True)
class OfIdentity:
    """A user's identity, by Auth0's names."""

    provider: str
    user_id: str


# --- In the unit that asks for it ----------------------------------------------------------------------------------


def send_verification(
    connection: Connection,
    data_key: DataKey,
    user_id: str,
    now: int,
    *,
    client_id: str | None = None,
    identity: OfIdentity | None = None,
    template: Template = "verify_email",
) -> None:
    """Queues the letter to the user's address. `require_mail` before the unit, `Deliveries.soon` after the commit.
    Raises `NotFound` for a user or an identity that is not there, `InvalidInput` for a user without an address, and
    `RateLimited` where the address had as many as it may."""
    email = address_of(connection, user_id, identity)
    queue_letter(connection, data_key, verification_letter(user_id, email, now, client_id, template), now)


def verification_letter(
    user_id: str | None,
    email: str,
    now: int,
    client_id: str | None,
    template: Template = "verify_email",
    languages: str = "",
    **about: Any,
) -> Outgoing:
    """Without a user: whoever has the address in the connection `connection_id`, if anybody. `result_url` goes before
    the template's."""
    of_user = {"user_id": user_id, "client_id": client_id, **about}
    return posted(template, email, expires_at=now + _DAY_MS, languages=languages, **of_user)


def letter_to_new_address(
    user_id: str,
    email: str,
    new_email: str,
    now: int,
    *,
    session_id: str,
    languages: str,
    result_url: str | None,
) -> Outgoing:
    about = {"old_email": email, "session_id": session_id, "result_url": result_url}
    return verification_letter(user_id, new_email, now, None, "new_email", languages, **about)


def queue_letter(connection: Connection, data_key: DataKey, letter: Outgoing, now: int) -> None:
    """As many as an address may have, whosever it is."""
    take(connection, KIND, letter.recipient, now, PER_ADDRESS)
    enqueue(connection, data_key, letter, now)


async def letter_at_signup(
    services: Services, tenant: Tenant, ip: str, account: NewAccount, client_id: str | None, languages: str
) -> Outgoing | None:
    """None where there is no mail, or too much of it is asked for: the account is made all the same."""
    try:
        await admit(services, tenant, ip, account.now)
    except (MailUnavailable, RateLimited):
        return None
    return verification_letter(account.user_id, account.email, account.now, client_id, languages=languages)


def address_of(connection: Connection, user_id: str, identity: OfIdentity | None = None) -> str:
    """An identity has no address of its own to be proved: naming one only has to be right."""
    user = _user(connection, user_id)
    if user is None:
        raise NotFound("user")
    if identity is not None:
        values = {"user": user_id, "of_provider": identity.provider, "of": identity.user_id}
        if connection.execute(_IDENTITY, values).first() is None:
            raise NotFound("identity", "The user has no such identity.")
    if not user.email:
        raise InvalidInput("This user has no e-mail address.")
    return str(user.email)


def make_ticket(connection: Connection, of: str, verification: Verification, now: int, until: int) -> None:
    """`of` is the digest of the secret that `link_of` puts into the link."""
    payload = msgspec.to_builtins(verification)
    row = {"digest": of, "kind": KIND, "payload": payload, "created_at": now, "used_at": None}
    connection.execute(insert(Ticket.__table__), {**row, "expires_at": until})


def link_of(tenant: Tenant, secret: str) -> str:
    return f"{tenant.primary_issuer}{PATH[1:]}?ticket={secret}"


# --- When the letter is sent ---------------------------------------------------------------------------------------


async def write_letter(tenant: Tenant, payload: Mapping[str, Any], now: int) -> Contents | None:
    """None: there is nothing to prove any more."""
    secret, options = new_secret(), link_options(await configuration(tenant), payload["template"])
    if not await tenant.database.write(_make_ticket_of_letter, digest(secret), payload, options, now):
        return None
    values = {"email": payload["to"], "hours": str((options.lifetime_ms or LIFETIME_MS) // _HOUR_MS)}
    return Contents(template=payload["template"], values=values, link=link_of(tenant, secret))


def _make_ticket_of_letter(
    connection: Connection, of: str, payload: Mapping[str, Any], options: LinkOptions, now: int
) -> bool:
    user = _reader(connection, payload)
    if user is None:
        return False
    asked = Verification(
        user_id=user.user_id,
        email=user.email,
        client_id=payload["client_id"],
        result_url=payload.get("result_url") or options.result_url,
        shows_email=options.shows_email,
        new_email=payload["to"] if payload["template"] == "new_email" else None,
        session_id=payload.get("session_id"),
    )
    make_ticket(connection, of, asked, now, now + (options.lifetime_ms or LIFETIME_MS))
    record(
        connection,
        Event(
            type="svr",
            created_at=now,
            description="A link to verify the address was sent.",
            client_id=asked.client_id,
            user_id=asked.user_id,
            user_name=asked.proves,
        ),
    )
    return True


def _reader(connection: Connection, payload: Mapping[str, Any]) -> Any | None:
    """The user for whom there is something to prove; None for nobody."""
    to, user_id = payload["to"], payload["user_id"]
    if user_id is None:
        account = find_account(connection, payload["connection_id"], to)
        user_id = account.user_id if account is not None else None
    user = _user(connection, user_id)
    if user is None or user.blocked:
        return None
    if payload["template"] == "new_email":
        has_moved = user.email != payload["old_email"] or is_taken(connection, user.user_id, to)
        return user if not has_moved and _stands(connection, payload.get("session_id")) else None
    return user if user.email == to and not user.email_verified else None


# --- When the link is followed -------------------------------------------------------------------------------------


async def look_at(tenant: Tenant, of: str, now: int) -> Verification:
    try:
        return await tenant.database.read(_look_at, of, now)
    except VerificationLinkUsed:
        await _LAPSING.refused(tenant, of, now)
        raise


def _look_at(connection: Connection, of: str, now: int) -> Verification:
    return _good(connection, connection.execute(_FIND, {"of": of, "now": now}).scalar_one_or_none())


def verify(connection: Connection, of: str, event: Event, data_key: DataKey) -> None:
    """Raised, everything is undone. With a new address everything ends that was begun with the old one
    (`Deliveries.soon` after the commit)."""
    now = event.created_at
    good = _good(connection, connection.execute(_CLAIM, {"of": of, "now": now}).scalar_one_or_none())
    if good.new_email is not None:
        _tell_old_address(connection, good, now, data_key)
        _change_address(connection, good, good.new_email, now)
        end_logins(connection, data_key, good.user_id, now, why=Initiator.EMAIL_CHANGED)
        record(
            connection, replace(event, id=new_id("log"), type="sce", description="The address was changed.")
        )
    connection.execute(_VERIFY, {"user": good.user_id, "of": good.proves, "now": now})
    record(connection, event)


def has_expired(connection: Connection, of: str, now: int) -> bool:
    """Whether it was good once, and nobody came in time."""
    row = connection.execute(
        select(_t.expires_at, _t.used_at).where(_t.digest == of, _t.kind == KIND)
    ).first()
    return (
        row is not None and row.expires_at <= now and (row.used_at is None or row.used_at >= row.expires_at)
    )


def _tell_old_address(connection: Connection, good: Verification, now: int, data_key: DataKey) -> None:
    """Who took over somebody's session would else take the account without a sound."""
    user = _user(connection, good.user_id)
    if user is None or not user.email_verified:
        return
    about: dict[str, Any] = {"user_id": good.user_id, "client_id": good.client_id}
    notice = posted("email_changed", good.email, expires_at=now + _DAY_MS, **about)
    enqueue(connection, data_key, notice, now)


def _change_address(connection: Connection, good: Verification, new_email: str, now: int) -> None:
    try:
        move_identities(connection, good.user_id, good.email, new_email)
    except IntegrityError:
        raise VerificationLinkUsed() from None
    values = {"email": new_email, "updated_at": now}
    connection.execute(update(User.__table__).where(_u.user_id == good.user_id).values(values))


def _good(connection: Connection, payload: Mapping[str, Any] | None) -> Verification:
    if payload is None:
        raise VerificationLinkUsed()
    good = msgspec.convert(payload, Verification)
    user = _user(connection, good.user_id)
    if user is None or user.blocked or user.email != good.email:
        raise VerificationLinkUsed()
    if good.new_email is not None and not _stands(connection, good.session_id):
        raise VerificationLinkUsed()
    return good


def _stands(connection: Connection, session_id: str | None) -> bool:
    """Whether nobody has ended it. Whoever lost the account by a new password would else take it back by a link."""
    return connection.execute(_STANDS, {"session": session_id}).first() is not None


def _user(connection: Connection, user_id: str | None) -> Any | None:
    return connection.execute(_USER, {"user": user_id}).one_or_none()
