"""Restoring one tenant from a backup, while every other tenant serves and this one is read until the last moment.

    choose        the new generation, written into the operation
    prepare       the backup as a draft: verified, migrated, relabelled, without what was begun in its time
    fence         no more writes to the present database; what it says last is read
    settle        keys, revocations and erasures as they are now; the catalogue as it is now
    put           the draft lies at the new place
    flip          the tenant points there
    organizations of tenant one only: those of tenants that came or went since

Killed anywhere, it begins anew and finds what was done. Until the flip everything can be undone: an operation that is
given up lowers the fence and deletes what it made. If the present database is missing or damaged there is no fence,
and nothing it said is trusted (`outdated.trust_nothing`).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection

from controlplane.registry.backups import children_after, erasures_of, get_backup, record_erasures
from controlplane.registry.operations import LeaseLost, OperationRecord, finish_operation
from controlplane.registry.tenants import RegisteredTenant, get_tenant
from core.database import DatabaseRef
from core.database.private import existing_file
from core.errors import (
    DatabaseCorrupt,
    DatabaseMissing,
    IdentityError,
    Unavailable,
    WrongDatabase,
)
from core.failpoints import failpoint
from provisioning import fence, replacing
from provisioning.backups import outdated
from provisioning.backups.outdated import Present
from provisioning.backups.stored import Heading, InvalidBackup, read_backup
from provisioning.backups.taking import key_of, path_of
from provisioning.backups.verifying import verify
from provisioning.converge import data_key_of, desired_for
from provisioning.drafts import workplace
from provisioning.journal import GivenUp, Journal
from provisioning.migrating.schema import ensure_schema
from provisioning.organization import TenantOrganization, organization_is, put_organization
from provisioning.parts import Parts
from provisioning.replacing import Replacement
from sync.apply import apply
from tenant_runtime.oauth.keys.changes import NewKey, Spare

T = TypeVar("T")

KIND = "restore_backup"
MOST_ATTEMPTS = 8
HOUR_MS = 3_600_000
BATCH = 256
_LOST = (DatabaseMissing, DatabaseCorrupt, WrongDatabase)


async def restore_backup(parts: Parts, tenant: RegisteredTenant, journal: Journal) -> None:
    replacement = await _chosen(parts, tenant, journal)
    if not replacing.is_done(tenant, replacement):
        tenant = await _replace(parts, tenant, replacement, journal)
    if tenant.is_control_plane:
        await _step(journal, "organizations")
        await _restore_organizations(parts)
    await parts.registry.write(_finish, journal.operation, parts.now(), journal.ended())


async def _chosen(parts: Parts, tenant: RegisteredTenant, journal: Journal) -> Replacement:
    await _step(journal, "choose")
    parameters = journal.operation.parameters
    if "replacement" in parameters:
        return msgspec.convert(parameters["replacement"], Replacement)
    chosen = replacing.choose(
        parts, tenant, backend=parameters.get("backend"), region=parameters.get("region")
    )
    await journal.write(parameters={**parameters, "replacement": msgspec.to_builtins(chosen)})
    return chosen


async def _replace(
    parts: Parts, tenant: RegisteredTenant, replacement: Replacement, journal: Journal
) -> RegisteredTenant:
    run = _Restoration(parts, tenant, replacement, journal)
    try:
        async with journal.held():
            return await run.run()
    except LeaseLost:
        raise
    except Exception as error:
        await _after_failure(run, journal, error)
        raise


async def _after_failure(run: "_Restoration", journal: Journal, error: Exception) -> None:
    """The tenant is written again while the next attempt waits. One that could not succeed leaves nothing. Whoever
    has lost the operation touches neither: they are another's now. Nor is anything undone once the flip has
    happened: the next attempt goes forward."""
    await journal.refuse_lost()
    if await run.is_done():
        return
    is_final = isinstance(error, IdentityError) and not isinstance(error, Unavailable)
    if not is_final and journal.operation.attempts < MOST_ATTEMPTS:
        with suppress(Unavailable):
            await run.undo_fence()
        return
    await run.undo_fence()
    await run.abandon()
    raise GivenUp from error


class _Restoration:
    def __init__(
        self, parts: Parts, tenant: RegisteredTenant, replacement: Replacement, journal: Journal
    ) -> None:
        self._parts = parts
        self._tenant = tenant
        self._replacement = replacement
        self._journal = journal
        self._data_key = data_key_of(parts, tenant)
        self._now = parts.now()

    async def run(self) -> RegisteredTenant:
        with workplace(self._parts, self._journal.operation.id) as folder:
            await _step(self._journal, "prepare")
            draft = await asyncio.to_thread(self._prepare, folder, await self._source())
            await _step(self._journal, "fence")
            present = await asyncio.to_thread(self._fence)
            await _step(self._journal, "settle")
            await self._settle(draft, present)
            await _step(self._journal, "put")
            placed = await asyncio.to_thread(
                replacing.put_copy, self._parts, self._tenant, self._replacement, draft.file
            )
            await self._note(placed)
        return await self._flip(placed, present)

    async def is_done(self) -> bool:
        present = await self._parts.registry.read(get_tenant, self._tenant.id)
        return replacing.is_done(present, self._replacement)

    async def undo_fence(self) -> None:
        with suppress(*_LOST):
            await asyncio.to_thread(self._exclusively, self._parts.ref(self._tenant), fence.lower_fence)

    async def abandon(self) -> None:
        await asyncio.to_thread(replacing.abandon, self._parts, self._tenant, self._replacement)

    async def _source(self) -> Path:
        parameters = self._journal.operation.parameters
        if "file" in parameters:
            return Path(parameters["file"])
        backup = await self._parts.registry.read(get_backup, self._tenant.id, parameters["backup_id"])
        return path_of(self._parts, backup)

    def _prepare(self, folder: Path, source: Path) -> DatabaseRef:
        parts, path = self._parts, folder / "draft.db"
        heading = read_backup(source, key_of(self._data_key), path)
        if heading.owner != self._tenant.id or heading.id != self._asked_for(heading):
            raise InvalidBackup
        draft = DatabaseRef(
            path=path,
            owner=self._tenant.id,
            incarnation=heading.incarnation,
            generation=self._replacement.generation,
        )
        with existing_file(path) as copy:  # a snapshot of a migration is as its database was
            fence.clear_copy(copy)
        version = verify(parts, draft, self._data_key)
        keep = self._journal.operation.parameters.get("keep_schema", False)
        if version < (self._tenant.schema_version or version) and not keep:
            ensure_schema(parts, draft)
        draft = replacing.relabel(parts, draft, self._replacement.incarnation)
        self._converging(draft, outdated.end_what_was_begun, self._now)
        return draft

    def _asked_for(self, heading: Heading) -> str:
        """One of this tenant's that lies in another's place would take it further back than anybody meant."""
        asked: str = self._journal.operation.parameters.get("backup_id", heading.id)
        return asked

    def _fence(self) -> Present | None:
        """None when the present database can say nothing any more."""
        if self._journal.operation.parameters.get("present_is_lost"):
            return None
        try:
            return self._exclusively(self._parts.ref(self._tenant), _fence_and_read)
        except _LOST:
            return None

    async def _settle(self, draft: DatabaseRef, present: Present | None) -> None:
        parts, tenant = self._parts, self._tenant
        erased = await parts.registry.read(erasures_of, tenant.id)
        if present is None:
            spare = await self._spare_keys(draft)
            await asyncio.to_thread(
                self._converging, draft, outdated.trust_nothing, self._data_key, spare, self._now
            )
        else:
            erased = _latest(erased, present)
            await asyncio.to_thread(self._converging, draft, outdated.take_over, present, self._now)
        await asyncio.to_thread(self._converging, draft, outdated.erase, self._data_key, erased, self._now)
        if not tenant.is_control_plane:
            with suppress(Unavailable):  # with tenant one away it follows later, as everybody
                desired = await desired_for(parts, tenant)
                await asyncio.to_thread(
                    self._converging, draft, apply, desired, now=self._now, compare_rows=True
                )

    async def _spare_keys(self, draft: DatabaseRef) -> Spare:
        algorithms = await asyncio.to_thread(self._reading, draft, outdated.algorithms_in_use)
        return {
            alg: await NewKey.make(self._parts.keystock, self._data_key, alg, self._now) for alg in algorithms
        }

    async def _note(self, placed: Replacement) -> None:
        if placed != self._replacement:
            parameters = self._journal.operation.parameters
            await self._journal.write(parameters={**parameters, "replacement": msgspec.to_builtins(placed)})
            self._replacement = placed

    async def _flip(self, placed: Replacement, present: Present | None) -> RegisteredTenant:
        version = await asyncio.to_thread(replacing.check, self._parts, self._tenant, placed)
        await _step(self._journal, "flip")
        settings = self._parts.settings
        flipped: RegisteredTenant = await self._parts.registry.write(
            _flip,
            self._tenant,
            placed,
            self._parts.now(),
            present=present,
            schema_version=version,
            operation=self._journal.operation,
            grace_ms=int(settings.replaced_grace_hours * HOUR_MS),
        )
        failpoint("restore.flip.after")
        await replacing.let_go(self._parts, self._tenant)
        return flipped

    def _converging(self, ref: DatabaseRef, unit: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        with self._parts.databases.exclusive(ref, converge=True) as connection:
            return unit(connection, *args, **kwargs)

    def _exclusively(self, ref: DatabaseRef, unit: Callable[[Connection], T]) -> T:
        with self._parts.databases.exclusive(ref) as connection:
            return unit(connection)

    def _reading(self, ref: DatabaseRef, unit: Callable[[Connection], T]) -> T:
        with self._parts.databases.read_only(ref) as connection:
            return unit(connection)


async def _step(journal: Journal, name: str) -> None:
    await journal.step(name)
    failpoint(f"restore.{name}.before")


def _fence_and_read(connection: Connection) -> Present:
    fence.raise_fence(connection)
    return outdated.read_present(connection)


def _latest(known: dict[str, int], present: Present) -> dict[str, int]:
    """The outbox may not have told the registry yet."""
    return known | {digest: max(at, known.get(digest, 0)) for digest, at in present.erased}


def _flip(
    connection: Connection,
    tenant: RegisteredTenant,
    placed: Replacement,
    now: int,
    *,
    present: Present | None,
    schema_version: str,
    operation: OperationRecord,
    grace_ms: int,
) -> RegisteredTenant:
    """What the old outbox still had to tell goes over in the same transaction."""
    if present is not None:
        record_erasures(connection, tenant.id, present.erased)
    return replacing.flip(
        connection,
        tenant,
        placed,
        now,
        schema_version=schema_version,
        operation=operation,
        grace_ms=grace_ms,
    )


def _finish(connection: Connection, operation: OperationRecord, now: int, steps: Any) -> None:
    finish_operation(connection, operation.id, operation.fencing, now, steps=steps)


async def _restore_organizations(parts: Parts) -> None:
    """Tenants made since the backup have none on the tenant one that was restored; the worker's sweep removes those
    whose tenant is gone. Their members are added by an operator."""
    one, last = await parts.tenant_one(), ""
    while tenants := await parts.registry.read(children_after, last, BATCH):
        for tenant in tenants:
            await _ensure_organization(parts, one, tenant)
        last = tenants[-1].id


async def _ensure_organization(parts: Parts, one: Any, tenant: RegisteredTenant) -> None:
    if tenant.organization_id is None:
        return
    wanted = TenantOrganization(id=tenant.organization_id, name=tenant.id, display_name=tenant.display_name)
    if not await one.read(organization_is, wanted):
        await one.alone(put_organization, wanted, [], now=parts.now(), converge=True)
