"""Where a database is and whose it must be."""

from dataclasses import dataclass
from pathlib import Path


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
    def start_converging(self) -> str:
        return f"UPDATE {self.table} SET converging = 1"

    @property
    def stop_converging(self) -> str:
        return f"UPDATE {self.table} SET converging = 0"


TENANT = Roll("tenant", "config_version", checks_owner=True)
REGISTRY = Roll("installation", "directory_version", checks_owner=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseRef:
    """A pointer to one life of one database.

    `generation` grows with every flip of the pointer (restore, move): a handle of a lower one is refused. An empty
    `incarnation` is allowed for the registry only, whose incarnation nobody knows before it was opened.
    """

    kind: str = "sqlite"
    path: Path
    owner: str
    incarnation: str
    generation: int = 1

    @property
    def roll(self) -> Roll:
        return REGISTRY if self.owner == "registry" else TENANT
