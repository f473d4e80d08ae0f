"""The one function that brings a tenant to its desired state, as named steps, each safe to repeat.

    database      the file exists and is this tenant's
    schema        it is at the wanted version
    first_rows    it has its own key, connection, Management API and clients
    catalogue     it holds what the control plane shares
    organization  its organization stands on tenant one, with the creator in it
    activation    the registry says so, in the transaction that ends the operation

A crash anywhere is repaired by running it again. A new file appears with its schema, its own rows and the catalogue
at once, so the middle steps find nothing to do then. Tenant one has the first three only.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

import migrations
from controlplane.registry.ledger import SyncRecord, record_synced
from controlplane.registry.operations import LeaseLost, OperationRecord, finish_operation, refuse_lost
from controlplane.registry.tenants import RegisteredTenant, activate_tenant, change_tenant
from core.crypto.sealing import DataKey
from core.database import DatabaseRef
from core.database.plain import Plain
from core.errors import Conflict, DatabaseMissing, WrongDatabase
from core.failpoints import failpoint
from core.ids import new_id
from provisioning.backends import Backend, Place
from provisioning.backends.template import Draft
from provisioning.fill import fill_with
from provisioning.first_rows import FirstRows, prepare, put_first_rows
from provisioning.journal import Journal, Steps
from provisioning.migrating.schema import ensure_schema, version_of
from provisioning.organization import (
    Member,
    TenantOrganization,
    organization_is,
    put_organization,
    tenant_admin_role,
)
from provisioning.parts import Parts
from provisioning.places import seal_credentials
from provisioning.unwanted import discard_unwanted
from sync.apply import Applied, apply, follow, read_applied
from sync.catalogue import Desired, load_catalogue
from sync.fleet import registered_follower, synced
from sync.transitions import Transitions

T = TypeVar("T")

STEPS = ("database", "schema", "first_rows", "catalogue", "organization", "activation")
MADE_WITH_THE_FILE = ("schema", "first_rows", "catalogue")
"""What a new SQLite file already has when it appears: these steps find nothing to do."""


@dataclass(frozen=True, slots=True)
class Made:
    """A database made now: what of the catalogue it holds, and where it is if only its maker could say."""

    applied: Applied
    place: Place | None


class Convergence:
    """One run for one tenant."""

    def __init__(self, parts: Parts, tenant: RegisteredTenant, journal: Journal) -> None:
        self._parts = parts
        self._tenant = tenant
        self._journal = journal
        self._ref = parts.ref(tenant)
        self._is_new = False
        self._schema_version = migrations.head("tenant")
        self._desired: Desired | None = None
        self._applied: Applied | None = None

    async def run(self) -> None:
        try:
            for name in STEPS:
                await self._begin(name)
                failpoint(f"provision.{name}.before")
                await getattr(self, f"_{name}")()
                failpoint(f"provision.{name}.after")
        except LeaseLost:
            if self._is_new:
                await discard_unwanted(self._parts, self._tenant, self._ref)
            raise

    async def _begin(self, name: str) -> None:
        """The first is written where the operation is made; of a new file's own steps there is nothing to tell, and
        its last two are told together."""
        steps = self._journal.steps
        if steps and steps[-1]["name"] == name and steps[-1]["ended_at"] is None:
            return
        if name == "activation" or (self._is_new and name in MADE_WITH_THE_FILE):
            self._journal.note(name)
        elif self._is_new:
            await self._journal.step_in_time(name)
        else:
            await self._journal.step(name)

    async def _database(self) -> None:
        self._desired = await desired_for(self._parts, self._tenant)
        issuer = self._parts.settings.tenant_issuer(self._tenant.id)
        own = await first_rows_of(self._parts, self._tenant, issuer)
        made = await asyncio.to_thread(
            ensure_database, self._parts, self._tenant, self._ref, own, self._desired
        )
        if made is None:
            return
        self._is_new, self._applied = True, made.applied
        if made.place is not None:
            self._ref = placed(self._parts, self._tenant, made.place)
            self._tenant = await note_place(self._parts, self._tenant, made.place, self._journal.operation)
            self._ref = self._parts.ref(self._tenant)

    async def _schema(self) -> None:
        """A tenant that serves is migrated in its turn, or by its requests: here only what could not be served."""
        if self._is_new:
            return
        version = await asyncio.to_thread(version_of, self._parts, self._ref)
        if self._tenant.activated_at is None or version < migrations.previous("tenant"):
            await asyncio.to_thread(ensure_schema, self._parts, self._ref)
        else:
            self._schema_version = version

    async def _first_rows(self) -> None:
        if not self._is_new and self._tenant.activated_at is None:
            issuer = self._parts.settings.tenant_issuer(self._tenant.id)
            first = await first_rows_of(self._parts, self._tenant, issuer)
            assert first is not None
            await alone(self._parts, self._ref, put_first_rows, first)

    async def _catalogue(self) -> None:
        if self._is_new:
            return
        assert self._desired is not None
        self._applied = await alone(
            self._parts, self._ref, apply, self._desired, now=self._parts.now(), compare_rows=True
        )

    async def _organization(self) -> None:
        await ensure_organization(self._parts, self._tenant, self._journal.operation)

    async def _activation(self) -> None:
        assert self._applied is not None
        now = self._parts.now()
        await self._parts.registry.write(
            activate,
            self._journal.operation,
            now,
            steps=self._journal.ended(),
            schema_version=self._schema_version,
            record=synced(self._tenant.id, self._applied, now),
        )


async def desired_for(parts: Parts, tenant: RegisteredTenant) -> Desired:
    one = await parts.tenant_one()
    offered = await one.snapshot(load_catalogue)
    desired = parts.desired.for_tenant(offered, registered_follower(tenant))
    parts.fleet.remember(desired)
    return desired


def ensure_database(
    parts: Parts,
    tenant: RegisteredTenant,
    ref: DatabaseRef,
    first: FirstRows | None,
    desired: Desired | None,
) -> Made | None:
    """What a database made now holds; None when it was there. For a tenant that has served, a missing file is a
    fault, never a reason to make an empty one; before that, a file of an earlier try under this id is put out of
    the way."""
    backend = parts.backend(tenant.backend)
    if backend.exists(ref):
        try:
            with parts.databases.read_only(ref):
                return None
        except WrongDatabase:
            if tenant.activated_at is not None:
                raise
            backend.set_aside(ref)
    if tenant.activated_at is not None or first is None:
        raise DatabaseMissing
    return _make_database(parts, ref, backend, first, desired)


def _make_database(
    parts: Parts, ref: DatabaseRef, backend: Backend, first: FirstRows, desired: Desired | None
) -> Made:
    now = parts.now()
    is_same_for_all = parts.desired.sharing.is_same_for_all
    key, fill = fill_with(desired, is_same_for_all=is_same_for_all, now=now)
    applied: list[Applied] = []

    def own_rows(draft: Draft) -> None:
        for sql, rows in first.statements:
            draft.driver.executemany(sql, rows)
        applied.append(_catalogue_of(draft, desired, now))

    place = backend.create(ref, parts.templates.get(key, fill), own_rows)
    return Made(applied[0], place)


def _catalogue_of(draft: Draft, desired: Desired | None, now: int) -> Applied:
    """The template holds it already, as far as it is the same for all."""
    if desired is None:
        return read_applied(draft.connection)
    applied = follow(Plain(draft.driver), desired, Transitions({}, now))
    return applied or apply(draft.connection, desired, now=now)


def placed(parts: Parts, tenant: RegisteredTenant, place: Place) -> DatabaseRef:
    return parts.backend(tenant.backend).ref(
        place, owner=tenant.id, incarnation=tenant.incarnation, generation=tenant.generation
    )


async def note_place(
    parts: Parts, tenant: RegisteredTenant, place: Place, operation: OperationRecord | None = None
) -> RegisteredTenant:
    """Refused when another worker has taken the operation over."""
    credentials = seal_credentials(parts.key, tenant.id, place)
    return await parts.registry.write(
        write_place, tenant.id, parts.now(), operation, location=place.location, credentials=credentials
    )


def write_place(
    connection: Connection, tenant_id: str, now: int, operation: OperationRecord | None, **values: Any
) -> RegisteredTenant:
    if operation is not None:
        refuse_lost(connection, operation.id, operation.fencing)
    return change_tenant(connection, tenant_id, now, **values)


async def first_rows_of(
    parts: Parts, tenant: RegisteredTenant, issuer: str, *, is_control_plane: bool = False
) -> FirstRows | None:
    """Made ready before any transaction. None for a tenant that has served: it has them."""
    if tenant.activated_at is not None:
        return None
    return prepare(
        data_key_of(parts, tenant),
        await parts.keystock.claim(),
        management_audience=f"{issuer}api/v2/",
        now=parts.now(),
        is_control_plane=is_control_plane,
    )


def data_key_of(parts: Parts, tenant: RegisteredTenant) -> DataKey:
    if tenant.wrapped_key is None:
        raise Conflict("The tenant's data key is destroyed.", code="tenant_deleted")
    return parts.key.unwrap(tenant.id, tenant.wrapped_key)


async def ensure_organization(parts: Parts, tenant: RegisteredTenant, operation: OperationRecord) -> None:
    if tenant.organization_id is None:
        return
    one = await parts.tenant_one()
    wanted = TenantOrganization(id=tenant.organization_id, name=tenant.id, display_name=tenant.display_name)
    if tenant.activated_at is not None and await one.read(organization_is, wanted):
        return
    members = await _members(parts, tenant, operation)
    rules = operation.parameters.get("rules")
    await one.alone(put_organization, wanted, members, now=parts.now(), rules=rules, converge=True)


async def _members(parts: Parts, tenant: RegisteredTenant, operation: OperationRecord) -> list[Member]:
    """Who joins when the organization is made: the creator, or after a restore those who were in it."""
    if "members" in operation.parameters:
        return [member_of(values) for values in operation.parameters["members"]]
    if tenant.creator_user_id is None or not operation.parameters.get("add_creator", True):
        return []
    one = await parts.tenant_one()
    role = await one.read(tenant_admin_role)
    return [
        Member(
            membership_id=new_id("mem"),
            user_id=tenant.creator_user_id,
            role_ids=(role,) if role is not None else (),
        )
    ]


def member_of(values: dict[str, Any]) -> Member:
    return Member(
        membership_id=values["membership_id"],
        user_id=values["user_id"],
        organization_roles=tuple(values["organization_roles"]),
        role_ids=tuple(values["role_ids"]),
    )


def activate(
    connection: Connection,
    operation: OperationRecord,
    now: int,
    *,
    steps: Steps,
    schema_version: str,
    record: SyncRecord,
) -> None:
    """One transaction: the operation ends, the tenant serves, the ledger knows. A run that lost its lease is
    refused by the first line."""
    finish_operation(connection, operation.id, operation.fencing, now, steps=steps, creator_added=True)
    activate_tenant(connection, operation.tenant_id, now, schema_version=schema_version)
    record_synced(connection, [record])


async def alone(parts: Parts, ref: DatabaseRef, unit: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """A transaction of converge, wherever the database is open: in its lane, or in a thread."""
    if parts.databases.is_open(ref):
        return await parts.databases.open(ref).alone(unit, *args, converge=True, **kwargs)
    return await asyncio.to_thread(_exclusively, parts, ref, unit, args, kwargs)


def _exclusively(
    parts: Parts, ref: DatabaseRef, unit: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> T:
    with parts.databases.exclusive(ref, converge=True) as connection:
        return unit(connection, *args, **kwargs)
