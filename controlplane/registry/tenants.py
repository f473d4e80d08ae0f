"""Tenants as the registry knows them: one row each, which stays as a tombstone when the tenant is gone."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, case, delete, func, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from controlplane.models import RegistryBase
from core.database.sql import insert
from core.errors import Conflict, Forbidden, NotFound, TooManyTenants
from core.tenants import TenantState

_TENANTS = RegistryBase.metadata.tables["tenants"]
_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

SERVING = (TenantState.ACTIVE, TenantState.SUSPENDED)
"""States in which a tenant has a database that requests may reach."""


class RegisteredTenant(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the registry. `location` and `generation` point to the database, `credentials` let one in, `wrapped_key`
    opens what it holds."""

    id: str
    display_name: str
    state: str
    is_control_plane: bool
    backend: str
    region: str | None
    labels: tuple[str, ...]
    limits: Mapping[str, Any]
    organization_id: str | None
    creator_user_id: str | None
    incarnation: str
    generation: int
    location: str
    credentials: bytes | None
    node: str | None
    wrapped_key: bytes | None
    schema_version: str | None
    error: str | None
    state_before_delete: str | None
    created_at: int
    updated_at: int
    activated_at: int | None
    suspended_at: int | None
    deleted_at: int | None
    purge_after: int | None

    def __repr__(self) -> str:
        return f"<RegisteredTenant {self.id} {self.state}>"

    @property
    def label_set(self) -> frozenset[str]:
        return frozenset(self.labels)


def valid_tenant_id(tenant_id: str) -> bool:
    """A DNS label (RFC 1123 section 2.1) in lower case: it becomes a host name, a file name and a name on pages."""
    return _ID.fullmatch(tenant_id) is not None


def registered(row: Row[Any]) -> RegisteredTenant:
    values = dict(row._mapping)
    values["labels"] = tuple(values["labels"])
    return RegisteredTenant(**values)


def destroyed_tenants(connection: Connection) -> frozenset[str]:
    """Whose data key is: what is sealed with it opens nowhere."""
    return frozenset(connection.execute(_DESTROYED).scalars())


_DESTROYED = select(_TENANTS.c.id).where(_TENANTS.c.wrapped_key.is_(None))
_BY_ID = select(_TENANTS).where(_TENANTS.c.id == bindparam("id"))
_BY_ORGANIZATION = select(_TENANTS).where(_TENANTS.c.organization_id == bindparam("organization_id"))
_ONE = select(_TENANTS).where(_TENANTS.c.is_control_plane)
_INSERT = insert(_TENANTS).on_conflict_do_nothing(index_elements=[_TENANTS.c.id])


def find_tenant(connection: Connection, tenant_id: str) -> RegisteredTenant | None:
    row = connection.execute(_BY_ID, {"id": tenant_id}).first()
    return registered(row) if row is not None else None


def get_tenant(connection: Connection, tenant_id: str) -> RegisteredTenant:
    found = find_tenant(connection, tenant_id)
    if found is None:
        raise NotFound("tenant")
    return found


def tenant_by_organization(connection: Connection, organization_id: str) -> RegisteredTenant | None:
    row = connection.execute(_BY_ORGANIZATION, {"organization_id": organization_id}).first()
    return registered(row) if row is not None else None


def tenant_one(connection: Connection) -> RegisteredTenant | None:
    row = connection.execute(_ONE).first()
    return registered(row) if row is not None else None


def insert_tenant(connection: Connection, tenant: RegisteredTenant) -> None:
    """Refused when the id is taken, also by a tombstone: an id that served people is never another's."""
    values = msgspec.structs.asdict(tenant)
    if connection.execute(_INSERT, {**values, "labels": list(tenant.labels)}).rowcount != 1:
        raise tenant_exists()


def tenant_exists() -> Conflict:
    return Conflict("A tenant with this id exists or existed.", code="tenant_exists")


def tenant_removed() -> Conflict:
    return Conflict("The tenant that this Idempotency-Key stands for is gone.", code="tenant_removed")


_OF_CREATOR = (
    select(func.count())
    .select_from(_TENANTS)
    .where(_TENANTS.c.creator_user_id == bindparam("creator"), _TENANTS.c.state != TenantState.DELETED)
)


