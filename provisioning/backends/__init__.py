"""Where tenant databases live. A backend is small: it makes, finds, copies and destroys whole databases.

SQLite files, libSQL servers, Turso and PostgreSQL ship here; others register as entry points of the group
`keystead.backends`, each a callable of `Settings`. What is *in* a database is never a backend's business, apart
from the row that says whose it is. How a database is opened is its kind's business (`core.database.kinds`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, runtime_checkable

from core.database import DatabaseRef
from core.settings import Settings, SettingsError
from provisioning.backends.configuration import PostgresqlServer, Servers, read_backends
from provisioning.backends.template import OwnRows, Template

GROUP = "keystead.backends"


@dataclass(frozen=True, slots=True)
class Place:
    """What the registry keeps of where a database is: `location` in the clear, `credentials` sealed."""

    location: str
    credentials: bytes | None = field(default=None, repr=False)


class Backend(Protocol):
    """Every method but `place` and `ref` blocks: for threads."""

    name: str
    is_local: bool
    """Its databases are files of this machine, which no other node reaches."""

    def place(self, tenant_id: str, generation: int, region: str | None) -> Place:
        """Chosen and stored before anything is made: a name that is free for this generation, and credentials of
        its own. `InvalidInput` for a region that this backend has not."""

    def ref(self, place: Place, *, owner: str, incarnation: str, generation: int) -> DatabaseRef:
        """How to open what is at a place. Pure: no network, no disk."""

    def exists(self, ref: DatabaseRef) -> bool:
        """Whether a whole database is there; `Unavailable` when that cannot be known."""

    def create(self, ref: DatabaseRef, template: Template, own_rows: OwnRows) -> Place | None:
        """Whole or not at all, and never over another: the database holds what the template does, says that it is
        `ref`'s, and has the rows that are its own. A draft that a crash left is finished or made anew. Answers a
        place when only now it is known where the database is, None when it is where `place` said."""

    def delete(self, ref: DatabaseRef) -> None:
        """Safe to repeat. Nobody has it open."""

    def set_aside(self, ref: DatabaseRef) -> None:
        """Out of the way, for a person to look at: what lies there is not what should."""

    def snapshot(self, ref: DatabaseRef, target: Path) -> None:
        """A consistent copy of a database, open or not, as a SQLite file, whatever the backend: what is taken from
        one can be restored into another. `target` does not exist yet."""

    def restore(self, ref: DatabaseRef, source: Path) -> Place | None:
        """Put such a copy in the place of a new generation, whole or not at all; answers as `create` does."""


@runtime_checkable
class RenewsCredentials(Protocol):
    """What some back ends can besides: let in with new credentials, and with the old ones no more."""

    def renewed(self, place: Place, ref: DatabaseRef) -> Place:
        """Safe to repeat; what was answered last is what lets one in."""


@runtime_checkable
class KeepsThePast(Protocol):
    """What some back ends can besides: tell what a database held at a moment of the past."""

    def snapshot_as_of(self, ref: DatabaseRef, moment: int, target: Path) -> None:
        """As `snapshot`; the moment in milliseconds. `InvalidInput` for one that is not remembered."""


@runtime_checkable
class Surveyed(Protocol):
    """What some back ends can besides: tell which databases there are, to find those that nobody points to."""

    def names(self) -> list[str]:
        """Of all of this back end's databases, in every region, half-made ones and those set aside too."""


def load_backends(settings: Settings, extra: Mapping[str, Backend] | None = None) -> dict[str, Backend]:
    from provisioning.backends.libsql import LibsqlBackend
    from provisioning.backends.sqlite import SqliteBackend
    from provisioning.backends.turso import TursoBackend

    file = read_backends(settings.backends_file)
    backends: dict[str, Backend] = {"sqlite": SqliteBackend(settings)}
    if file.libsql is not None:
        backends["libsql"] = LibsqlBackend(file.libsql)
    if file.turso is not None:
        backends["turso"] = TursoBackend(file.turso)
    if file.postgresql is not None:
        backends["postgresql"] = _postgresql(file.postgresql)
    for name, make in installed_backends().items():
        backends[name] = make(settings)
    return backends | dict(extra or {})


@cache
def installed_backends() -> dict[str, Callable[[Settings], Backend]]:
    """What is installed does not change while a process runs, and is long to look for."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}


def _postgresql(servers: Servers[PostgresqlServer]) -> Backend:
    if find_spec("psycopg") is None:
        raise SettingsError("The back end postgresql needs a driver: install keystead[postgresql].")
    from provisioning.backends.postgresql import PostgresqlBackend

    return PostgresqlBackend(servers)
