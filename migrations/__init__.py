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


def upgrade(connection: Connection, history: History) -> None:
    """Run what is missing, inside the transaction of `connection`, which the caller commits.

    Triggers are not part of the history but made anew after it, from the one list beside the models: a migration
    then never meets a trigger of its future or its past.
    """
    if current(connection) == head(history):
        return
    _drop_triggers(connection)
    _run(connection, history)
    for statement in _trigger_statements(history):
        connection.execute(text(statement))


def _run(connection: Connection, history: History) -> None:
    """Alembic is loaded when there is something to do: most starts find nothing, and it is a tenth of a start."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER / history))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _trigger_statements(history: History) -> Iterator[str]:
    if history == "tenant":
        return tenant_triggers.create_statements()
    return registry_models.trigger_statements()


def _drop_triggers(connection: Connection) -> None:
    names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
    for name in names:
        connection.execute(text(f'DROP TRIGGER "{name}"'))
