"""A new generation of a tenant's database: what restore, rollback and move have in common.

    choose     everything that identifies the new database, written down before anything of it is made
    put_copy   a copy lies there, whole, and says that it is the new one
    check      it opens as what it is to be
    flip       the pointer goes over, compared and set in one transaction, and what it left is noted as retired
    let_go     this process's handle of the old one is refused from here on
    sweep      what is retired is deleted when its grace is over

Each can be repeated. Before `flip` the old database serves and `abandon` undoes everything; after it there is only
forward. What is *in* the copy is the caller's business, except the row that says whose it is (`relabel`).
"""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import structlog
from sqlalchemy import Connection, update

import migrations
from controlplane.registry.ledger import forget_tenant
from controlplane.registry.operations import LeaseLost, OperationRecord, refuse_lost
from controlplane.registry.retired import (
    RetiredDatabase,
    due_retired,
    insert_retired,
    remove_retired,
    retire_until,
    retired_of,
    retired_of_tenant,
)
from controlplane.registry.tenants import RegisteredTenant, repoint_tenant
from core.database import DatabaseRef
from core.errors import Conflict, WrongDatabase
from core.failpoints import failpoint
from core.ids import new_id
from provisioning.backends import Place
from provisioning.parts import Parts
from provisioning.places import seal_credentials
from tenant_runtime.models import TenantRow

_log = structlog.get_logger(__name__)

AGAIN_MS = 600_000
"""Before a retired database is tried again that could not be deleted."""


class Replacement(msgspec.Struct, frozen=True, kw_only=True):
    """The database to come. Goes into an operation's parameters: `msgspec.to_builtins`, `msgspec.convert`."""

    backend: str
    region: str | None
    node: str | None
    incarnation: str
    generation: int
    location: str
    credentials: bytes | None = None  # sealed

    def __repr__(self) -> str:
        return f"<Replacement {self.backend} generation {self.generation}>"


def choose(
    parts: Parts,
    tenant: RegisteredTenant,
    *,
    backend: str | None = None,
    region: str | None = None,
    incarnation: str | None = None,
    generation: int | None = None,
) -> Replacement:
    """In the same backend and region unless said otherwise; a life of its own unless an `incarnation` goes on; the next
    generation unless an earlier try, which may still be at work, has that."""
    chosen = parts.backend(backend or tenant.backend)
    where = region if backend is not None or region is not None else tenant.region
    generation = generation or tenant.generation + 1
    place = chosen.place(tenant.id, generation, where)
    return Replacement(
        backend=chosen.name,
        region=where,
        node=parts.node_of(chosen),
        incarnation=incarnation or new_id("inc"),
        generation=generation,
        location=str(place.location),
        credentials=seal_credentials(parts.key, tenant.id, place),
    )


def successor(tenant: RegisteredTenant, replacement: Replacement) -> RegisteredTenant:
    """The tenant as it will be: its pointer can be opened before the flip, by `Databases.exclusive` and `read_only`
    only (`Databases.open` would end the handles of the old one)."""
    return msgspec.structs.replace(tenant, **msgspec.structs.asdict(replacement))


def at_place(parts: Parts, tenant: RegisteredTenant, replacement: Replacement, place: Place) -> Replacement:
    """Where it is, when only its maker could say."""
    return msgspec.structs.replace(
        replacement, location=str(place.location), credentials=seal_credentials(parts.key, tenant.id, place)
    )


def relabel(parts: Parts, copy: DatabaseRef, incarnation: str) -> DatabaseRef:
    """Give a copy that nobody serves a life of its own. Blocks: for threads."""
    with parts.databases.exclusive(copy, converge=True) as connection:
        connection.execute(update(TenantRow.__table__).values(incarnation=incarnation))
    return replace(copy, incarnation=incarnation)


