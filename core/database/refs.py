"""Where a database is and whose it must be."""

from dataclasses import dataclass, field
from pathlib import Path

from core.errors import DatabaseUnavailable, WrongDatabase


@dataclass(frozen=True, slots=True)
class Roll:
    """The one-row table in which a database says whose it is, and the column that counts its configuration."""

    table: str
    version: str
    checks_owner: bool

    @property
    def select_identity(self) -> str:
        return f"SELECT id, incarnation FROM {self.table}"

    @property
    def select_version(self) -> str:
        return f"SELECT {self.version} FROM {self.table}"

    @property
    def select_whole(self) -> str:
        """Identity and version at once: what a transaction over the network asks first."""
        return f"SELECT id, incarnation, {self.version} FROM {self.table}"

    @property
    def start_converging(self) -> str:
        return f"UPDATE {self.table} SET converging = 1"

    @property
    def stop_converging(self) -> str:
        return f"UPDATE {self.table} SET converging = 0"


TENANT = Roll("tenant", "config_version", checks_owner=True)
REGISTRY_OWNER = "registry:"
"""Whose the registry is: no tenant has such an id."""

REGISTRY = Roll("installation", "directory_version", checks_owner=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A database behind a server: its address, its name there, and what lets one in.

    `secret` is a bearer token or a private key that mints them (libSQL: `core.database.tokens`), or a password
    (PostgreSQL); `user` is PostgreSQL's role. It may open this database and no other.
    """

    url: str
    name: str
    user: str = ""
    secret: str = field(default="", repr=False)
    is_alone: bool = False
    """The address leads to this database only (Turso), so that no namespace is named to the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseRef:
    """A pointer to one life of one database: a file (`path`) or a database behind a server (`remote`).

    `kind` says how it is opened (`core.database.kinds`), which is not its backend: Turso's databases are of the
    kind `libsql`. `generation` grows with every flip of the pointer (restore, move): a handle of a lower one is
    refused. An empty `incarnation` is allowed for the registry only, whose incarnation nobody knows before it was
    opened.
    """

    kind: str = "sqlite"
    path: Path | None = None
    remote: Remote | None = None
    owner: str
    incarnation: str
    generation: int = 1

    @property
    def roll(self) -> Roll:
        return REGISTRY if self.owner == REGISTRY_OWNER else TENANT

    def check(self, owner: str, incarnation: str) -> None:
        """Of what a database says of itself: `WrongDatabase` unless it is this one."""
        wrong_owner = self.roll.checks_owner and owner != self.owner
        wrong_life = incarnation != self.incarnation and (self.incarnation or self.roll.checks_owner)
        if wrong_owner or wrong_life:
            raise WrongDatabase

    @property
    def file(self) -> Path:
        if self.path is None:
            raise DatabaseUnavailable("This database is not a file.")
        return self.path

    @property
    def server(self) -> Remote:
        if self.remote is None:
            raise DatabaseUnavailable("This database is not behind a server.")
        return self.remote
