"""Deliveries that a process left behind when it ended, tenants that have streams, and domains whose records are to be
looked for again: found in every tenant at the start, then now and then.

Opening ten thousand databases for nothing is what this avoids: a file that has not changed since it was last looked
into is passed over after two `stat`, and what is opened is read by a plain reader, not by a lane. What was seen is
noted in the data folder for the next start; a note that is lost or wrong about a file costs one more look.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, time_ns
from typing import TypeAlias

import msgspec
import structlog
from sqlalchemy import BigInteger, bindparam, func, select, union_all

import migrations
from controlplane.registry.tenants import RegisteredTenant, tenant_one
from controlplane.registry.worklists import tenants_after
from core.database import DatabaseRef, Prepared
from core.errors import IdentityError
from provisioning.parts import Parts
from tenant_runtime.deliveries.queue import LONGEST_WAIT_MS, due_at
from tenant_runtime.models import Delivery, EventStream, LogStream, OrganizationDomain
from tenant_runtime.organizations.domains.proving import LONGEST_WAIT_MS as LONGEST_LOOK_MS

_log = structlog.get_logger(__name__)

FIRST_SECONDS = 1.0
EVERY_SECONDS = 600.0
_EVERY_MS = int(EVERY_SECONDS * 1000)
BATCH = 256
HANDFUL = 8
SETTLED_NS = 1_000_000_000
REST = 4
"""After a handful, so many times as long as it took: requests go first, most of all after a start."""

_due_at = Delivery.__table__.c.due_at
_now = bindparam("now", type_=BigInteger)
_LISTENING = union_all(
    select(LogStream.__table__.c.id).where(LogStream.__table__.c.status == "active"),
    select(EventStream.__table__.c.id).where(EventStream.__table__.c.status == "enabled"),
).subquery()
_FIRST_DUE = Prepared(
    select(
        select(func.min(due_at(_now))).where(_due_at > 0).scalar_subquery().label("first"),
        select(func.count()).select_from(_LISTENING).scalar_subquery().label("streams"),
        select(func.min(OrganizationDomain.__table__.c.look_at)).scalar_subquery().label("look"),
    )
)

Stamp: TypeAlias = tuple[tuple[int, int] | None, tuple[int, int] | None]
"""When the database and its log were last written, and how long they are."""


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """`has_streams`: somebody outside listens, whatever is due. `look_at`: when the first record of a domain is looked
    for."""

    stamp: Stamp
    due_at: int | None
    has_streams: bool = False
    look_at: int | None = None

    def waits(self, now: int) -> bool:
        is_due = self.due_at is not None and not now + _EVERY_MS < self.due_at <= now + LONGEST_WAIT_MS
        return is_due or self.has_streams

    def looks(self, now: int) -> bool:
        return self.look_at is not None and not now < self.look_at <= now + LONGEST_LOOK_MS


def _nobody_looks(tenant_id: str) -> None:
    """No name servers in this process."""


class WaitingDeliveries:
    """`resume` is told the id of each tenant with streams, or with something that becomes due before the next look;
    `look_again` of each in which records of domains are due."""

    def __init__(
        self,
        parts: Parts,
        resume: Callable[[str], Awaitable[None]],
        look_again: Callable[[str], None] = _nobody_looks,
    ) -> None:
        self._parts = parts
        self._resume = resume
        self._look_again = look_again
        self._note = parts.settings.data_dir / "waiting-deliveries"
        self._seen = _noted(self._note)  # by file
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="waiting deliveries")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> int:
        """Answers in how many tenants something waits."""
        known, found = set[str](), 0
        one = await self._parts.registry.read(tenant_one)
        batch, last = [one] if one is not None else [], ""
        while batch:
            known.update(str(self._parts.ref(tenant).path) for tenant in batch)
            found += await self._look_into(batch)
            batch = await self._parts.registry.read(tenants_after, last, self._parts.settings.node, BATCH)
            last = batch[-1].id if batch else last
        self._seen = {file: seen for file, seen in self._seen.items() if file in known}
        await asyncio.to_thread(_keep, self._note, dict(self._seen))
        return found

    async def _run(self) -> None:
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            try:
                await self.look()
            except IdentityError as error:
                _log.warning("waiting_deliveries_not_looked_for", reason=type(error).__name__)
            except Exception:  # noqa: BLE001  (it outlives whatever one look met)
                _log.exception("waiting_deliveries_not_looked_for")
            await asyncio.sleep(EVERY_SECONDS)

    async def _look_into(self, tenants: Sequence[RegisteredTenant]) -> int:
        """Whoever is still to be migrated comes next time."""
        wanted = migrations.head("tenant")
        active = [
            tenant for tenant in tenants if tenant.state == "active" and tenant.schema_version == wanted
        ]
        found = 0
        for start in range(0, len(active), HANDFUL):
            began = monotonic()
            seen = await asyncio.to_thread(self._seen_of, active[start : start + HANDFUL])
            took, now = monotonic() - began, self._parts.now()
            soon = [tenant_id for tenant_id, each in seen.items() if each.waits(now)]
            for tenant_id in soon:
                await self._resume(tenant_id)
            found += len(soon)
            for tenant_id, each in seen.items():
                if each.looks(now):
                    self._look_again(tenant_id)
            await asyncio.sleep(REST * took)
        return found

    def _seen_of(self, tenants: Sequence[RegisteredTenant]) -> dict[str, Seen]:
        now, found = self._parts.now(), {}
        for tenant in tenants:
            try:
                found[tenant.id] = self._look_at(tenant, now)
            except Exception as error:  # noqa: BLE001  (one bad tenant does not hide the others')
                _log.warning("waiting_deliveries_unknown", tenant=tenant.id, reason=type(error).__name__)
        return found

    def _look_at(self, tenant: RegisteredTenant, now: int) -> Seen:
        ref = self._parts.ref(tenant)
        if ref.path is None:  # behind a server there is nothing to see but the rows
            return self._read(ref, now, (None, None))
        stamp = _stamp(ref.path)  # before the read: what is written meanwhile is seen next time
        seen = self._seen.get(str(ref.path))
        if seen is not None and seen.stamp == stamp:
            return seen
        seen = self._read(ref, now, stamp)
        if _is_settled(stamp):
            self._seen[str(ref.path)] = seen
        return seen

    def _read(self, ref: DatabaseRef, now: int, stamp: Stamp) -> Seen:
        with self._parts.databases.read_only(ref) as connection:
            [row] = _FIRST_DUE.rows(connection, {"now": now})
        return Seen(stamp, row.first, row.streams > 0, row.look)


def _stamp(database: Path) -> Stamp:
    """Changes with every commit: either file grows or is written. An empty log is as none."""
    return _changed(str(database)), _changed(f"{database}-wal")


def _is_settled(stamp: Stamp) -> bool:
    """Two writes within one tick of the file system's clock look the same."""
    return all(part is None or time_ns() - part[0] > SETTLED_NS for part in stamp)


def _changed(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return (found.st_mtime_ns, found.st_size) if found.st_size else None


def _noted(note: Path) -> dict[str, Seen]:
    try:
        return msgspec.json.decode(note.read_bytes(), type=dict[str, Seen])
    except (OSError, msgspec.DecodeError):
        return {}


def _keep(note: Path, seen: dict[str, Seen]) -> None:
    """Whole or not at all. Of several processes the last one's stands: each says what it saw."""
    draft = note.with_name(f".{note.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(seen))
    draft.replace(note)
