"""Letters about requests to join: to those who decide, and to the person when it is decided.

Put on their way in the unit that acts; written when they are sent, and then only if they are still true.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from core.crypto.sealing import DataKey
from core.tenants import Tenant
from tenant_runtime.configuration import Configuration
from tenant_runtime.deliveries import enqueue
from tenant_runtime.dependencies import Services
from tenant_runtime.mail.letters import Contents
from tenant_runtime.mail.names import in_letter
from tenant_runtime.mail.queue import posted
from tenant_runtime.models import JoinRequest, Membership, MembershipOrganizationRole, Organization, User
from tenant_runtime.organizations.access import ADMIN, OWNER
from tenant_runtime.organizations.members import NO_PLAIN_MEMBERS

LIFETIME_MS = 2 * 86_400_000
MOST_APPROVERS = 10
"""Owners and admins, those who have been there longest."""

_j, _o, _u, _m, _h = (
    model.__table__.c for model in (JoinRequest, Organization, User, Membership, MembershipOrganizationRole)
)
_APPROVERS = (
    select(_u.user_id, _u.email, _m.created_at)
    .distinct()
    .join(Membership.__table__, _m.user_id == _u.user_id)
    .join(MembershipOrganizationRole.__table__, _h.membership_id == _m.id)
    .where(
        _m.id.in_(NO_PLAIN_MEMBERS),
        _h.role.in_((OWNER, ADMIN)),
        _u.blocked.is_(False),
        _u.email_verified.is_(True),
        _u.email.is_not(None),
    )
    .order_by(_m.created_at, _u.user_id)
    .limit(MOST_APPROVERS)
)
_ABOUT = (
    select(_j.status, _j.user_id, _u.name, _u.email, _o.name.label("slug"), _o.display_name)
    .join(User.__table__, _u.user_id == _j.user_id)
    .join(Organization.__table__, _o.id == _j.organization_id)
    .where(_j.id == bindparam("request"))
)
_EMAIL = select(_u.email).where(_u.user_id == bindparam("user"), _u.email_verified.is_(True))


@dataclass(frozen=True, slots=True)
class Post:
    """Whether there is anybody to send letters."""

    data_key: DataKey = field(repr=False)
    is_there: bool

    @classmethod
    def of(cls, tenant: Tenant, services: Services, current: Configuration) -> "Post":
        return cls(tenant.data_key, services.mail.are_there(tenant, current))


def tell_approvers(
    connection: Connection, post: Post, organization_id: str, request_id: str, now: int
) -> None:
    if not post.is_there:
        return
    for row in connection.execute(_APPROVERS, {"organization": organization_id}).all():
        about = {"request_id": request_id, "user_id": row.user_id, "client_id": None}
        letter = posted("join_request", row.email, expires_at=now + LIFETIME_MS, **about)
        enqueue(connection, post.data_key, letter, now)


def tell_person(
    connection: Connection, post: Post, request: Row[Any], now: int, *, is_approved: bool
) -> None:
    email = connection.execute(_EMAIL, {"user": request.user_id}).scalar_one_or_none()
    if not post.is_there or email is None:
        return
    about = {"request_id": request.id, "user_id": request.user_id, "client_id": None}
    template: Any = "join_approved" if is_approved else "join_rejected"
    enqueue(connection, post.data_key, posted(template, email, expires_at=now + LIFETIME_MS, **about), now)


async def write_letter(tenant: Tenant, payload: Mapping[str, Any], now: int) -> Contents | None:
    """None: it is not so any more."""
    row = await tenant.database.read(_about, payload["request_id"])
    wanted = _STATUS[payload["template"]]
    if row is None or row.status != wanted:
        return None
    name, email = in_letter(row.name), row.email or row.user_id
    person = f"{name} ({email})" if name and name != email else email
    values = {
        "person": person,
        "organization": in_letter(row.display_name, row.slug),
        "email": payload["to"],
    }
    return Contents(template=payload["template"], values=values)


_STATUS = {"join_request": "pending", "join_approved": "approved", "join_rejected": "rejected"}


def _about(connection: Connection, request_id: str) -> Any | None:
    return connection.execute(_ABOUT, {"request": request_id}).one_or_none()