def put_copy(parts: Parts, tenant: RegisteredTenant, replacement: Replacement, copy: Path) -> Replacement:
    """A SQLite file that is labelled as the replacement, put in its place. What lies there is the copy of an earlier
    try, which was whole, or rubbish. Answers the replacement, with its place if only now it is known. Blocks."""
    backend, ref = parts.backend(replacement.backend), parts.ref(successor(tenant, replacement))
    if backend.exists(ref):
        try:
            check(parts, tenant, replacement)
        except WrongDatabase:
            backend.set_aside(ref)
        else:
            return replacement
    place = backend.restore(ref, copy)
    failpoint("replace.put.after")
    return replacement if place is None else at_place(parts, tenant, replacement, place)


def check(parts: Parts, tenant: RegisteredTenant, replacement: Replacement) -> str:
    """Opening it asks whose it is; answers the version of its schema. Blocks."""
    with parts.databases.read_only(parts.ref(successor(tenant, replacement))) as connection:
        version = migrations.current(connection)
    if version is None:
        raise Conflict("The copy has no schema.", code="invalid_backup")
    return version


def flip(
    connection: Connection,
    tenant: RegisteredTenant,
    replacement: Replacement,
    now: int,
    *,
    schema_version: str,
    operation: OperationRecord | None = None,
    grace_ms: int,
) -> RegisteredTenant:
    """A unit of the registry. Refused when the operation is another's by now, or the tenant was pointed elsewhere or
    taken out of service since `tenant` was read. Safe to repeat by whoever did it: the second finds it done."""
    if operation is not None:
        refuse_lost(connection, operation.id, operation.fencing)
    values = msgspec.structs.asdict(replacement)
    flipped = repoint_tenant(connection, tenant, now, **values, schema_version=schema_version, error=None)
    if flipped is None:
        raise LeaseLost("The tenant's database was replaced, or taken out of service, by another operation.")
    insert_retired(connection, retired_of(tenant, now, now + grace_ms))
    forget_tenant(connection, tenant.id)
    return flipped


def is_done(tenant: RegisteredTenant, replacement: Replacement) -> bool:
    """Whether the flip has happened: from then on there is only forward."""
    return (tenant.generation, tenant.incarnation) == (replacement.generation, replacement.incarnation)


async def let_go(parts: Parts, old: RegisteredTenant) -> None:
    """Other processes see the flip in the directory's version. Another machine's file was never open here."""
    if old.node in (None, parts.settings.node):
        await parts.databases.forget(parts.ref(old))


def abandon(parts: Parts, tenant: RegisteredTenant, replacement: Replacement) -> None:
    """Before the flip: nothing of the replacement stays. Blocks."""
    parts.backend(replacement.backend).delete(parts.ref(successor(tenant, replacement)))


async def sweep(parts: Parts) -> int:
    """Delete what is past its grace; answers how much."""
    due = await parts.registry.read(due_retired, parts.now(), parts.settings.node)
    return [await _deleted(parts, retired) for retired in due].count(True)


async def _deleted(parts: Parts, retired: RetiredDatabase) -> bool:
    """One whose server is away for good keeps nobody else's from being deleted."""
    try:
        await _delete(parts, retired)
    except Exception as error:  # noqa: BLE001  (the others are to go all the same)
        _log.warning("retired_database_stays", tenant=retired.tenant_id, exc_info=error)
        await parts.registry.write(retire_until, retired, parts.now() + AGAIN_MS)
        return False
    return True


async def delete_retired(parts: Parts, tenant_id: str) -> None:
    """The tenant is destroyed: so is every database it ever had."""
    for retired in await parts.registry.read(retired_of_tenant, tenant_id):
        if retired.node is None or retired.node == parts.settings.node:
            await _delete(parts, retired)
        else:
            await parts.registry.write(retire_until, retired, parts.now())  # with that machine's next sweep


async def _delete(parts: Parts, retired: RetiredDatabase) -> None:
    """The database first: a crash in between leaves a row, and deleting is safe to repeat."""
    backend = parts.backend(retired.backend)
    place = parts.place_of.unsealed(retired.tenant_id, retired.location, retired.credentials)
    ref = backend.ref(
        place, owner=retired.tenant_id, incarnation=retired.incarnation, generation=retired.generation
    )
    await asyncio.to_thread(backend.delete, ref)
    failpoint("replace.sweep.deleted")
    await parts.registry.write(remove_retired, retired)
