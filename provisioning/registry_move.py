"""The registry goes from its file to PostgreSQL, or back, while nobody serves: every row, compared before it counts.

The target is whole or not there; only then the source says that it was moved, and refuses whoever starts on it. Killed
in between it is done again: what was copied is compared, not copied twice.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from sqlalchemy import Connection, bindparam, delete, select, update

import migrations
from controlplane.models import RegistryBase
from controlplane.registry.installation import read_installation
from controlplane.registry.nodes import others_are_alive
from core.clock import Clock, now_ms
from core.database import Databases, files_of
from core.database.private import existing_file
from core.failpoints import failpoint
from core.settings import Secret, Settings, SettingsError
from provisioning.backends import load_backends
from provisioning.backends.sqlite import write_whole
from provisioning.backends.template import new_image
from provisioning.presence import anybody_is_alive
from provisioning.registry_place import (
    alone_with_registry,
    close_to_others,
    file_ref,
    migrate_registry,
    registry_exists,
    registry_ref,
)
from provisioning.transfer import Shape, TableDigest, digests
from provisioning.transfer.rows import insert_rows, pages

_TABLES = RegistryBase.metadata.tables
_INSTALLATION, _TENANTS = _TABLES["installation"], _TABLES["tenants"]
_OF_ONE_PLACE = frozenset({"nodes", "transaction_marks"})
"""Say something of where the registry is, and nothing of the installation."""

_LEFT_OUT = frozenset({_INSTALLATION.c.moved_at, _TENANTS.c.node})


@dataclass(frozen=True, slots=True)
class Moved:
    """How many rows each table has."""

    rows: dict[str, int]


def move_registry(settings: Settings, databases: Databases, to: Secret | None, clock: Clock) -> Moved:
    """`to` is the address of a PostgreSQL database; None is the file in the data folder. Blocks: for threads."""
    goal = replace(settings, registry_url=to)
    if registry_ref(goal) == registry_ref(settings):
        raise SettingsError("The registry is there already.")
    if not registry_exists(settings):
        raise SettingsError("There is no registry to move.")
    if anybody_is_alive(settings):
        raise SettingsError("Servers of this machine are running: stop them first.")
    migrate_registry(databases, registry_ref(settings))
    now = now_ms(clock)
    with ExitStack() as stack:
        stack.enter_context(alone_with_registry(settings))
        stack.enter_context(alone_with_registry(goal))
        source = stack.enter_context(_writing(settings, databases))
        _refuse_others(source, settings, now)
        found = _bring(source, settings, goal, now)
        failpoint("registry.move.brought")
        source.execute(update(_INSTALLATION).values(moved_at=now))
    return Moved({name: digest.rows for name, digest in found.items()})


def _refuse_others(source: Connection, settings: Settings, now: int) -> None:
    if others_are_alive(source, settings.node, now):
        raise SettingsError("Other nodes are running: stop them, and wait for half a minute.")
    if settings.registry_url is None:
        return
    elsewhere = source.execute(
        select(_TENANTS.c.id).where(_TENANTS.c.node != settings.node, _TENANTS.c.state != "deleted").limit(1)
    ).first()
    if elsewhere is not None:
        raise SettingsError(
            f"The database of tenant '{elsewhere.id}' is a file of another machine: move it first."
        )


def _bring(source: Connection, settings: Settings, goal: Settings, now: int) -> dict[str, TableDigest]:
    wanted = digests(source, _shapes())
    if goal.registry_url is None:
        _bring_to_file(source, settings, goal, now, wanted)
        return wanted
    from core.database.remote.advisory import server_transaction

    with server_transaction(registry_ref(goal).server) as target:
        if _is_there(source, target, wanted):
            return wanted
        close_to_others(target)
        migrations.upgrade(target, "controlplane")
        _empty(target)
        _fill(source, target, wanted, settings)
    return wanted


def _bring_to_file(
    source: Connection, settings: Settings, goal: Settings, now: int, wanted: dict[str, TableDigest]
) -> None:
    path = file_ref(goal).file
    if path.exists():
        with existing_file(path) as target:
            if _is_there(source, target, wanted):
                return
        for left in files_of(path):
            if left.exists():
                left.rename(left.with_name(f"{left.name}.before-{now}"))

    def fill(target: Connection) -> None:
        migrations.upgrade(target, "controlplane")
        _fill(source, target, wanted, settings)

    write_whole(path, new_image(fill))


def _is_there(source: Connection, target: Connection, wanted: dict[str, TableDigest]) -> bool:
    """Whether an earlier attempt brought all of it. Another installation's registry is never touched."""
    if migrations.current(target) is None:
        return False
    theirs, ours = read_installation(target), read_installation(source)
    if theirs is None:
        return False
    if ours is None or theirs.id != ours.id:
        raise SettingsError("The target is the registry of another installation.")
    if migrations.current(target) != migrations.head("controlplane"):
        raise SettingsError("The target is this installation's registry, of another release.")
    if target.execute(select(_INSTALLATION.c.moved_at)).scalar_one() is not None:
        return False  # this registry's own earlier place
    if digests(target, _shapes()) != wanted:
        raise SettingsError("The target is a registry of this installation that is in use.")
    return True


def _empty(target: Connection) -> None:
    for table in reversed(RegistryBase.metadata.sorted_tables):
        target.execute(delete(table))


def _fill(source: Connection, target: Connection, wanted: dict[str, TableDigest], settings: Settings) -> None:
    """The installation comes last: until its row is there, no trigger counts what is written."""
    for shape in _shapes():
        if shape.table is _INSTALLATION:
            _say_whose_files(target, settings)
        for page in pages(source, shape):
            insert_rows(target, shape, page)
    if digests(target, _shapes()) != wanted:
        raise SettingsError("The copy is not what was copied: nothing was changed.")
    failpoint("registry.move.copied")


def _say_whose_files(target: Connection, settings: Settings) -> None:
    """A file is this machine's as soon as there may be others."""
    local = [name for name, backend in load_backends(settings).items() if backend.is_local]
    node = settings.node if target.dialect.name == "postgresql" else None
    target.execute(
        update(_TENANTS).where(_TENANTS.c.backend.in_(local)).values(node=bindparam("node_name")),
        {"node_name": node},
    )


def _shapes() -> list[Shape]:
    tables = [table for table in RegistryBase.metadata.sorted_tables if table is not _INSTALLATION]
    return [
        Shape(table, tuple(column for column in table.columns if column not in _LEFT_OUT))
        for table in (*tables, _INSTALLATION)
        if table.name not in _OF_ONE_PLACE
    ]


@contextmanager
def _writing(settings: Settings, databases: Databases) -> Generator[Connection, None, None]:
    """Nobody else writes meanwhile, however long it takes."""
    if settings.registry_url is None:
        with databases.exclusive(file_ref(settings)) as connection:
            yield connection
        return
    from core.database.remote.advisory import server_transaction

    with server_transaction(registry_ref(settings).server, as_writer=True) as connection:
        yield connection