def refuse_more(connection: Connection, creator_user_id: str | None, most: int) -> None:
    """Deleted ones that may still come back are counted."""
    if connection.execute(_OF_CREATOR, {"creator": creator_user_id}).scalar_one() >= most:
        raise TooManyTenants()


def remove_tenant(connection: Connection, tenant_id: str) -> None:
    """Only for one that never served: its id is free again."""
    connection.execute(delete(_TENANTS).where(_TENANTS.c.id == tenant_id, _TENANTS.c.activated_at.is_(None)))


def change_tenant(connection: Connection, tenant_id: str, now: int, **values: Any) -> RegisteredTenant:
    values["updated_at"] = now
    row = connection.execute(_update(tuple(values)), {**values, "key_id": tenant_id}).first()
    if row is None:
        raise NotFound("tenant")
    return registered(row)


@cache
def _update(names: tuple[str, ...]) -> ReturningUpdate[Any]:
    """Built once for each choice of columns."""
    statement = update(_TENANTS).where(_TENANTS.c.id == bindparam("key_id"))
    return statement.values({name: bindparam(name) for name in names}).returning(_TENANTS)


def activate_tenant(connection: Connection, tenant_id: str, now: int, *, schema_version: str) -> None:
    """It serves from here on, or again. One that does already and is as it should be is not written: every write
    here makes all processes look again."""
    values = {"key_id": tenant_id, "key_now": now, "key_schema": schema_version}
    connection.execute(_ACTIVATE, values)


_BEGINS = _TENANTS.c.state.in_(("provisioning", "failed"))
_ACTIVATE = (
    update(_TENANTS)
    .where(
        _TENANTS.c.id == bindparam("key_id"),
        or_(
            _BEGINS,
            _TENANTS.c.error.is_not(None),
            _TENANTS.c.schema_version.is_distinct_from(bindparam("key_schema")),
        ),
    )
    .values(
        state=case(
            (_BEGINS, func.coalesce(_TENANTS.c.state_before_delete, "active")), else_=_TENANTS.c.state
        ),
        state_before_delete=case((_BEGINS, None), else_=_TENANTS.c.state_before_delete),
        activated_at=case(
            (_BEGINS, func.coalesce(_TENANTS.c.activated_at, bindparam("key_now"))),
            else_=_TENANTS.c.activated_at,
        ),
        schema_version=bindparam("key_schema"),
        error=None,
        updated_at=bindparam("key_now"),
    )
)


def repoint_tenant(
    connection: Connection, tenant: RegisteredTenant, now: int, **values: Any
) -> RegisteredTenant | None:
    """Compare-and-set: None when the tenant points elsewhere by now, and nothing was written."""
    statement = (
        update(_TENANTS)
        .where(
            _TENANTS.c.id == tenant.id,
            _TENANTS.c.generation == tenant.generation,
            _TENANTS.c.incarnation == tenant.incarnation,
            _TENANTS.c.state.in_(SERVING),
        )
        .values(**values, updated_at=now)
        .returning(_TENANTS)
    )
    row = connection.execute(statement).first()
    return registered(row) if row is not None else None


def suspend(connection: Connection, tenant_id: str, now: int) -> RegisteredTenant:
    return _move(connection, tenant_id, now, ("active",), state="suspended", suspended_at=now)


def resume(connection: Connection, tenant_id: str, now: int) -> RegisteredTenant:
    return _move(connection, tenant_id, now, ("suspended",), state="active", suspended_at=None)


def _move(
    connection: Connection, tenant_id: str, now: int, allowed: tuple[str, ...], **values: Any
) -> RegisteredTenant:
    tenant = get_tenant(connection, tenant_id)
    refuse_tenant_one(tenant)
    if tenant.state == values["state"]:
        return tenant
    if tenant.state not in allowed:
        raise Conflict(f"The tenant is {tenant.state}.", code="invalid_tenant_state")
    return change_tenant(connection, tenant_id, now, **values)


def refuse_tenant_one(tenant: RegisteredTenant) -> None:
    if tenant.is_control_plane:
        raise Forbidden(
            "The control plane's own tenant cannot be suspended or deleted.", code="operation_not_supported"
        )
