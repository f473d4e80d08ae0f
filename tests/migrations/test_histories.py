"""Both histories lead to what the models say, and a second run does nothing."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import migrations
from controlplane.models import RegistryBase
from core.database.engine import connection_over
from tenant_runtime.models import TenantBase
from tenant_runtime.models.triggers import all_triggers

HISTORIES = {"tenant": TenantBase.metadata, "controlplane": RegistryBase.metadata}


@pytest.fixture
def connection() -> Iterator[Connection]:
    driver = sqlite3.connect(":memory:", isolation_level=None)
    driver.execute("PRAGMA foreign_keys=ON")
    driver.execute("BEGIN")
    connection = connection_over(driver)
    yield connection
    connection.close()
    driver.close()


def schema(connection: Connection) -> list[tuple[str, str]]:
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"))
    return [(row[0], row[1]) for row in rows]


@pytest.mark.parametrize("history", HISTORIES)
def test_a_history_ends_where_its_models_are(connection: Connection, history: migrations.History) -> None:
    migrations.upgrade(connection, history)
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    assert compare_metadata(context, HISTORIES[history]) == []
    assert migrations.current(connection) == migrations.head(history)


@pytest.mark.parametrize("history", HISTORIES)
def test_a_second_run_does_nothing(connection: Connection, history: migrations.History) -> None:
    migrations.upgrade(connection, history)
    before = schema(connection)
    migrations.upgrade(connection, history)
    assert schema(connection) == before
    assert any(name.endswith("_version") for name, _ in before)


@pytest.mark.parametrize("history", HISTORIES)
def test_the_newest_file_is_alembics_head(history: migrations.History) -> None:
    """Revisions stand in one line, so that the newest one can be told without loading Alembic."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent / history))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.head(history)]


@pytest.mark.parametrize("history", HISTORIES)
def test_an_older_database_ends_as_a_new_one_does(
    connection: Connection, history: migrations.History
) -> None:
    """Also where its triggers could stay in place meanwhile."""
    migrations.upgrade(connection, history)
    new = schema(connection)
    driver = sqlite3.connect(":memory:", isolation_level=None)
    driver.execute("BEGIN")
    older = connection_over(driver)
    migrations.upgrade(older, history, to=migrations.previous(history))
    migrations.upgrade(older, history)
    assert schema(older) == new
    driver.close()


@pytest.mark.parametrize(
    "odd",
    [
        "DROP TRIGGER clients_update_version",
        "CREATE TRIGGER another AFTER DELETE ON clients BEGIN DELETE FROM users; END",
    ],
)
def test_triggers_that_are_not_those_of_the_list_are_made_anew_whatever_the_revision_does(odd: str) -> None:
    driver = sqlite3.connect(":memory:", isolation_level=None)
    driver.execute("BEGIN")
    connection = connection_over(driver)
    migrations.upgrade(connection, "tenant", to=migrations.previous("tenant"))
    before = triggers(connection)
    connection.execute(text(odd))
    assert triggers(connection) != before
    migrations.upgrade(connection, "tenant")
    assert before <= triggers(connection)
    assert len(triggers(connection)) == len(list(all_triggers()))
    driver.close()


def test_an_older_copy_has_no_trigger_that_needs_what_comes_later(connection: Connection) -> None:
    before = migrations.previous("tenant")
    migrations.upgrade(connection, "tenant", to=before)
    found = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()
    assert set(found) == {trigger.name for trigger in all_triggers() if trigger.since <= before}


def test_what_members_are_stands_in_their_own_row_from_the_upgrade_on() -> None:
    """And stays true whoever writes their roles."""
    driver = sqlite3.connect(":memory:", isolation_level=None)
    driver.execute("BEGIN")
    connection = connection_over(driver)
    migrations.upgrade(connection, "tenant", to="0005")
    put(connection, "organizations", id="o", name="o", branding="{}", metadata="{}")
    for who, roles in {"a": ["owner", "editor"], "b": ["member"], "c": []}.items():
        put(connection, "users", user_id=who)
        put(connection, "memberships", id=who, organization_id="o", user_id=who)
        for role in roles:
            put(connection, "membership_organization_roles", membership_id=who, role=role)
    migrations.upgrade(connection, "tenant")
    assert roles_of(connection) == {"a": "editor,owner", "b": "member", "c": "member"}
    put(connection, "membership_organization_roles", membership_id="c", role="guest")
    held = "membership_organization_roles"
    connection.execute(text(f"DELETE FROM {held} WHERE membership_id = 'b'"))
    connection.execute(text(f"UPDATE {held} SET role = 'writer' WHERE role = 'editor'"))
    assert roles_of(connection) == {"a": "owner,writer", "b": "member", "c": "guest"}
    driver.close()


def put(connection: Connection, table: str, **given: str) -> None:
    """What must be there and is not given is empty."""
    columns = connection.execute(text(f"PRAGMA table_info({table})"))
    needed = {
        row.name: 0 if "INT" in row.type or "BOOL" in row.type else "{}" for row in columns if row.notnull
    }
    values = {**needed, **given}
    connection.execute(
        text(f"INSERT INTO {table} ({', '.join(values)}) VALUES (:{', :'.join(values)})"), values
    )


def roles_of(connection: Connection) -> dict[str, str]:
    return {row.id: row.role for row in connection.execute(text("SELECT id, role FROM memberships"))}


def triggers(connection: Connection) -> set[str]:
    return set(connection.execute(text("SELECT sql FROM sqlite_master WHERE type = 'trigger'")).scalars())
