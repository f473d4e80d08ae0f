"""Both schema histories: `controlplane/` for the registry, `tenant/` for every tenant's database.

`upgrade` brings one database, given as a SQLAlchemy connection, to the newest version; who opens that connection
(a lane, a fleet thread, a template file being made) is decided elsewhere. A migration is one transaction.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, inspect, text

from controlplane import models as registry_models
from core.database.triggers import Trigger, are_in_place, create_triggers, drop_triggers
from core.errors import Conflict
from tenant_runtime.models import triggers as tenant_triggers

History = Literal["tenant", "controlplane"]

_FOLDER = Path(__file__).parent


@cache
def head(history: History) -> str:
    """The newest version of a history, as stored in `alembic_version`: revisions are numbered files in one line."""
    return max(file.name.partition("_")[0] for file in (_FOLDER / history / "versions").glob("[0-9]*.py"))


@cache
def digest(history: History) -> str:
    """Of everything that makes the schema: it tells two histories with the same numbers apart."""
    versions = sorted((_FOLDER / history / "versions").glob("[0-9]*.py"))
    content = [file.read_bytes() for file in versions] + [repr(each).encode() for each in _triggers(history)]
    return sha256(b"\0".join(content)).hexdigest()


def current(connection: Connection) -> str | None:
    """The version a database is at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar_one_or_none()
    return version


def upgrade(connection: Connection, history: History, *, to: str | None = None) -> None:
    """Run what is missing, inside the transaction of `connection`, which the caller commits. `to` is a version that is
    not the newest, for a copy of a database that is behind.

    Triggers are not part of the history but made anew after it, from the one list beside the models: a migration
    then never meets a trigger of its future or its past. Revisions that only add tables and indexes meet none: then
    the triggers stay where they are, if they are those of the list.
    """
    wanted = to or head(history)
    before = current(connection)
    if before is not None and before >= wanted:
        refuse_unknown(before, wanted)
        return
    if before is not None:
        _refuse_cascades(connection)
    triggers = [trigger for trigger in _triggers(history) if trigger.since <= wanted]
    if not _only_adds(history, before, wanted) or not are_in_place(connection, triggers):
        drop_triggers(connection)
        _run(connection, history, before, wanted)
        create_triggers(connection, triggers)
    else:
        _run(connection, history, before, wanted)
    if before is not None:
        _refuse_orphans(connection)


def previous(history: History) -> str:
    """The version before the newest one: what this code serves as well."""
    return f"{int(head(history)) - 1:04}"


def refuse_unknown(before: str, wanted: str) -> None:
    """A release serves its own schema and the two beside it: of one further on it knows nothing."""
    if int(before) - int(wanted) > 1:
        raise Conflict(
            f"The database is at version {before}, and this release knows none after {wanted}.",
            code="migration_failed",
        )


def _refuse_cascades(connection: Connection) -> None:
    """To rebuild a table is to drop it, which with foreign keys on deletes the rows that refer to it: measured, on
    SQLite and on libSQL (`specs/databases.md` section 3.6). They are switched off before the transaction, or never."""
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql(_ENFORCED).scalar_one():
        raise Conflict("Foreign keys must be off during a migration.", code="migration_failed")


def _refuse_orphans(connection: Connection) -> None:
    """What was off meanwhile is looked at before COMMIT."""
    if connection.dialect.name != "sqlite":
        return
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise Conflict("The migration would leave a reference to nothing.", code="migration_failed")


_ENFORCED = "PRAGMA foreign_keys"


def _run(connection: Connection, history: History, before: str | None, wanted: str) -> None:
    """Alembic is loaded when there is something to do: most starts find nothing, and it is a tenth of a start."""
    from migrations.running import run_revisions

    run_revisions(connection, _FOLDER / history / "versions", before, wanted)


def _only_adds(history: History, before: str | None, wanted: str) -> bool:
    from migrations.running import revisions_between

    between = revisions_between(_FOLDER / history / "versions", before, wanted)
    return all(getattr(revision, "only_adds", False) for revision in between)


@cache
def _triggers(history: History) -> tuple[Trigger, ...]:
    return tuple(tenant_triggers.all_triggers() if history == "tenant" else registry_models.all_triggers())
