"""Who is in an organization, as the unit that asks sees it: membership is never taken from a session."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, union_all

from core.database import Prepared
from tenant_runtime.models import Membership, MembershipOrganizationRole, OrganizationRole
from tenant_runtime.organizations.access import MEMBER, Permissions, Statements, of_roles, permits
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.roles.names import normalized

_m = Membership.__table__.c
_held = MembershipOrganizationRole.__table__.c
_defined = OrganizationRole.__table__.c
_IN_IT = _m.organization_id == bindparam("organization")
NO_PLAIN_MEMBERS = union_all(
    select(_m.id).where(_IN_IT, _m.role < MEMBER), select(_m.id).where(_IN_IT, _m.role > MEMBER)
)
"""Those who are more or something else: few, whom an index has apart, however large the organization is."""

_COLUMNS = (_m.id, _m.organization_id, _m.user_id, _m.created_at, _held.role)
_WITH_ROLES = Membership.__table__.outerjoin(
    MembershipOrganizationRole.__table__, _held.membership_id == _m.id
)
_MEMBERS = select(*_COLUMNS).select_from(_WITH_ROLES).order_by(_held.role)
_OF_USER = Prepared(
    _MEMBERS.where(_m.organization_id == bindparam("organization"), _m.user_id == bindparam("user"))
)
_BY_ID = Prepared(_MEMBERS.where(_m.id == bindparam("member")))
_DEFINED = Prepared(
    select(_defined.role, _defined.permission).where(_defined.organization_id == bindparam("organization"))
)


@dataclass(frozen=True, slots=True)
class Member:
    id: str
    organization_id: str
    user_id: str
    roles: tuple[str, ...]
    created_at: int

    @property
    def role(self) -> str:
        """As the wire has it: several are joined by commas."""
        return ",".join(self.roles)


def member_of(connection: Connection, organization_id: str, user_id: str) -> Member | None:
    return _member(_OF_USER.rows(connection, {"organization": organization_id, "user": user_id}))


def member_by_id(connection: Connection, member_id: str) -> Member | None:
    return _member(_BY_ID.rows(connection, {"member": member_id}))


def defined_roles(connection: Connection, organization_id: str) -> dict[str, Mapping[str, Any]]:
    """Those that the organization made for itself: permission by name."""
    rows = _DEFINED.rows(connection, {"organization": organization_id})
    return {row.role: row.permission for row in rows}


def statements_of(connection: Connection, member: Member, options: OrganizationOptions) -> list[Statements]:
    """What each role of the member's permits, now."""
    return of_roles(member.roles, options, defined_roles(connection, member.organization_id))


def may(connection: Connection, member: Member, options: OrganizationOptions, asked: Permissions) -> bool:
    return permits(statements_of(connection, member, options), asked)


def in_wire_order(roles: Iterable[str]) -> tuple[str, ...]:
    """Each once, in one order: as they are stored."""
    parts = (part.strip() for role in roles for part in normalized(role).split(","))
    return tuple(sorted({name for name in parts if name}))


def _member(rows: list[Row[Any]]) -> Member | None:
    """Whoever has no role row (made by an earlier release) is a plain member."""
    if not rows:
        return None
    first = rows[0]
    roles = tuple(row.role for row in rows if row.role is not None) or (MEMBER,)
    return Member(first.id, first.organization_id, first.user_id, roles, first.created_at)
