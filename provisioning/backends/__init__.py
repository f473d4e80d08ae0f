"""Where tenant databases live. A backend is small: it makes, finds, copies and destroys whole databases.

SQLite files ship here; others register as entry points of the group `keystead.backends`, each a callable of
`Settings`. What is *in* a database is never a backend's business, apart from the row that says whose it is.
"""

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from core.database import DatabaseRef
from core.settings import Settings
from provisioning.backends.template import OwnRows, Template

GROUP = "keystead.backends"


class Backend(Protocol):
    name: str

    def location(self, tenant_id: str, generation: int) -> str:
        """Where a database of this name goes; stored in the registry before it is made."""

    def exists(self, ref: DatabaseRef) -> bool: ...

    def create(self, ref: DatabaseRef, template: Template, own_rows: OwnRows) -> None:
        """Whole or not at all, and never over another: the database holds what the template does, says that it is
        `ref`'s, and has the rows that are its own."""

    def delete(self, ref: DatabaseRef) -> None:
        """Safe to repeat. Nobody has it open."""

    def set_aside(self, ref: DatabaseRef) -> None:
        """Out of the way, for a person to look at: what lies there is not what should."""

    def snapshot(self, ref: DatabaseRef, target: Path) -> None:
        """A consistent copy of a database, open or not."""

    def restore(self, ref: DatabaseRef, source: Path) -> None:
        """Put a copy in the place of a new generation."""


def load_backends(settings: Settings, extra: Mapping[str, Backend] | None = None) -> dict[str, Backend]:
    from provisioning.backends.sqlite import SqliteBackend

    backends: dict[str, Backend] = {"sqlite": SqliteBackend(settings)}
    for point in entry_points(group=GROUP):
        backends[point.name] = point.load()(settings)
    return backends | dict(extra or {})
