"""What becomes of a move: another try, the end, or the new place."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
import structlog
from sqlalchemy.exc import DataError, IntegrityError

from controlplane.registry.operations import LeaseLost, finish_operation
from controlplane.registry.tenants import RegisteredTenant, find_tenant
from core.errors import IdentityError, Unavailable
from core.failpoints import failpoint
from provisioning.journal import GivenUp, Journal
from provisioning.moving.attempt import Attempt, settle
from provisioning.parts import Parts
from provisioning.replacing import Replacement, choose, flip, is_done, let_go

_log = structlog.get_logger(__name__)
T = TypeVar("T")

KIND = "move"
TRIES = 5
HOUR_MS = 3_600_000


async def run_move(parts: Parts, tenant: RegisteredTenant, journal: Journal) -> None:
    async with journal.held():
        await _Run(parts, tenant, journal).run()


class _Run:
    def __init__(self, parts: Parts, tenant: RegisteredTenant, journal: Journal) -> None:
        self._parts = parts
        self._tenant = tenant
        self._journal = journal
        self._parameters = dict(journal.operation.parameters)

    async def run(self) -> None:
        before = self._replacement()
        if before is not None and is_done(self._tenant, before):
            await self._settle(self._tenant)
            return
        await self._step("undo")
        if before is not None:
            await self._undo(Attempt(self._parts, self._tenant, before, self._parameters["attempt"]))
        attempt = await self._begin()
        try:
            await self._prepare(attempt)
        except BaseException as error:
            await self._undo(attempt)
            if self._is_last(error):
                raise GivenUp from error
            raise
        moved = await self._flip(attempt)
        self._say(paused_ms=attempt.paused_ms)
        _log.info("tenant_moved", tenant=moved.id, backend=moved.backend, paused_ms=attempt.paused_ms)
        await let_go(self._parts, self._tenant)
        failpoint("move.flip.after")
        await self._settle(moved)

    async def _begin(self) -> Attempt:
        """A place of its own for each try, whatever one that was stopped may still do to its own."""
        operation = self._journal.operation
        chosen = choose(
            self._parts,
            self._tenant,
            backend=self._parameters["backend"],
            region=self._parameters["region"],
            incarnation=self._tenant.incarnation,
            generation=self._tenant.generation + operation.attempts,
        )
        name = f"{operation.id}.{operation.fencing}"
        await self._note(chosen, name)
        return Attempt(self._parts, self._tenant, chosen, name)

    async def _prepare(self, attempt: Attempt) -> None:
        await self._do("capture", attempt.capture)
        rows = await self._do("copy", attempt.copy)
        self._say(rows=rows)
        await self._note(attempt.replacement, self._parameters["attempt"])
        rounds = await self._do("catch_up", attempt.catch_up)
        self._say(rounds=rounds)
        await self._do("verify", attempt.verify)
        await self._in_thread(attempt.catch_up)
        await self._do("fence", attempt.fence)
        left = await self._in_thread(attempt.drain)
        self._say(entries=left)
        failpoint("move.drain.after")

    async def _flip(self, attempt: Attempt) -> RegisteredTenant:
        """Undone only if it is known not to have happened. While that cannot be known, all stays as it is, the fence
        too, and the next try finds out."""
        try:
            return await self._parts.registry.write(
                flip,
                self._tenant,
                attempt.replacement,
                self._parts.now(),
                schema_version=attempt.schema_version,
                operation=self._journal.operation,
                grace_ms=int(self._parts.settings.replaced_grace_hours * HOUR_MS),
            )
        except Exception:
            now = await self._parts.registry.read(find_tenant, self._tenant.id)
            if now is not None and is_done(now, attempt.replacement):
                return now
            await self._undo(attempt)
            raise

    async def _settle(self, moved: RegisteredTenant) -> None:
        await self._do("settle", lambda: settle(self._parts, moved))
        operation = self._journal.operation
        await self._parts.registry.write(
            finish_operation,
            operation.id,
            operation.fencing,
            self._parts.now(),
            steps=self._journal.ended(),
            parameters={},
        )

    async def _undo(self, attempt: Attempt) -> None:
        """The source first, so that writers go on. What cannot be deleted after so many tries is left to people."""
        await self._in_thread(attempt.undo_source)
        failpoint("move.undo.source")
        try:
            await self._in_thread(attempt.undo_target)
        except Unavailable as error:
            if self._journal.operation.attempts < TRIES:
                raise
            _log.warning(
                "move_left_a_copy", tenant=self._tenant.id, place=repr(attempt.replacement), exc_info=error
            )

    def _is_last(self, error: BaseException) -> bool:
        """What the tenant's or the operator's data refuse is refused again; what is away may come back."""
        if not isinstance(error, Exception) or isinstance(error, LeaseLost):
            return False
        return _is_refusal(error) or self._journal.operation.attempts >= TRIES

    # --- the journal -----------------------------------------------------------------------------------------

    async def _do(self, name: str, work: Callable[[], T]) -> T:
        await self._step(name)
        done = await self._in_thread(work)
        failpoint(f"move.{name}.after")
        return done

    async def _step(self, name: str) -> None:
        await self._journal.step(name)
        failpoint(f"move.{name}.before")

    def _say(self, **figures: int) -> None:
        """With the step that is running; written with the next one."""
        self._journal.steps[-1] |= figures

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Nothing else is done before it has ended, whatever happens here: what is undone is not done afterwards."""
        task = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            raise

    async def _note(self, replacement: Replacement, attempt: str) -> None:
        """What must be undone, before there is anything to undo."""
        self._parameters |= {"replacement": msgspec.to_builtins(replacement), "attempt": attempt}
        await self._journal.write(parameters=self._parameters)

    def _replacement(self) -> Replacement | None:
        noted = self._parameters.get("replacement")
        return msgspec.convert(noted, Replacement) if noted is not None else None


def _is_refusal(error: Exception) -> bool:
    """Of a rule or of a row, whatever it was told as on its way here."""
    if isinstance(error, IdentityError) and not isinstance(error, Unavailable):
        return True
    return isinstance(error, _OF_A_ROW) or isinstance(error.__cause__, _OF_A_ROW)


_OF_A_ROW = (IntegrityError, DataError)
