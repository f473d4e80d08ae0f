"""Both schema histories: `controlplane/` for the registry, `tenant/` for every tenant's database.

`upgrade` brings one database, given as a SQLAlchemy connection, to the newest version; who opens that connection
(a lane, a fleet thread, a template file being made) is decided elsewhere. A migration is one transaction.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from controlplane import models as registry_models
from tenant_runtime.models import triggers as tenant_triggers

History = Literal["tenant", "controlplane"]

_FOLDER = Path(__file__).parent


def _config(history: History) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER / history))
    return config


@cache
def head(history: History) -> str:
    """The newest version of a history, as stored in `alembic_version`."""
    newest = ScriptDirectory.from_config(_config(history)).get_current_head()
    assert newest is not None
    return newest


def current(connection: Connection) -> str | None:
    """The version a database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection, history: History) -> None:
    """Run what is missing, inside the transaction of `connection`, which the caller commits.

    Triggers are not part of the history but made anew after it, from the one list beside the models: a migration
    then never meets a trigger of its future or its past.
    """
    if current(connection) == head(history):
        return
    _drop_triggers(connection)
    config = _config(history)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    for statement in _trigger_statements(history):
        connection.execute(text(statement))


def _trigger_statements(history: History) -> Iterator[str]:
    if history == "tenant":
        return tenant_triggers.create_statements()
    return registry_models.trigger_statements()


def _drop_triggers(connection: Connection) -> None:
    names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
    for name in names:
        connection.execute(text(f'DROP TRIGGER "{name}"'))
