"""The one row of the installation, and what every process compares to know whether its directory still holds."""

from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update

from controlplane.models import RegistryBase
from controlplane.registry.ledger import forget_applied

_INSTALLATION = RegistryBase.metadata.tables["installation"]
_DIRECTORY_VERSION = select(_INSTALLATION.c.directory_version)


class InstallationRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    incarnation: str
    kind: str
    control_plane_tenant: str
    key_check: str
    created_at: int


def read_installation(connection: Connection) -> InstallationRow | None:
    columns = [_INSTALLATION.c[name] for name in InstallationRow.__struct_fields__]
    row = connection.execute(select(*columns)).first()
    return InstallationRow(**row._mapping) if row is not None else None


def insert_installation(connection: Connection, row: InstallationRow) -> None:
    connection.execute(insert(_INSTALLATION), {**msgspec.structs.asdict(row), "directory_version": 1})


def directory_version(connection: Connection) -> int:
    return int(connection.execute(_DIRECTORY_VERSION).scalar_one())


def take_over_rules(connection: Connection, fingerprint: str) -> bool:
    """A restart may have brought other toggles, keys or templates: then every tenant is evaluated again, although
    tenant one's version is the same."""
    if connection.execute(select(_INSTALLATION.c.sharing)).scalar_one() == fingerprint:
        return False
    forget_applied(connection)
    connection.execute(update(_INSTALLATION).values(sharing=fingerprint))
    return True


def is_moved(connection: Connection) -> bool:
    """Whether another registry has taken this one's place."""
    return connection.execute(select(_INSTALLATION.c.moved_at)).scalar_one() is not None


def remember_wanted(connection: Connection, incarnation: str, version: int) -> None:
    """A hint for whoever looks at the fleet while tenant one is away; what is wanted stands in tenant one."""
    connection.execute(update(_INSTALLATION).values(wanted_incarnation=incarnation, wanted_version=version))


def wanted_hint(connection: Connection) -> tuple[str, int] | None:
    row: Any = connection.execute(
        select(_INSTALLATION.c.wanted_incarnation, _INSTALLATION.c.wanted_version)
    ).first()
    return (row[0], row[1]) if row is not None and row[0] is not None else None
