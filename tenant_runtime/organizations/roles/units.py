"""Units of work on the roles that an organization made for itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from msgspec import structs
from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from core.database.sql import insert
from tenant_runtime.audit import Event, record
from tenant_runtime.models import Invitation, Membership, MembershipOrganizationRole, OrganizationRole
from tenant_runtime.organizations.access import Permissions, built_in_names, missing, resources
from tenant_runtime.organizations.acting import Acting, acting_member
from tenant_runtime.organizations.fields import shown
from tenant_runtime.organizations.members import NO_PLAIN_MEMBERS, Member, statements_of
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.people.demotion import take_back_beyond_roles
from tenant_runtime.organizations.policies.settings import save_settings, settings_of
from tenant_runtime.organizations.roles.names import new_name, taken
from tenant_runtime.organizations.wire.errors import ApiError, refusal
from tenant_runtime.organizations.wire.shapes import date, date_or_none

_r, _i = OrganizationRole.__table__.c, Invitation.__table__.c
_m, _held = Membership.__table__.c, MembershipOrganizationRole.__table__.c
_COLUMNS = (_r.id, _r.organization_id, _r.role, _r.permission, _r.fields, _r.created_at, _r.updated_at)
_NEW = insert(OrganizationRole.__table__).on_conflict_do_nothing()
MOST = 200
"""Where the tenant says no number: each act in the organization reads all of them."""

NO_MEMBER = "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION"


@dataclass(frozen=True, slots=True)
class Role:
    id: str
    organization_id: str
    role: str
    permission: Permissions
    fields: Mapping[str, Any]
    created_at: int
    updated_at: int | None

    def shown(self, options: OrganizationOptions) -> dict[str, Any]:
        return {
            "id": self.id,
            "organizationId": self.organization_id,
            "role": self.role,
            "permission": dict(self.permission),
            "createdAt": date(self.created_at),
            "updatedAt": date_or_none(self.updated_at),
            **shown(options.fields("role"), self.fields),
        }


@dataclass(frozen=True, slots=True)
class Named:
    """A role, by its name as it is given, or by its id."""

    name: str | None
    id: str | None


def create_role(connection: Connection, acting: Acting, new: Role, event: Event) -> Role:
    new = replace(new, role=new_name(new.role, built_in_names(acting.options)))
    member = _member(connection, acting, new.organization_id, "create", "CREATE_A_ROLE")
    maximum = acting.options.dynamic_access_control.maximum_roles_per_organization
    if _number(connection, new.organization_id) >= (MOST if maximum is None else maximum):
        raise refusal(400, "TOO_MANY_ROLES", "This organization has too many roles")
    _check_permission(connection, acting, member, new.permission, "CREATE_A_ROLE")
    values = {column.name: getattr(new, column.name) for column in _COLUMNS}
    if connection.execute(_NEW, values).rowcount == 0:
        raise taken()
    _record(connection, event, new)
    return new


def update_role(
    connection: Connection,
    acting: Acting,
    organization_id: str,
    named: Named,
    changes: Mapping[str, Any],
    event: Event,
) -> Role:
    """`changes`: `permission`, `role` (its name), `fields`."""
    member = _member(connection, acting, organization_id, "update", "UPDATE_A_ROLE")
    role = _found(connection, organization_id, named)
    if "permission" in changes:
        _check_permission(connection, acting, member, changes["permission"], "UPDATE_A_ROLE")
    changed = replace(
        role,
        permission=changes.get("permission", role.permission),
        fields={**role.fields, **changes.get("fields", {})},
        updated_at=acting.now,
    )
    if "role" in changes:
        changed = replace(changed, role=new_name(changes["role"], built_in_names(acting.options)))
        _rename(connection, role, changed.role, acting.now)
    values = {
        "role": changed.role,
        "permission": changed.permission,
        "fields": changed.fields,
        "updated_at": acting.now,
    }
    connection.execute(update(OrganizationRole.__table__).where(_r.id == role.id).values(values))
    if changed.permission != role.permission:
        take_back_beyond_roles(connection, acting, organization_id)
    was = {"former_role": role.role} if changed.role != role.role else {}
    _record(connection, event, changed, **was)
    return changed


def delete_role(
    connection: Connection, acting: Acting, organization_id: str, named: Named, event: Event
) -> Role:
    _member(connection, acting, organization_id, "delete", "DELETE_A_ROLE")
    if named.name is not None and named.name in built_in_names(acting.options):
        raise refusal(400, "CANNOT_DELETE_A_PRE_DEFINED_ROLE", "Cannot delete a pre-defined role")
    role = _found(connection, organization_id, named)
    is_given = settings_of(connection, organization_id).domain_joining_role == role.role
    if is_given or _is_held(connection, role) or _invited(connection, role):
        raise refusal(
            400,
            "ROLE_IS_ASSIGNED_TO_MEMBERS",
            "Cannot delete a role that is assigned to members. Please reassign the members to a different role"
            " first",
        )
    connection.execute(delete(OrganizationRole.__table__).where(_r.id == role.id))
    _record(connection, event, role)
    return role


def list_roles(connection: Connection, acting: Acting, organization_id: str) -> list[Role]:
    _member(connection, acting, organization_id, "read", "LIST_A_ROLE")
    of_it = select(*_COLUMNS).where(_r.organization_id == organization_id)
    return [Role(*row) for row in connection.execute(of_it.order_by(_r.created_at, _r.id))]


def get_role(connection: Connection, acting: Acting, organization_id: str, named: Named) -> Role:
    _member(connection, acting, organization_id, "read", "READ_A_ROLE")
    return _found(connection, organization_id, named)


def _member(connection: Connection, acting: Acting, organization_id: str, action: str, what: str) -> Member:
    return acting_member(
        connection,
        acting,
        organization_id,
        {"ac": [action]},
        stranger=refusal(403, NO_MEMBER),
        otherwise=_not_allowed(what),
    )


def _record(connection: Connection, event: Event, role: Role, **more: str) -> None:
    """With what it permits: whoever asks later who could do what finds it nowhere else."""
    told = {"role": role.role, "permission": dict(role.permission), **more}
    record(connection, replace(event, details={**event.details, **told}))


def _not_allowed(what: str, **more: Any) -> ApiError:
    return refusal(403, f"YOU_ARE_NOT_ALLOWED_TO_{what}", **more)


def _check_permission(
    connection: Connection, acting: Acting, member: Member, permission: Permissions, what: str
) -> None:
    """Only what there is, and only what the member holds themself."""
    if not permission.keys() <= resources(acting.options).keys():
        raise refusal(400, "INVALID_RESOURCE", "The provided permission includes an invalid resource")
    lacking = missing(statements_of(connection, member, acting.options), permission)
    if lacking:
        raise _not_allowed(what, extra={"missingPermissions": lacking})


def _number(connection: Connection, organization_id: str) -> int:
    of_it = select(func.count()).where(_r.organization_id == organization_id)
    return int(connection.execute(of_it).scalar_one())


def _found(connection: Connection, organization_id: str, named: Named) -> Role:
    """The name is compared as it is given, the name first."""
    which: ColumnElement[bool] = _r.role == named.name if named.name else _r.id == named.id
    of_it = select(*_COLUMNS).where(_r.organization_id == organization_id, which)
    row = connection.execute(of_it).one_or_none()
    if row is None:
        raise refusal(400, "ROLE_NOT_FOUND")
    return Role(*row)


def _is_held(connection: Connection, role: Role) -> bool:
    holders = (
        select(_held.membership_id)
        .join(Membership.__table__, _m.id == _held.membership_id)
        .where(_m.id.in_(NO_PLAIN_MEMBERS), _held.role == role.role)
    )
    of_it = {"organization": role.organization_id}
    return connection.execute(holders.limit(1), of_it).one_or_none() is not None


def _invited(connection: Connection, role: Role) -> list[Row[Any, Any]]:
    """The pending invitations to it; an invitation names several by commas."""
    pending = select(_i.id, _i.role).where(
        _i.organization_id == role.organization_id,
        _i.status == "pending",
        _i.role.contains(role.role, autoescape=True),
    )
    return [row for row in connection.execute(pending) if role.role in row.role.split(",")]


def _rename(connection: Connection, role: Role, name: str, now: int) -> None:
    """For whoever holds it, is invited to it, or is to have it by joining, too. Somebody may have kept a role of that
    name that the tenant once had for all: they hold the one of now."""
    if name == role.role:
        return
    same = select(_r.id).where(_r.organization_id == role.organization_id, _r.role == name)
    if connection.execute(same).one_or_none() is not None:
        raise taken()
    members = select(_m.id).where(_m.organization_id == role.organization_id)
    held = MembershipOrganizationRole.__table__
    theirs = (_held.role == role.role) & _held.membership_id.in_(members)
    other = held.alias()
    have_both = select(other.c.membership_id).where(other.c.role == name)
    connection.execute(delete(held).where(theirs, _held.membership_id.in_(have_both)))
    connection.execute(update(held).where(theirs).values(role=name))
    settings = settings_of(connection, role.organization_id)
    if settings.domain_joining_role == role.role:
        changed = structs.replace(settings, domain_joining_role=name)
        save_settings(connection, role.organization_id, changed, now)
    for row in _invited(connection, role):
        names = [name if each == role.role else each for each in row.role.split(",")]
        values = {"role": ",".join(sorted(set(names))), "updated_at": now}
        connection.execute(update(Invitation.__table__).where(_i.id == row.id).values(values))
