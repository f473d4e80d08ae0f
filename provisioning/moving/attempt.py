"""One try of a move, step by step. Every method blocks: for threads.

    capture   triggers in the source write down which rows change
    copy      a snapshot of the source is put in the new place
    catch_up  the rows that changed since are copied, round after round, until little is left
    verify    both hold the same rows, in one moment of the source, and nothing refers to what is not there
    fence     the source refuses every write from here on; whoever writes waits for the pointer
    drain     the last rows; what was copied is compared, and everything counted
    flip      the pointer goes over, compared and set
    settle    what waited follows; the source stays, fenced, for a grace time

Until `flip` every step is undone by `undo`; from there on there is only forward.
"""

from contextlib import AbstractContextManager
from time import monotonic

from sqlalchemy import Connection

from controlplane.registry.tenants import RegisteredTenant
from core.database.private import existing_file
from core.failpoints import failpoint
from provisioning.drafts import workplace
from provisioning.moving import capture, references
from provisioning.moving.checking import check_references, check_same
from provisioning.moving.rounds import Round, apply_round, check_round, last_entry, read_round
from provisioning.parts import Parts
from provisioning.replacing import Replacement, abandon, check, put_copy, successor
from provisioning.transfer import Shape, digests, shapes_of
from provisioning.transfer.rows import counts

FEW = 50
"""Entries of the log that a fence may find: what is copied while writers wait."""

MOST_ROUNDS = 30
TABLES_AT_ONCE = 3


class Attempt:
    def __init__(self, parts: Parts, tenant: RegisteredTenant, replacement: Replacement, name: str) -> None:
        """`name` is of this try alone; `tenant` points to the source."""
        self._parts = parts
        self._tenant = tenant
        self._name = name
        self._source = parts.ref(tenant)
        self.replacement = replacement
        self.schema_version = ""
        self._shapes: list[Shape] = []
        self._copied = 0
        self._fenced_at = 0.0

    @property
    def paused_ms(self) -> int:
        """For how long nobody has been able to write."""
        return round((monotonic() - self._fenced_at) * 1000)

    def capture(self) -> None:
        with self._parts.databases.exclusive(self._source) as source:
            self._shapes = capture.moved(shapes_of(source))
            capture.begin(source, self._name)
        for start in range(0, len(self._shapes), TABLES_AT_ONCE):
            with self._parts.databases.exclusive(self._source) as source:
                capture.watch(source, self._shapes[start : start + TABLES_AT_ONCE], self._name)

    def copy(self) -> int:
        """What the log holds by now is in the snapshot already; answers how many rows that has."""
        with self._parts.databases.read_only(self._source) as source:
            self._copied = last_entry(source)
        with workplace(self._parts, self._name) as folder:
            file = folder / "copy.db"
            self._parts.backend(self._tenant.backend).snapshot(self._source, file)
            with existing_file(file) as copy:
                capture.remove(copy)
                rows = sum(counts(copy, self._shapes).values())
            failpoint("move.copy.snapshot")
            self.replacement = put_copy(self._parts, self._tenant, self.replacement, file)
        self.schema_version = check(self._parts, self._tenant, self.replacement)
        with self._writing_target() as target:
            references.take_off(target)
        return rows

    def catch_up(self) -> int:
        """Answers how many rounds it took."""
        for number in range(1, MOST_ROUNDS):
            if self._round().entries <= FEW:
                return number
        return MOST_ROUNDS

    def verify(self) -> None:
        """Of one moment, while writers go on."""
        changed = self._round()
        while not changed.is_complete:
            changed = self._round()
        with self._parts.databases.read_only(self._source) as source:
            changed = read_round(source, self._shapes, self._copied, self._name)
            wanted = digests(source, self._shapes)
        self._apply(changed)
        with self._reading_target() as target:
            check_same(wanted, digests(target, self._shapes))
            check_references(target, self._shapes)

    def fence(self) -> None:
        self._fenced_at = monotonic()
        with self._parts.databases.exclusive(self._source) as source:
            capture.close(source, self._shapes, self._name)

    def drain(self) -> int:
        """Nobody writes any more: answers how many entries were left."""
        changed, wanted = self._read_last()
        left = changed.entries
        while not changed.is_complete:
            self._apply(changed)
            changed, wanted = self._read_last()
            left += changed.entries
        with self._writing_target() as target:
            apply_round(target, self._shapes, changed)
            references.put_back(target)
            check_round(target, self._shapes, changed)
            check_same(wanted, counts(target, self._shapes))
        return left

    def undo_source(self) -> None:
        with self._parts.databases.exclusive(self._source) as source:
            capture.remove_own(source, self._name)

    def undo_target(self) -> None:
        abandon(self._parts, self._tenant, self.replacement)

    def _round(self) -> Round:
        changed = self._read()
        self._apply(changed)
        return changed

    def _read(self) -> Round:
        with self._parts.databases.read_only(self._source) as source:
            return read_round(source, self._shapes, self._copied, self._name)

    def _read_last(self) -> tuple[Round, dict[str, int]]:
        with self._parts.databases.read_only(self._source) as source:
            changed = read_round(source, self._shapes, self._copied, self._name)
            return changed, counts(source, self._shapes)

    def _apply(self, changed: Round) -> None:
        with self._writing_target() as target:
            apply_round(target, self._shapes, changed)
        self._copied = changed.upto

    def _target(self) -> RegisteredTenant:
        return successor(self._tenant, self.replacement)

    def _reading_target(self) -> AbstractContextManager[Connection]:
        return self._parts.databases.read_only(self._parts.ref(self._target()))

    def _writing_target(self) -> AbstractContextManager[Connection]:
        return self._parts.databases.exclusive(
            self._parts.ref(self._target()), converge=True, foreign_keys=False
        )


def settle(parts: Parts, tenant: RegisteredTenant) -> None:
    """After the flip, of the tenant as it is now."""
    with parts.databases.exclusive(parts.ref(tenant)) as target:
        references.prove(target)
