"""The letter of an invitation: put on its way in the unit that invites, written when it is sent.

Its link leads to the application that the invitation names, if that takes people in, else to our own page. What is in
the link proves the address (`tickets`); what whoever invites is shown (`shown_link`) does not. An installation that
sends such letters itself is handed one at the same moment, and again until it takes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from core.clock import Clock, now_ms
from core.crypto.sealing import DataKey
from core.tenants import Tenant
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.deliveries import Outgoing, Sender, enqueue
from tenant_runtime.dependencies import Services
from tenant_runtime.limits import Limit, take
from tenant_runtime.login.client_card import way_on
from tenant_runtime.mail.letters import Contents
from tenant_runtime.mail.limits import PER_ADDRESS
from tenant_runtime.mail.names import in_letter
from tenant_runtime.mail.queue import posted
from tenant_runtime.models import User
from tenant_runtime.oauth.authorization.redirect_uris import with_query
from tenant_runtime.organizations.hooks import Hooks
from tenant_runtime.organizations.invitations.tickets import Found, allow_secret, find, secret_of
from tenant_runtime.organizations.wire.shapes import date
from tenant_runtime.registration.rates import Rate

PATH = "/u/invitation"
KIND = "invitation"
"""Of the delivery, of the letter, and of what is counted."""

PER_INVITER = Rate(500, 3600)
"""What one person asks for, in whatever organization, be it refused: nobody uses up what others may. Of one process."""

LETTERS_PER_INVITER = (Limit(500, 3_600_000),)
"""What goes out, of however many processes."""

_u = User.__table__.c
_NAME = select(_u.name, _u.email).where(_u.user_id == bindparam("user"))
_READER = select(_u.user_id).where(_u.email == bindparam("to")).order_by(_u.created_at).limit(1)


@dataclass(frozen=True, slots=True)
class Post:
    """Whether there is anybody to send letters of invitation."""

    data_key: DataKey = field(repr=False)
    is_there: bool

    @classmethod
    def of(cls, tenant: Tenant, services: Services, current: Configuration) -> "Post":
        sends = services.organization_hooks.sends_invitations or services.mail.are_there(tenant, current)
        return cls(tenant.data_key, sends)


# --- In the unit that invites --------------------------------------------------------------------------------------


def put_on_its_way(
    connection: Connection, post: Post, row: Row[Any], now: int, *, inviter: str | None = None
) -> None:
    """Raises `RateLimited` where the address had as many as it may, or the person who asks for it sent as many.
    `Deliveries.soon` after the commit."""
    if not post.is_there:
        return
    if inviter is not None:
        take(connection, "inviter", inviter, now, LETTERS_PER_INVITER)
    take(connection, KIND, row.email, now, PER_ADDRESS)
    enqueue(connection, post.data_key, _outgoing(connection, row), now)


def _outgoing(connection: Connection, row: Row[Any]) -> Outgoing:
    reader = connection.execute(_READER, {"to": row.email}).scalar_one_or_none()
    about = {"invitation_id": row.id, "client_id": row.client_id, "user_id": reader}
    return replace(posted("invitation", row.email, expires_at=row.expires_at, **about), kind=KIND)


# --- When the letter is sent ---------------------------------------------------------------------------------------


def invitation_sender(hooks: Hooks, by_mail: Sender, clock: Clock) -> Sender:
    async def send(tenant: Tenant, payload: Mapping[str, Any]) -> None:
        if not hooks.sends_invitations:
            await by_mail(tenant, payload)
            return
        told = await letter_of(tenant, payload["invitation_id"], now_ms(clock))
        if told is not None:
            await hooks.send_invitation(told, {"tenant": tenant.id})

    return send


async def letter_of(tenant: Tenant, invitation_id: str, now: int) -> dict[str, Any] | None:
    """What code of the installation's own needs to write it. None: there is nothing to answer any more."""
    secret = secret_of(tenant.data_key, invitation_id)
    looked = await tenant.database.write(_allow, invitation_id, secret, now)
    return None if looked is None else _told(tenant, await configuration(tenant), looked, secret)


async def write_letter(tenant: Tenant, payload: Mapping[str, Any], now: int) -> Contents | None:
    """None: there is nothing to answer any more."""
    invitation_id, current = payload["invitation_id"], await configuration(tenant)
    secret = secret_of(tenant.data_key, invitation_id)
    looked = await tenant.database.write(_allow, invitation_id, secret, now)
    if looked is None:
        return None
    row = looked.found.row
    organization = in_letter(looked.found.organization_label, row.organization_name)
    names = {"name": row.organization_name, "display_name": organization}
    return Contents(
        template="invitation",
        values={
            "email": payload["to"],
            "inviter": in_letter(looked.inviter_name, organization),
            "organization": organization,
            "until": datetime.fromtimestamp(row.expires_at / 1000, UTC).strftime("%Y-%m-%d %H:%M"),
        },
        link=link_to(tenant, current, row, secret),
        variables={
            "inviter": {"name": in_letter(looked.inviter_name) or None},
            "organization": {"id": row.organization_id, **names, "branding": row.organization_branding},
        },
    )


def link_to(tenant: Tenant, current: Configuration, row: Row[Any], shown: str) -> str:
    """Auth0's form where it leads to an application, which hands it on to /authorize."""
    address = way_on(current.clients.get(row.client_id or ""))
    if address is None:
        return f"{tenant.primary_issuer}{PATH[1:]}?ticket={shown}"
    names = {"organization": row.organization_id, "organization_name": row.organization_name}
    return with_query(address, {"invitation": shown, **names})


@dataclass(frozen=True, slots=True)
class _Looked:
    found: Found
    inviter_name: str | None
    inviter_email: str | None


def _allow(connection: Connection, invitation_id: str, secret: str, now: int) -> _Looked | None:
    if not allow_secret(connection, invitation_id, secret, now):
        return None
    found = find(connection, invitation_id)
    assert found is not None
    inviter = connection.execute(_NAME, {"user": found.row.inviter_id}).one_or_none()
    name = found.row.inviter_name or (inviter and (inviter.name or inviter.email))
    return _Looked(found, name, inviter and inviter.email)


def _told(tenant: Tenant, current: Configuration, looked: _Looked, secret: str) -> dict[str, Any]:
    """To the installation's own code: what a letter needs. The link is for the eyes of the invited address only."""
    row = looked.found.row
    return {
        "id": row.id,
        "email": row.email,
        "role": row.role,
        "organization": {
            "id": row.organization_id,
            "slug": row.organization_name,
            "name": looked.found.organization_label,
        },
        "inviter": {"id": row.inviter_id, "name": looked.inviter_name, "email": looked.inviter_email},
        "expiresAt": date(row.expires_at),
        "url": link_to(tenant, current, row, secret),
    }
