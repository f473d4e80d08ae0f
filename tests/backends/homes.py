"""A home is what a back end lives on, for the suite that every back end passes: real files, real servers."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from core.database import DatabaseRef
from provisioning.backends import Backend, Place
from provisioning.backends.template import Draft, OwnRows, Template, Templates

Rows = list[tuple[object, ...]]
_numbers = count(1)


def nothing_more(_: Draft) -> None:
    """No rows but the one that says whose it is."""


@dataclass(slots=True)
class Home:
    """`again` makes the back end anew, as another process would: it shares nothing with the first but the engine."""

    backend: Backend
    again: Callable[[], Backend]
    folder: Path
    template: Template = field(default_factory=lambda: TEMPLATES.get("", lambda _: None))

    def place(self, tenant_id: str = "acme", generation: int = 1) -> Place:
        return self.backend.place(tenant_id, generation, None)

    def ref(
        self, place: Place, *, owner: str = "acme", incarnation: str = "inc_1", generation: int = 1
    ) -> DatabaseRef:
        return self.backend.ref(place, owner=owner, incarnation=incarnation, generation=generation)

    def made(
        self,
        owner: str = "acme",
        own_rows: OwnRows = nothing_more,
        *,
        incarnation: str = "inc_1",
        place: Place | None = None,
    ) -> tuple[Place, DatabaseRef]:
        chosen = place or self.place(owner)
        ref = self.ref(chosen, owner=owner, incarnation=incarnation)
        found = self.backend.create(ref, self.template, own_rows) or chosen
        return found, self.ref(found, owner=owner, incarnation=incarnation)

    def restored(
        self, source: Path, *, owner: str = "acme", generation: int = 2
    ) -> tuple[Place, DatabaseRef]:
        place = self.place(owner, generation)
        ref = self.ref(place, owner=owner, generation=generation)
        found = self.backend.restore(ref, source) or place
        return found, self.ref(found, owner=owner, generation=generation)

    def make(self, work: str, ref: DatabaseRef, source: Path, own_rows: OwnRows) -> Place | None:
        if work == "create":
            return self.backend.create(ref, self.template, own_rows)
        return self.backend.restore(ref, source)

    def copy(self, ref: DatabaseRef) -> Path:
        target = self.folder / f"copy-{next(_numbers)}.db"
        self.backend.snapshot(ref, target)
        return target


TEMPLATES = Templates()


def rows_of(path: Path, sql: str) -> Rows:
    with closing(sqlite3.connect(path)) as driver:
        return driver.execute(sql).fetchall()


def content_of(path: Path) -> list[str]:
    """All of it, independent of how it is laid out in the file."""
    with closing(sqlite3.connect(path)) as driver:
        return sorted(line.replace("IF NOT EXISTS ", "") for line in driver.iterdump())
