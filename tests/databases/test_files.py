"""The wrong file, a broken file, no file: an error for that tenant, never a new empty database (F12, F13, F15)."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from core.database import DatabaseRef, Databases, files_of
from core.database.fleet import backup
from core.database.kinds import Options
from core.database.refs import REGISTRY_OWNER
from core.errors import (
    DatabaseCorrupt,
    DatabaseMissing,
    DatabaseUnavailable,
    ManagedByControlPlane,
    ManagedByTenant,
    WrongDatabase,
)
from tests.databases import units
from tests.databases.conftest import names_in

pytestmark = pytest.mark.anyio

Make = Callable[..., DatabaseRef]
OPTIONS = Options(synchronous="FULL", deadline=5.0)


async def test_a_missing_file_is_an_error_and_never_a_new_empty_one(
    databases: Databases, tmp_path: Path
) -> None:
    nowhere = DatabaseRef(path=tmp_path / "nowhere.db", owner="acme", incarnation="first")
    for method in (databases.open(nowhere).read, databases.open(nowhere).write):
        with pytest.raises(DatabaseMissing) as caught:
            await method(units.names)
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "1")
    with pytest.raises(DatabaseMissing), databases.exclusive(nowhere):
        pass
    assert not list(tmp_path.glob("nowhere*"))


async def test_a_file_taken_away_while_open_is_missed_and_found_again(
    databases: Databases, ref: DatabaseRef
) -> None:
    database = databases.open(ref)
    await database.write(units.insert, "before")
    away = ref.path.with_name("away.db")
    ref.path.rename(away)
    with pytest.raises(DatabaseMissing):
        await database.write(units.insert, "lost")
    with pytest.raises(DatabaseMissing):
        await database.read(units.names)
    away.rename(ref.path)
    assert await database.write(units.insert, "after") == "after"
    assert names_in(ref) == ["before", "after"]


async def test_a_file_replaced_while_open_is_not_written_any_more(
    databases: Databases, ref: DatabaseRef, make: Make
) -> None:
    database = databases.open(ref)
    await database.write(units.insert, "before")
    os.replace(make("globex").path, ref.path)
    for _ in range(2):
        with pytest.raises(WrongDatabase):
            await database.write(units.insert, "x")
    for method in (database.read, database.snapshot):
        with pytest.raises(WrongDatabase):
            await method(units.names)


@pytest.mark.parametrize("wrong", [{"owner": "globex"}, {"incarnation": "second"}])
async def test_a_file_of_another_tenant_or_of_another_life_is_refused(
    databases: Databases, make: Make, wrong: dict[str, str]
) -> None:
    there = make(**wrong)
    pointer = DatabaseRef(path=there.path, owner="acme", incarnation="first")
    with pytest.raises(WrongDatabase):
        await databases.open(pointer).read(units.names)
    with pytest.raises(WrongDatabase), databases.read_only(pointer):
        pass


async def test_a_tenant_must_say_which_life_it_means(databases: Databases, ref: DatabaseRef) -> None:
    with pytest.raises(WrongDatabase):
        await databases.open(DatabaseRef(path=ref.path, owner="acme", incarnation="")).read(units.names)


async def test_the_registry_may_not_know_its_incarnation_yet(databases: Databases, tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE installation (id TEXT, incarnation TEXT, directory_version INTEGER)")
        made.execute("INSERT INTO installation VALUES ('ins_1', 'x', 3)")
        made.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)")
    made.close()
    registry = databases.open(DatabaseRef(path=path, owner=REGISTRY_OWNER, incarnation=""))
    assert await registry.write(units.insert, "one") == "one"
    assert await registry.snapshot(units.names) == ["one"]
    await databases.forget(registry.ref)
    other_life = DatabaseRef(path=path, owner=REGISTRY_OWNER, incarnation="y")
    with pytest.raises(WrongDatabase):
        await databases.open(other_life).read(units.names)


def overwrite_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"not a database at all" * 4)


def cut_to_nothing(path: Path) -> None:
    os.truncate(path, 0)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 100)


def overwrite_schema_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(3_000))


@pytest.mark.parametrize("damage", [overwrite_header, cut_to_nothing, cut_short, overwrite_schema_page])
async def test_a_corrupt_file_is_found_and_left_as_it_is(
    databases: Databases, ref: DatabaseRef, make: Make, damage: Callable[[Path], None]
) -> None:
    damage(ref.path)
    before = ref.path.read_bytes()
    database = databases.open(ref)
    for _ in range(2):
        with pytest.raises(DatabaseCorrupt):
            await database.read(units.names)
    assert ref.path.read_bytes() == before
    other = databases.open(make("globex"))
    assert await other.write(units.insert, "fine") == "fine"


async def test_an_open_database_found_corrupt_heals_when_the_file_is_put_back(
    databases: Databases, ref: DatabaseRef, tmp_path: Path
) -> None:
    good = tmp_path / "copy"
    await databases.open(ref).write(units.insert, "kept")
    backup(ref, OPTIONS, good)
    await databases.forget(ref)
    overwrite_schema_page(ref.path)
    database = databases.open(ref)
    with pytest.raises(DatabaseUnavailable):
        await database.read(units.names)
    os.replace(good, ref.path)
    assert await database.read(units.names) == ["kept"]


async def test_a_torn_log_keeps_what_was_committed_before_it(
    databases: Databases, ref: DatabaseRef, tmp_path: Path
) -> None:
    """F14: the copy stands for the disk after a power cut in the middle of the last frame."""
    await databases.open(ref).write(units.insert, "kept")
    wal = ref.path.with_name(ref.path.name + "-wal")
    end_of_kept = wal.stat().st_size
    await databases.open(ref).write(units.insert, "torn")
    crashed = DatabaseRef(path=tmp_path / "crashed.db", owner="acme", incarnation="first")
    shutil.copy(ref.path, crashed.path)
    shutil.copy(wal, crashed.path.with_name("crashed.db-wal"))
    os.truncate(crashed.path.with_name("crashed.db-wal"), end_of_kept + 2_000)
    with databases.read_only(crashed) as conn:
        assert units.names(conn) == ["kept"]


async def test_a_backup_is_whole_alone_and_never_overwrites(
    databases: Databases, ref: DatabaseRef, tmp_path: Path
) -> None:
    await databases.open(ref).write(units.insert, "kept")
    target = tmp_path / "backup.db"
    backup(ref, OPTIONS, target)
    with sqlite3.connect(f"{target.as_uri()}?mode=ro", uri=True) as copy:
        assert copy.execute("SELECT name FROM item").fetchall() == [("kept",)]
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()
    with pytest.raises(FileExistsError):
        backup(ref, OPTIONS, target)
    with pytest.raises(DatabaseMissing):
        backup(
            DatabaseRef(path=tmp_path / "no", owner="x", incarnation="x"), OPTIONS, tmp_path / "of-nothing"
        )
    assert not (tmp_path / "of-nothing").exists()


async def test_all_files_of_a_database_are_known(databases: Databases, ref: DatabaseRef) -> None:
    await databases.open(ref).write(units.insert, "x")
    on_disk = set(ref.path.parent.glob(f"{ref.path.name}*"))
    assert on_disk == set(files_of(ref.path))


def delete_setting(conn: Connection) -> None:
    conn.exec_driver_sql("DELETE FROM setting")


def delete_tenants_item(conn: Connection) -> None:
    conn.exec_driver_sql("DELETE FROM item")


async def test_protected_rows_say_so_and_only_converge_writes_them(
    databases: Databases, ref: DatabaseRef
) -> None:
    database = databases.open(ref)
    with pytest.raises(ManagedByControlPlane) as caught:
        await database.write(delete_setting)
    assert caught.value.kind == "setting"
    with pytest.raises(ManagedByControlPlane):
        await database.alone(delete_setting)
    with pytest.raises(ManagedByControlPlane), databases.exclusive(ref) as conn:
        delete_setting(conn)
    await database.alone(delete_setting, converge=True)
    await database.write(units.insert, "tenant")
    with pytest.raises(ManagedByTenant):
        await database.write(delete_tenants_item)
    with pytest.raises(ManagedByControlPlane):
        await database.write(insert_and_delete_setting)


def insert_and_delete_setting(conn: Connection) -> None:
    conn.exec_driver_sql("INSERT INTO setting VALUES ('a', 'b')")
    delete_setting(conn)


def finds_the_disk_read_only(conn: Connection) -> None:
    conn.exec_driver_sql("PRAGMA query_only = ON")
    units.insert(conn, "x")


async def test_a_database_that_became_read_only_is_unavailable_and_opened_anew(
    databases: Databases, ref: DatabaseRef
) -> None:
    database = databases.open(ref)
    with pytest.raises(DatabaseUnavailable):
        await database.write(finds_the_disk_read_only)
    assert await database.write(units.insert, "after") == "after"
    assert names_in(ref) == ["after"]
