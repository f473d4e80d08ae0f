"""The tenant organization on tenant one: it stands for a tenant, and follows it (`specs/tenancy.md` section 2).

Units of work on tenant one, run as converge: nobody else may write these rows. The creator is added in the
transaction that makes the organization, and only there, so no repair ever brings a removed administrator back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from core.database.sql import insert as upsert
from core.errors import Conflict
from provisioning.control_plane_rows import TENANT_ADMIN
from provisioning.organization_rules import Rules, put_rules
from tenant_runtime.management.endings import end_organization
from tenant_runtime.models import TenantBase

_TABLES = TenantBase.metadata.tables
_ORGANIZATIONS, _MEMBERSHIPS = _TABLES["organizations"], _TABLES["memberships"]
_ORGANIZATION_ROLES, _TENANT_ROLES = (
    _TABLES["membership_organization_roles"],
    _TABLES["membership_roles"],
)
_ROLES, _USERS = _TABLES["roles"], _TABLES["users"]

MANAGED_BY = "tenant"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantOrganization:
    id: str
    name: str
    display_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member as it is added, or as it was when a tenant was deleted (to come back with it)."""

    membership_id: str
    user_id: str
    organization_roles: tuple[str, ...] = ("owner",)
    role_ids: tuple[str, ...] = ()


def refuse_taken_name(connection: Connection, name: str) -> None:
    """An organization of somebody's own, which stands for no tenant, holds the name: the tenant cannot have it."""
    if connection.execute(_UNBOUND, {"name": name}).first() is not None:
        raise Conflict("An organization on the control plane has this name.", code="organization_exists")


_UNBOUND = select(_ORGANIZATIONS.c.id).where(
    _ORGANIZATIONS.c.name == bindparam("name"), _ORGANIZATIONS.c.managed_by.is_(None)
)


def organization_is(connection: Connection, wanted: TenantOrganization) -> bool:
    row = connection.execute(select(_ORGANIZATIONS).where(_ORGANIZATIONS.c.id == wanted.id)).first()
    return row is not None and (row.name, row.display_name, row.managed_by) == (
        wanted.name,
        wanted.display_name,
        MANAGED_BY,
    )


def tenant_admin_role(connection: Connection) -> str | None:
    found: str | None = connection.execute(
        select(_ROLES.c.id).where(_ROLES.c.name == TENANT_ADMIN)
    ).scalar_one_or_none()
    return found


_INSERT = upsert(_ORGANIZATIONS).on_conflict_do_nothing(index_elements=[_ORGANIZATIONS.c.id])
_UPDATE = (
    update(_ORGANIZATIONS)
    .where(_ORGANIZATIONS.c.id == bindparam("key_id"))
    .values({name: bindparam(name) for name in ("name", "display_name", "managed_by", "updated_at")})
)


def put_organization(
    connection: Connection,
    wanted: TenantOrganization,
    members: Sequence[Member],
    *,
    now: int,
    rules: Rules | None = None,
) -> bool:
    """Upsert by id; `members` join it, and `rules` hold in it, only if it is new. Answers whether it was."""
    refuse_taken_name(connection, wanted.name)
    values: dict[str, Any] = {
        "name": wanted.name,
        "display_name": wanted.display_name,
        "managed_by": MANAGED_BY,
        "updated_at": now,
    }
    if not connection.execute(_INSERT, {"id": wanted.id, "created_at": now, **values}).rowcount:
        connection.execute(_UPDATE, {**values, "key_id": wanted.id})
        return False
    put_rules(connection, rules or {}, now)
    for member in members:
        _add_member(connection, wanted.id, member, now)
    return True


def _add_member(connection: Connection, organization_id: str, member: Member, now: int) -> None:
    if connection.execute(select(_USERS.c.user_id).where(_USERS.c.user_id == member.user_id)).first() is None:
        return
    connection.execute(
        insert(_MEMBERSHIPS),
        {
            "id": member.membership_id,
            "organization_id": organization_id,
            "user_id": member.user_id,
            "created_at": now,
        },
    )
    for role in member.organization_roles:
        connection.execute(insert(_ORGANIZATION_ROLES), {"membership_id": member.membership_id, "role": role})
    known = select(_ROLES.c.id).where(_ROLES.c.id.in_(member.role_ids))
    for row in connection.execute(known).all():
        connection.execute(
            upsert(_TENANT_ROLES).on_conflict_do_nothing(),
            {"membership_id": member.membership_id, "role_id": row.id},
        )


def read_members(connection: Connection, organization_id: str) -> list[Member]:
    rows = connection.execute(
        select(_MEMBERSHIPS).where(_MEMBERSHIPS.c.organization_id == organization_id)
    ).all()
    return [_read_member(connection, row.id, row.user_id) for row in rows]


def _read_member(connection: Connection, membership_id: str, user_id: str) -> Member:
    roles = select(_ORGANIZATION_ROLES.c.role).where(_ORGANIZATION_ROLES.c.membership_id == membership_id)
    tenant_roles = select(_TENANT_ROLES.c.role_id).where(_TENANT_ROLES.c.membership_id == membership_id)
    return Member(
        membership_id=membership_id,
        user_id=user_id,
        organization_roles=tuple(connection.execute(roles).scalars()),
        role_ids=tuple(connection.execute(tenant_roles).scalars()),
    )


def managed_organizations(connection: Connection) -> list[str]:
    """Ids of those that stand for a tenant."""
    statement = select(_ORGANIZATIONS.c.id).where(_ORGANIZATIONS.c.managed_by == MANAGED_BY)
    return list(connection.execute(statement).scalars())


def remove_organization(connection: Connection, organization_id: str, *, now: int) -> None:
    """What was issued for it ends with it, and stays over when it comes back with a restored tenant."""
    end_organization(connection, organization_id, now)
    connection.execute(
        delete(_ORGANIZATIONS).where(
            _ORGANIZATIONS.c.id == organization_id, _ORGANIZATIONS.c.managed_by == MANAGED_BY
        )
    )
