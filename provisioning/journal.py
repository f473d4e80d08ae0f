"""What an operation says of itself: its steps with start, end and error, written as they happen.

Every word is fenced: when another worker has claimed the operation since, `LeaseLost` ends this run before it does
the next thing. The end of one step and the start of the next are one write.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import Connection

from controlplane.registry.operations import (
    LEASE_MS,
    LONGEST_BACK_OFF_MS,
    LeaseLost,
    OperationRecord,
    refuse_lost,
    release_operation,
    write_operation,
)
from controlplane.registry.tenants import change_tenant, find_tenant
from core.errors import NotFound, Unavailable
from provisioning.parts import Parts
from sync.fleet import describe

FIRST_BACK_OFF_MS = 1_000
WHILE_AWAY_MS = 30_000
"""A database that is away says when it is back by answering only: what waits for it is to go on within a minute."""


Steps = list[dict[str, Any]]


class GivenUp(Exception):
    """The operation cannot succeed, whatever is tried: everything it made is undone. The cause says why."""


class Journal:
    def __init__(self, parts: Parts, operation: OperationRecord) -> None:
        self._parts = parts
        self.operation = operation
        self.steps: Steps = [dict(step) for step in operation.steps if operation.attempts == 1]
        self._written_at = operation.updated_at

    @property
    def current(self) -> str:
        """The step at which it stands."""
        return str(self.steps[-1]["name"]) if self.steps else "start"

    async def step(self, name: str) -> None:
        """The step before is done, this one begins; the lease is good for another while."""
        self.note(name)
        now = self._parts.now()
        await self._parts.registry.write(
            write_operation,
            self.operation.id,
            self.operation.fencing,
            now,
            steps=self.steps,
            lease_expires_at=now + LEASE_MS,
        )
        self._written_at = now

    async def step_in_time(self, name: str) -> None:
        """As `step`, but written only when the run has taken long: otherwise its end, a moment away, tells it. That
        the operation is still this run's is asked all the same."""
        now = self._parts.now()
        if not 0 <= now - self._written_at < LEASE_MS // 30:
            await self.step(name)
            return
        await self.refuse_lost()
        self.note(name)

    def note(self, name: str) -> None:
        """A step with nothing to do: written with the next one that has."""
        now = self._parts.now()
        self._end(now, "succeeded")
        self.steps.append(running(name, now))

    def ended(self) -> Steps:
        """All steps, the last one done: for the unit that finishes the operation."""
        self._end(self._parts.now(), "succeeded")
        return self.steps

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None, None]:
        """The lease is renewed for as long as a step takes that says nothing meanwhile. That it was lost all the same
        is told by the next word."""
        renewing = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_MS / 3_000)
            with suppress(Unavailable, LeaseLost):
                await self.write(lease_expires_at=self._parts.now() + LEASE_MS)

    async def write(self, **values: Any) -> None:
        """Fenced, as every word."""
        await self._parts.registry.write(
            write_operation, self.operation.id, self.operation.fencing, self._parts.now(), **values
        )

    async def refuse_lost(self) -> None:
        """`LeaseLost` when another worker has taken over."""
        await self._parts.registry.read(refuse_lost, self.operation.id, self.operation.fencing)

    async def given_up(self, error: BaseException) -> None:
        """The end: nobody tries it again."""
        now = self._parts.now()
        self._end(now, "failed", describe(error))
        await self.write(
            state="cancelled",
            steps=self.steps,
            error=self._message(error),
            lease_owner=None,
            lease_expires_at=0,
            ended_at=now,
        )

    async def failed(self, error: BaseException) -> None:
        now = self._parts.now()
        self._end(now, "failed", describe(error))
        attempts = self.operation.attempts
        longest = WHILE_AWAY_MS if isinstance(error, Unavailable) else LONGEST_BACK_OFF_MS
        wait = min(longest, FIRST_BACK_OFF_MS * 2 ** min(attempts - 1, 20))
        await self._parts.registry.write(
            record_failure,
            self.operation,
            now,
            steps=self.steps,
            error=self._message(error),
            next_attempt_at=now + wait,
        )

    def _message(self, error: BaseException) -> str:
        name = self.current
        return f"{name}: {describe(error)}"

    def _end(self, now: int, state: str, error: str | None = None) -> None:
        if self.steps and self.steps[-1]["ended_at"] is None:
            self.steps[-1] |= {"state": state, "ended_at": now, "error": error}


def running(name: str, now: int) -> dict[str, Any]:
    return {"name": name, "state": "running", "started_at": now, "ended_at": None, "error": None}


def record_failure(
    connection: Connection,
    operation: OperationRecord,
    now: int,
    *,
    steps: Steps,
    error: str,
    next_attempt_at: int,
) -> None:
    """The operation waits for its next attempt; a tenant that never served says `failed`, and why."""
    release_operation(
        connection,
        operation.id,
        operation.fencing,
        now,
        next_attempt_at=next_attempt_at,
        state="failed",
        steps=steps,
        error=error,
    )
    tenant = find_tenant(connection, operation.tenant_id)
    if tenant is None:
        raise NotFound("tenant")
    if tenant.state in ("provisioning", "failed"):
        change_tenant(connection, tenant.id, now, state="failed", error=error)
