"""Single questions about a member: who am I here, what is somebody, may I."""

from dataclasses import dataclass

from sqlalchemy import Connection

from tenant_runtime.organizations.access import Permissions
from tenant_runtime.organizations.acting import Acting, check_standing
from tenant_runtime.organizations.lifecycle.rows import id_of_named, not_a_member
from tenant_runtime.organizations.members import Member, may, member_of
from tenant_runtime.organizations.people.rows import Person, caller_of, person_of
from tenant_runtime.organizations.wire.errors import ApiError, refusal


@dataclass(frozen=True, slots=True)
class Active:
    member: Member
    person: Person


def active_member(connection: Connection, acting: Acting, organization_id: str) -> Active:
    member = caller_of(connection, organization_id, acting.user_id)
    check_standing(connection, acting, organization_id)
    return Active(member, person_of(connection, acting.user_id))


def role_of(
    connection: Connection, acting: Acting, organization_id: str | None, slug: str | None, user_id: str
) -> str:
    """Any member may ask about any other."""
    known = id_of_named(connection, organization_id, slug)
    if known is None:
        raise no_active_organization()
    if member_of(connection, known, acting.user_id) is None:
        raise stranger()
    check_standing(connection, acting, known)
    member = member_of(connection, known, user_id)
    if member is None:
        raise stranger()
    return member.role


def has_permission(connection: Connection, acting: Acting, organization_id: str, asked: Permissions) -> bool:
    member = member_of(connection, organization_id, acting.user_id)
    if member is None:
        raise not_a_member(401)
    check_standing(connection, acting, organization_id)
    return may(connection, member, acting.options, asked)


def no_active_organization() -> ApiError:
    return refusal(400, "NO_ACTIVE_ORGANIZATION")


def stranger() -> ApiError:
    return refusal(403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION")
