"""What a member may is changed: roles given and taken, and ownership handed over."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, delete, insert

from tenant_runtime.audit import Event, record
from tenant_runtime.models import MembershipOrganizationRole
from tenant_runtime.organizations.access import (
    ADMIN,
    OWNER,
    Statements,
    built_in_names,
    missing,
    of_roles,
    permits,
)
from tenant_runtime.organizations.acting import Acting, check_standing
from tenant_runtime.organizations.members import Member, defined_roles, in_wire_order, member_by_id
from tenant_runtime.organizations.people.demotion import take_back_what_exceeds
from tenant_runtime.organizations.people.rows import caller_of, is_last_owner, no_member
from tenant_runtime.organizations.people.tenant_roles import follow_roles, hand_over_tenant_roles
from tenant_runtime.organizations.wire.errors import ApiError, refusal
from tenant_runtime.streams.changes import record_of_member

_table = MembershipOrganizationRole.__table__


@dataclass(frozen=True, slots=True)
class Transferred:
    owner: Member
    former: Member


def update_member_role(
    connection: Connection,
    acting: Acting,
    organization_id: str,
    member_id: str,
    role: Sequence[str],
    event: Event,
    *,
    left: Sequence[str] = (),
) -> Member:
    """`left`: names of the tenant roles that every member of a tenant's organization has."""
    roles = in_wire_order(role)
    caller = caller_of(connection, organization_id, acting.user_id)
    check_standing(connection, acting, organization_id)
    target = caller if caller.id == member_id else member_by_id(connection, member_id)
    if target is None:
        raise no_member()
    owns = OWNER in caller.roles
    if target.organization_id != organization_id or (not owns and OWNER in {*target.roles, *roles}):
        raise _may_not()
    if OWNER not in roles and is_last_owner(connection, target):
        raise refusal(400, "YOU_CANNOT_LEAVE_THE_ORGANIZATION_WITHOUT_AN_OWNER")
    _check_may_give(connection, acting, caller, roles)
    changed = _put(connection, acting, target, roles)
    held = follow_roles(connection, caller, target, changed, left, acting.now)
    told = _told(event, changed, target.role)
    record(
        connection, told if held is None else replace(told, details={**told.details, "tenant_roles": held})
    )
    return changed


def transfer_ownership(
    connection: Connection,
    acting: Acting,
    organization_id: str,
    member_id: str,
    event: Event,
    *,
    left: Sequence[str] = (),
) -> Transferred:
    """The other becomes an owner beside what they are, the caller steps down; who was nothing else is an admin.
    `left`: names of the tenant roles that every member of a tenant's organization has."""
    caller = caller_of(connection, organization_id, acting.user_id)
    check_standing(connection, acting, organization_id)
    target = member_by_id(connection, member_id)
    if target is None or target.organization_id != organization_id:
        raise no_member()
    if OWNER not in caller.roles:
        raise refusal(403, "YOU_ARE_NOT_ALLOWED_TO_TRANSFER_THE_OWNERSHIP")
    if target.id == caller.id:
        raise refusal(400, "YOU_CANNOT_TRANSFER_THE_OWNERSHIP_TO_YOURSELF")
    owner = _put(connection, acting, target, in_wire_order((*target.roles, OWNER)))
    rest = tuple(role for role in caller.roles if role != OWNER) or (ADMIN,)
    former = _put(connection, acting, caller, rest)
    told = replace(_told(event, owner, target.role), type="organization_ownership_transferred")
    if handed := hand_over_tenant_roles(connection, owner, former, left, acting.now):
        told = replace(told, details={**told.details, "tenant_roles": handed})
    record(connection, told)
    return Transferred(owner, former)


def _check_may_give(connection: Connection, acting: Acting, caller: Member, roles: tuple[str, ...]) -> None:
    """Nobody gives what they do not hold: a role of one's own making would otherwise make an admin of anybody."""
    options, stored = acting.options, defined_roles(connection, caller.organization_id)
    held = of_roles(caller.roles, options, stored)
    if OWNER not in caller.roles and not permits(held, {"member": ["update"]}):
        raise _may_not()
    unknown = [role for role in roles if role not in built_in_names(options) and role not in stored]
    if unknown or not roles:
        raise refusal(400, "ROLE_NOT_FOUND", f"ROLE_NOT_FOUND: {', '.join(unknown)}")
    if OWNER in caller.roles:
        return
    lacking = {pair for role in of_roles(roles, options, stored) for pair in missing(held, _pairs(role))}
    if lacking:
        raise _may_not(sorted(lacking))


def _pairs(statements: Statements) -> dict[str, list[str]]:
    return {resource: sorted(actions) for resource, actions in statements.items()}


def _put(connection: Connection, acting: Acting, member: Member, roles: tuple[str, ...]) -> Member:
    if roles == member.roles:
        return member
    connection.execute(delete(_table).where(_table.c.membership_id == member.id))
    connection.execute(insert(_table), [{"membership_id": member.id, "role": role} for role in roles])
    changed = replace(member, roles=roles)
    take_back_what_exceeds(connection, acting, changed)
    record_of_member(connection, member.organization_id, member.user_id, changed.role, acting.now)
    return changed


def _told(event: Event, member: Member, before: str) -> Event:
    details = {**event.details, "before": before, "after": member.role}
    return replace(event, user_id=member.user_id, user_name=None, details=details)


def _may_not(lacking: Sequence[str] = ()) -> ApiError:
    extra = {"missingPermissions": list(lacking)} if lacking else None
    return refusal(403, "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_MEMBER", extra=extra)
