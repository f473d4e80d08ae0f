"""Both schema histories: `controlplane/` for the registry, `tenant/` for every tenant's database.

`upgrade` brings one database, given as a SQLAlchemy connection, to the newest version; who opens that connection
(a lane, a fleet thread, a template file being made) is decided elsewhere. A migration is one transaction.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, inspect, text

from controlplane import models as registry_models
from core.database.triggers import Trigger, create_triggers, drop_triggers
from tenant_runtime.models import triggers as tenant_triggers

History = Literal["tenant", "controlplane"]

_FOLDER = Path(__file__).parent


@cache
def head(history: History) -> str:
    """The newest version of a history, as stored in `alembic_version`: revisions are numbered files in one line."""
    return max(file.name.partition("_")[0] for file in (_FOLDER / history / "versions").glob("[0-9]*.py"))


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
    then never meets a trigger of its future or its past.
    """
    wanted = to or head(history)
    if current(connection) == wanted:
        return
    drop_triggers(connection)
    _run(connection, history, wanted)
    create_triggers(connection, _triggers(history))


def _run(connection: Connection, history: History, wanted: str) -> None:
    """Alembic is loaded when there is something to do: most starts find nothing, and it is a tenth of a start."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER / history))
    config.attributes["connection"] = connection
    command.upgrade(config, wanted)


def _triggers(history: History) -> Iterator[Trigger]:
    return tenant_triggers.all_triggers() if history == "tenant" else registry_models.all_triggers()
