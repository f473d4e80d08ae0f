"""Members with what is known of them as users, and how many of them own."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, exists, select

from core.database import Prepared
from tenant_runtime.login.emails import normal_email
from tenant_runtime.models import Membership, MembershipOrganizationRole, User
from tenant_runtime.organizations.access import MEMBER, OWNER
from tenant_runtime.organizations.members import NO_PLAIN_MEMBERS, Member, member_by_id, member_of
from tenant_runtime.organizations.wire.errors import ApiError, refusal

_m, _u, _held = (model.__table__.c for model in (Membership, User, MembershipOrganizationRole))
_USER = Prepared(select(_u.user_id, _u.name, _u.email, _u.picture).where(_u.user_id == bindparam("user")))
_BY_EMAIL = Prepared(
    select(_m.user_id, _m.created_at, _m.id).where(
        _m.organization_id == bindparam("organization"),
        _m.user_id.in_(select(_u.user_id).where(_u.email == bindparam("address"))),
    )
)
_ANOTHER_OWNER = Prepared(
    select(_m.id)
    .join(MembershipOrganizationRole.__table__, _held.membership_id == _m.id)
    .where(
        _m.id.in_(NO_PLAIN_MEMBERS),
        _m.id != bindparam("member"),
        _held.role == OWNER,
    )
    .limit(1)
)
_other, _theirs = Membership.__table__.alias(), MembershipOrganizationRole.__table__.alias()


def _owned_beside(role: ColumnElement[bool]) -> ColumnElement[bool]:
    another = exists().select_from(_other.join(_theirs, _theirs.c.membership_id == _other.c.id))
    same = (_other.c.organization_id == _m.organization_id, _other.c.id != _m.id)
    return another.where(*same, role, _theirs.c.role == OWNER)


_LAST_ANYWHERE = Prepared(
    select(_m.id)
    .join(MembershipOrganizationRole.__table__, _held.membership_id == _m.id)
    .where(
        _m.user_id == bindparam("user"),
        _held.role == OWNER,
        ~_owned_beside(_other.c.role < MEMBER),
        ~_owned_beside(_other.c.role > MEMBER),
    )
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Person:
    """What an organization's people see of each other."""

    user_id: str
    name: str | None
    email: str | None
    image: str | None


def no_member(code: str = "MEMBER_NOT_FOUND") -> ApiError:
    return refusal(400, code)


def caller_of(connection: Connection, organization_id: str, user_id: str) -> Member:
    caller = member_of(connection, organization_id, user_id)
    if caller is None:
        raise no_member()
    return caller


def person_of(connection: Connection, user_id: str) -> Person:
    row = _USER.first(connection, {"user": user_id})
    if row is None:
        raise no_member()
    return Person(*row)


def member_named(connection: Connection, organization_id: str, id_or_email: str) -> Member | None:
    """By address among the organization's own; by id whosoever: what is another organization's is told apart later."""
    if "@" not in id_or_email:
        return member_by_id(connection, id_or_email)
    values = {"organization": organization_id, "address": normal_email(id_or_email)}
    found = _BY_EMAIL.rows(connection, values)
    if not found:
        return None
    first = min(found, key=lambda row: (row.created_at, row.id))
    return member_of(connection, organization_id, first.user_id)


def is_last_owner(connection: Connection, member: Member) -> bool:
    if OWNER not in member.roles:
        return False
    values = {"organization": member.organization_id, "member": member.id}
    return _ANOTHER_OWNER.first(connection, values) is None


def is_last_owner_anywhere(connection: Connection, user_id: str) -> bool:
    return _LAST_ANYWHERE.first(connection, {"user": user_id}) is not None
