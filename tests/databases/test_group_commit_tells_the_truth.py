"""Whatever one unit of a group does, every caller is told the truth: told ok if and only if the row is in the file."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError, IntegrityError

from core.database import Database, DatabaseRef, Databases, UnitBroken
from core.errors import DatabaseFull, OutcomeUnknown
from core.failpoints import FailpointReached, configure
from tests.databases import units
from tests.databases.conftest import names_in
from tests.databases.processes import run

pytestmark = pytest.mark.anyio


def raises_value_error(conn: Connection) -> None:
    units.insert(conn, "bad")
    raise ValueError("no")


def breaks_a_constraint(conn: Connection) -> None:
    units.insert(conn, "bad")
    units.insert(conn, "bad")


def exits(conn: Connection) -> None:
    units.insert(conn, "bad")
    raise SystemExit(3)


def stops_iteration(conn: Connection) -> None:
    units.insert(conn, "bad")
    raise StopIteration


def is_cancelled(conn: Connection) -> None:
    units.insert(conn, "bad")
    raise asyncio.CancelledError


def conflicts_with_rollback(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.exec_driver_sql("INSERT INTO strict_item VALUES ('x')")
    conn.exec_driver_sql("INSERT INTO strict_item VALUES ('x')")


def conflicts_with_rollback_and_goes_on(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.exec_driver_sql("INSERT INTO strict_item VALUES ('x')")
    try:
        conn.exec_driver_sql("INSERT INTO strict_item VALUES ('x')")
    except IntegrityError:
        return


def conflicts_with_rollback_and_writes_on(conn: Connection) -> None:
    """What it writes after its transaction is gone would be committed at once."""
    conflicts_with_rollback_and_goes_on(conn)
    units.insert(conn, "worse")


def conflicts_with_rollback_and_insists(conn: Connection) -> None:
    conflicts_with_rollback_and_goes_on(conn)
    for n in range(3):
        with suppress(Exception):
            conn.execute(
                text("INSERT INTO item (name) VALUES (:name)"), [{"name": f"{n}a"}, {"name": f"{n}b"}]
            )


def says_rollback(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.exec_driver_sql("ROLLBACK")


def says_commit(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.exec_driver_sql("COMMIT")


def commits_through_sqlalchemy(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.commit()


def rolls_back_through_sqlalchemy(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.rollback()


def rolls_back_through_sqlalchemy_and_goes_on(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.rollback()
    units.insert(conn, "worse")


def releases_the_lanes_savepoint(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.exec_driver_sql("RELEASE unit_of_work")


def leaves_a_savepoint_open(conn: Connection) -> None:
    conn.begin_nested()
    units.insert(conn, "bad")


def closes_its_connection(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.close()


def breaks_a_deferred_key(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.exec_driver_sql("INSERT INTO child (parent) VALUES (4711)")


def fills_the_disk(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.execute(text("UPDATE item SET blob = zeroblob(20000000) WHERE name = 'bad'"))


BAD_UNITS: list[tuple[Callable[[Connection], None], type[Exception]]] = [
    (raises_value_error, ValueError),
    (breaks_a_constraint, IntegrityError),
    (exits, UnitBroken),
    (stops_iteration, UnitBroken),
    (is_cancelled, UnitBroken),
    (conflicts_with_rollback, IntegrityError),
    (conflicts_with_rollback_and_goes_on, UnitBroken),
    (conflicts_with_rollback_and_writes_on, UnitBroken),
    (conflicts_with_rollback_and_insists, UnitBroken),
    (says_rollback, DatabaseError),
    (says_commit, DatabaseError),
    (commits_through_sqlalchemy, DatabaseError),
    (rolls_back_through_sqlalchemy, UnitBroken),
    (rolls_back_through_sqlalchemy_and_goes_on, UnitBroken),
    (releases_the_lanes_savepoint, DatabaseError),
    (leaves_a_savepoint_open, UnitBroken),
    (closes_its_connection, Exception),
    (breaks_a_deferred_key, IntegrityError),
    (fills_the_disk, DatabaseFull),
]


async def as_one_group(database: Database, bad: Callable[[Connection], None]) -> list[object]:
    """Five units that are committed together; the third is bad."""
    held = units.Held()
    blocker = asyncio.create_task(database.write(held))
    await held.has_begun()
    writes = [database.write(units.insert, f"good{n}") for n in range(2)]
    writes.append(database.write(bad))  # type: ignore[arg-type]
    writes += [database.write(units.insert, f"good{n}") for n in range(2, 4)]
    group = [asyncio.create_task(write) for write in writes]
    await asyncio.sleep(0.02)
    held.let_go()
    await blocker
    return await asyncio.gather(*group, return_exceptions=True)


def limit_pages(conn: Connection) -> None:
    conn.exec_driver_sql("PRAGMA max_page_count = 200")


@pytest.mark.parametrize(("bad", "error"), BAD_UNITS, ids=lambda value: getattr(value, "__name__", ""))
async def test_only_the_guilty_unit_of_a_group_fails(
    databases: Databases, ref: DatabaseRef, bad: Callable[[Connection], None], error: type[Exception]
) -> None:
    database = databases.open(ref)
    await database.write(limit_pages)
    answers = await as_one_group(database, bad)
    assert isinstance(answers[2], error)
    assert [answers[n] for n in (0, 1, 3, 4)] == ["good0", "good1", "good2", "good3"]
    assert names_in(ref) == ["good0", "good1", "good2", "good3"]


@pytest.mark.parametrize(("bad", "error"), BAD_UNITS, ids=lambda value: getattr(value, "__name__", ""))
async def test_a_unit_by_itself_fails_alone_and_the_lane_goes_on(
    databases: Databases, ref: DatabaseRef, bad: Callable[[Connection], None], error: type[Exception]
) -> None:
    database = databases.open(ref)
    await database.write(limit_pages)
    for method in (database.write, database.alone):
        with pytest.raises(error):
            await method(bad)
    assert await database.write(units.insert, "next") == "next"
    assert names_in(ref) == ["next"]


@pytest.mark.parametrize(
    ("place", "kept"),
    [("database.before_commit", []), ("database.after_commit", ["good0", "good1", "good2", "good3"])],
)
async def test_a_commit_without_an_answer_is_an_unknown_outcome_and_is_never_repeated(
    databases: Databases, ref: DatabaseRef, place: str, kept: list[str]
) -> None:
    database = databases.open(ref)
    await database.write(units.set_colour, "blue")
    configure(f"{place}=raise@2")  # the first is the unit that holds the lane until the group has gathered
    try:
        answers = await as_one_group(database, raises_value_error)
    finally:
        configure("")
    assert isinstance(answers[2], ValueError)
    unknown = [answers[n] for n in (0, 1, 3, 4)]
    assert all(isinstance(answer, OutcomeUnknown) for answer in unknown)
    assert len({id(answer) for answer in unknown}) == 4
    assert isinstance(unknown[0].__cause__, FailpointReached)  # type: ignore[attr-defined]
    assert names_in(ref) == kept
    assert await database.write(units.insert, "next") == "next"


async def test_a_savepoint_of_its_own_is_allowed_in_a_unit(databases: Databases, ref: DatabaseRef) -> None:
    def careful(conn: Connection) -> str:
        units.insert(conn, "first")
        try:
            with conn.begin_nested():
                units.insert(conn, "second")
                units.insert(conn, "second")
        except IntegrityError:
            return "kept the first"
        return "kept both"

    assert await databases.open(ref).write(careful) == "kept the first"
    assert names_in(ref) == ["first"]


async def test_the_request_that_is_cancelled_still_has_its_unit_committed(
    databases: Databases, ref: DatabaseRef
) -> None:
    database = databases.open(ref)
    held = units.Held()
    blocker = asyncio.create_task(database.write(held))
    await held.has_begun()
    request = asyncio.create_task(database.write(units.insert, "kept"))
    await asyncio.sleep(0.02)
    request.cancel()
    held.let_go()
    await blocker
    with pytest.raises(asyncio.CancelledError):
        await request
    await database.write(units.insert, "later")
    assert await database.read(units.names) == ["kept", "later"]


async def test_parameters_never_appear_in_an_error(databases: Databases, ref: DatabaseRef) -> None:
    database = databases.open(ref)
    await database.write(units.insert, "canary@example.com")
    with pytest.raises(IntegrityError) as caught:
        await database.write(units.insert, "canary@example.com")
    assert "canary" not in str(caught.value)


async def test_a_reading_unit_cannot_write(databases: Databases, ref: DatabaseRef) -> None:
    with pytest.raises(DatabaseError, match="readonly"):
        await databases.open(ref).read(units.insert, "x")
    assert names_in(ref) == []


async def test_an_exception_kept_by_its_caller_does_not_keep_an_old_snapshot_alive(
    databases: Databases, ref: DatabaseRef
) -> None:
    def stops_half_way(conn: Connection) -> None:
        for name in conn.exec_driver_sql("SELECT name FROM item").scalars():
            raise LookupError(name)

    database = databases.open(ref)
    for name in ("one", "two", "three"):
        await database.write(units.insert, name)
    with pytest.raises(LookupError) as held:
        await database.read(stops_half_way)
    await database.write(units.insert, "four")
    assert "four" in await database.read(units.names)
    assert held.value.args == ("one",)


async def test_a_write_error_at_commit_leaves_the_outcome_unknown(ref: DatabaseRef) -> None:
    """RLIMIT_FSIZE makes the WAL refuse to grow; in a process of its own, because the limit is the process's."""
    script = (
        "import asyncio, resource, signal, sys\n"
        "from pathlib import Path\n"
        "from core.database import Databases, DatabaseRef\n"
        "from core.errors import OutcomeUnknown\n"
        "from tests.databases import units\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "async def main(path):\n"
        "    async with Databases(path.parent) as pool:\n"
        "        database = pool.open(DatabaseRef(path=path, owner='acme', incarnation='first'))\n"
        "        await database.write(units.insert, 'before')\n"
        "        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "        wal = path.with_name(path.name + '-wal').stat().st_size\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 100, hard))\n"
        "        answers = await asyncio.gather(*(database.write(units.insert, f'n{n}') for n in range(4)),\n"
        "                                       return_exceptions=True)\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "        print(sorted({type(answer).__name__ for answer in answers}))\n"
        "        print(await database.write(units.insert, 'after'))\n"
        "asyncio.run(main(Path(sys.argv[1])))\n"
    )
    told, after = await run(script, str(ref.path))
    assert after == "after"
    assert told == "['OutcomeUnknown']"
    assert names_in(ref) == ["before", "after"]
    assert sqlite3.connect(ref.path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
