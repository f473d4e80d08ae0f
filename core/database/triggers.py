"""Triggers said once, and spelled for SQLite (and libSQL) and for PostgreSQL.

A statement may say `now_ms()`, `random_text()`, `object_of('name', value, ...)`, `json_value(column)` and
`joined(column, ',')`, of the rows in their order: each of them is spelled for the database, too. `since` is the
revision that makes what a trigger needs.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """After each row that `event` ON `table` touches, `statement` is run."""

    name: str
    event: str
    table: str
    statement: str
    since: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusing:
    """Before each row that `event` ON `table` touches: where `condition` on OLD and NEW holds, the statement fails as
    a broken rule of the schema does, and its error says `message`."""

    name: str
    event: str
    table: str
    condition: str
    message: str
    since: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """After each row that `event` ON `table` touches, whoever listens to `channel` is told `what` at COMMIT. A file
    has nobody who could listen."""

    name: str
    event: str
    table: str
    channel: str
    what: str
    since: str = ""


Trigger = Following | Refusing | Telling


def create_triggers(connection: Connection, triggers: Iterable[Trigger]) -> None:
    spell = _in_postgresql if connection.dialect.name == "postgresql" else _in_sqlite
    for trigger in triggers:
        for statement in spell(trigger):
            connection.exec_driver_sql(statement, execution_options=_AS_IT_IS)


def drop_triggers(connection: Connection, prefix: str = "") -> None:
    """All there are whose name begins so."""
    is_postgresql = connection.dialect.name == "postgresql"
    drop = (
        'DROP FUNCTION "{}" CASCADE' if is_postgresql else 'DROP TRIGGER "{}"'
    )  # with the trigger that calls it
    for name in trigger_names(connection, prefix):
        connection.exec_driver_sql(drop.format(name), execution_options=_AS_IT_IS)


def are_in_place(connection: Connection, triggers: Iterable[Trigger]) -> bool:
    """Whether these stand, word for word, and no others. Only SQLite keeps the words."""
    if connection.dialect.name != "sqlite":
        return False
    wanted = {statement for trigger in triggers for statement in _in_sqlite(trigger)}
    return set(connection.exec_driver_sql(_WORDS).scalars()) == wanted


def trigger_names(connection: Connection, prefix: str = "") -> list[str]:
    found = _FUNCTIONS if connection.dialect.name == "postgresql" else _TRIGGERS
    return [name for name in connection.execute(text(found)).scalars() if name.startswith(prefix)]


_AS_IT_IS = {"no_parameters": True}
_SQLITE = {
    "now_ms()": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "random_text()": "lower(hex(randomblob(12)))",
    "object_of(": "json_object(",
    "json_value(": "json(",
    "joined(": "group_concat(",
}
_POSTGRESQL = {
    "now_ms()": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
    "random_text()": "substr(replace(CAST(gen_random_uuid() AS text), '-', ''), 1, 24)",
    "object_of(": "json_build_object(",
    "json_value(": "(",
    "joined(": "string_agg(",
}
_TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
_WORDS = "SELECT sql FROM sqlite_master WHERE type = 'trigger'"
_FUNCTIONS = (
    "SELECT proname FROM pg_proc WHERE prorettype = CAST('trigger' AS regtype)"
    " AND pronamespace = CAST(current_schema() AS regnamespace)"
)


def _spelled(statement: str, words: Mapping[str, str]) -> str:
    for word, meant in words.items():
        statement = statement.replace(word, meant)
    return statement


def _in_sqlite(trigger: Trigger) -> Iterator[str]:
    match trigger:
        case Following():
            when, body = f"AFTER {trigger.event} ON {trigger.table}", _spelled(trigger.statement, _SQLITE)
        case Refusing():
            when = f"BEFORE {trigger.event} ON {trigger.table} WHEN {trigger.condition}"
            body = f"SELECT RAISE(ABORT, '{trigger.message}')"
        case Telling():
            return
    yield f"CREATE TRIGGER {trigger.name} {when} BEGIN {body}; END"


def _in_postgresql(trigger: Trigger) -> Iterator[str]:
    """A condition with a query in it is not allowed in WHEN, so it is the function's."""
    row = "OLD" if trigger.event == "DELETE" else "NEW"
    match trigger:
        case Following():
            when, body = "AFTER", f"{_spelled(trigger.statement, _POSTGRESQL)};"
        case Refusing():
            when = "BEFORE"
            body = (
                f"IF {trigger.condition} THEN RAISE EXCEPTION USING MESSAGE = '{trigger.message}',"
                " ERRCODE = 'integrity_constraint_violation'; END IF;"
            )
        case Telling():
            when, body = "AFTER", f"PERFORM pg_notify('{trigger.channel}', CAST({trigger.what} AS text));"
    yield (
        f"CREATE FUNCTION {trigger.name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {body} RETURN {row}; END $$"
    )
    yield (
        f"CREATE TRIGGER {trigger.name} {when} {trigger.event} ON {trigger.table}"
        f" FOR EACH ROW EXECUTE FUNCTION {trigger.name}()"
    )
