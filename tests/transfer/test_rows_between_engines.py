"""A tenant's rows from one engine into another: every one of them, as it was."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, delete, insert, text, update

import migrations
from core.database.private import existing_file, new_file
from core.errors import DatabaseCorrupt
from provisioning.transfer import copy_rows, load_snapshot, same_rows, write_snapshot
from provisioning.transfer.rows import PAGE
from provisioning.transfer.snapshots import snapshot_version
from provisioning.transfer.tables import shapes_of
from tenant_runtime.models import Setting, SigningKeyRow, TenantBase, TenantRow, Ticket, User
from tests.engines.postgres import Postgres


def _fill(connection: Connection) -> None:
    """What engines disagree about: numbers and nulls in JSON, all bytes, emoji, 64 bits, three pages of rows."""
    connection.execute(insert(TenantRow.__table__), {"id": "acme", "incarnation": "inc_1", "conflicts": []})
    values = [None, 5, 1.0, 2**62, "5", "", True, [], {"b": 1, "a": [None, 1.5, "\u20ac"]}, "null", "🔑"]
    connection.execute(
        insert(Setting.__table__),
        [{"key": f"key{n}", "source": "tenant", "value": value} for n, value in enumerate(values)],
    )
    connection.execute(
        insert(SigningKeyRow.__table__),
        {
            "kid": "kid",
            "alg": "RS256",
            "state": "current",
            "public_jwk": {"kty": "RSA", "e": "AQAB"},
            "private_key": bytes(range(256)),
            "certificate": None,
            "created_at": 2**63 - 1,
        },
    )
    connection.execute(
        insert(Ticket.__table__),
        [
            {"digest": f"t{n:05}", "kind": "k", "payload": {"n": n}, "created_at": n, "expires_at": -n}
            for n in range(2 * PAGE + 1)
        ],
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    with new_file(path) as connection:
        migrations.upgrade(connection, "tenant")
        _fill(connection)
    return path


@pytest.fixture
def postgresql(postgres: Postgres) -> Iterator[Connection]:
    """The tables alone: what else a tenant's database has there is its back end's."""
    postgres.query("CREATE DATABASE transfer")
    engine = create_engine(postgres.url("transfer", scheme="postgresql+psycopg"))
    with engine.connect() as connection:
        TenantBase.metadata.create_all(connection)
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(
            text("INSERT INTO alembic_version VALUES (:head)"), {"head": migrations.head("tenant")}
        )
        yield connection
    engine.dispose()
    postgres.query("DROP DATABASE transfer WITH (FORCE)")


@contextmanager
def _both(one: Path, other: Path) -> Iterator[tuple[Connection, Connection]]:
    with existing_file(one) as first, existing_file(other) as second:
        yield first, second


def test_a_snapshot_holds_every_row_as_it_was(source: Path, tmp_path: Path) -> None:
    with existing_file(source) as connection:
        written = write_snapshot(connection, tmp_path / "copy.db")
    with _both(source, tmp_path / "copy.db") as (before, after):
        assert same_rows(before, after) == []
        assert written == 11 + 1 + 1 + 2 * PAGE + 1
        for table in ("settings", "signing_keys"):
            query = text(f"SELECT *, typeof(1) FROM {table} ORDER BY 1")
            assert before.execute(query).all() == after.execute(query).all()


@pytest.mark.postgresql
def test_rows_go_to_postgresql_and_back_unchanged(
    source: Path, tmp_path: Path, postgresql: Connection
) -> None:
    load_snapshot(source, postgresql)
    with existing_file(source) as connection:
        assert same_rows(connection, postgresql) == []
    write_snapshot(postgresql, tmp_path / "back.db")
    with _both(source, tmp_path / "back.db") as (before, after):
        assert same_rows(before, after) == []
        query = text("SELECT key, value, typeof(value) FROM settings ORDER BY key")
        assert before.execute(query).all() == after.execute(query).all()


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("settings", update(Setting.__table__).where(Setting.key == "key1").values(value=6)),
        ("settings", update(Setting.__table__).where(Setting.key == "key4").values(value=5)),
        ("tickets", delete(Ticket.__table__).where(Ticket.digest == "t00700")),
        ("signing_keys", update(SigningKeyRow.__table__).values(certificate=b"")),
        ("tenant", update(TenantRow.__table__).values(config_version=99)),
    ],
    ids=["number", "text-to-number", "missing", "null-to-empty", "tenant"],
)
def test_one_different_value_is_seen(source: Path, tmp_path: Path, table: str, change: object) -> None:
    shutil.copy(source, tmp_path / "other.db")
    with existing_file(tmp_path / "other.db") as connection:
        connection.execute(change)  # type: ignore[call-overload]
    with _both(source, tmp_path / "other.db") as (before, after):
        assert set(same_rows(before, after)) - {table} <= {"tenant"}  # configuration raises its version
        assert table in same_rows(before, after)


def test_a_snapshot_of_an_older_schema_keeps_its_version(tmp_path: Path) -> None:
    with new_file(tmp_path / "old.db") as connection:
        migrations.upgrade(connection, "tenant", to="0003")
        connection.execute(insert(TenantRow.__table__), {"id": "acme", "incarnation": "inc_1"})
    with existing_file(tmp_path / "old.db") as connection:
        write_snapshot(connection, tmp_path / "copy.db")
    assert snapshot_version(tmp_path / "copy.db") == "0003"


def test_rows_that_protect_themselves_are_copied_too(source: Path, tmp_path: Path) -> None:
    with existing_file(source) as connection:
        connection.execute(update(TenantRow.__table__).values(converging=1))
        connection.execute(
            insert(Setting.__table__), {"key": "inherited", "source": "control_plane", "value": 1}
        )
        connection.execute(update(TenantRow.__table__).values(converging=0, config_version=4711))
    with existing_file(source) as connection, new_file(tmp_path / "copy.db") as copy:
        migrations.upgrade(copy, "tenant")
        copy_rows(connection, copy)
    with _both(source, tmp_path / "copy.db") as (before, after):
        assert same_rows(before, after) == []
        assert after.execute(text("SELECT config_version, converging FROM tenant")).one() == (4711, 0)


def test_a_copy_that_fails_leaves_no_file(source: Path, tmp_path: Path) -> None:
    with existing_file(source) as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    with existing_file(source) as connection, pytest.raises(DatabaseCorrupt):
        write_snapshot(connection, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_parents_go_before_children_and_the_tenants_row_last(source: Path) -> None:
    with existing_file(source) as connection:
        names = [shape.table.name for shape in shapes_of(connection)]
    assert names[-1] == "tenant"
    for table in TenantBase.metadata.tables.values():
        for key in table.foreign_keys:
            assert names.index(key.column.table.name) < names.index(table.name)
    assert {User.__tablename__, "transaction_marks"} <= set(names)
