"""Who may no longer invite, or no longer as much: what they asked and nobody answered is taken back.

Else an owner, on the way down, would leave the door open to another account of their own.
"""

from sqlalchemy import Connection, bindparam, select

from tenant_runtime.models import Invitation
from tenant_runtime.organizations.access import MEMBER
from tenant_runtime.organizations.acting import Acting
from tenant_runtime.organizations.invitations.inviting import check_roles
from tenant_runtime.organizations.invitations.taking_back import Reason, take_back_for
from tenant_runtime.organizations.members import Member, in_wire_order, may, member_of
from tenant_runtime.organizations.wire.errors import ApiError

_i = Invitation.__table__.c
_PENDING = select(_i.id, _i.role).where(
    _i.inviter_id == bindparam("user"),
    _i.organization_id == bindparam("organization"),
    _i.status == "pending",
)
_INVITERS = (
    select(_i.inviter_id)
    .where(
        _i.organization_id == bindparam("organization"), _i.status == "pending", _i.inviter_id.is_not(None)
    )
    .distinct()
)


def take_back_what_exceeds(
    connection: Connection, acting: Acting, member: Member, reason: Reason = Reason.ROLES_CHANGED
) -> None:
    """`member` as they are from now on."""
    by_them = {"user": member.user_id, "organization": member.organization_id}
    pending = connection.execute(_PENDING, by_them).all()
    beyond = [row.id for row in pending if not _may_ask(connection, acting, member, row.role)]
    if beyond:
        take_back_for(connection, reason, acting.now, _i.id.in_(beyond))


def take_back_beyond_roles(connection: Connection, acting: Acting, organization_id: str) -> None:
    """One of the organization's roles permits something else from now on: to who has it, and to who is asked to it."""
    for user_id in connection.execute(_INVITERS, {"organization": organization_id}).scalars().all():
        member = member_of(connection, organization_id, user_id)
        if member is not None:
            take_back_what_exceeds(connection, acting, member, Reason.ROLE_CHANGED)


def _may_ask(connection: Connection, acting: Acting, member: Member, role: str | None) -> bool:
    if not may(connection, member, acting.options, {"invitation": ["create"]}):
        return False
    try:
        check_roles(connection, member, in_wire_order((role or MEMBER,)), acting.options)
    except ApiError:
        return False
    return True
