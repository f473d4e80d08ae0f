"""What a unit of work may rely on, whatever carries it: a file, HTTP, a WebSocket, the cloud."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

import keystead_hrana

IntegrityError = (sqlite3.IntegrityError, keystead_hrana.IntegrityError)
OperationalError = (sqlite3.OperationalError, keystead_hrana.OperationalError)
Busy = (sqlite3.OperationalError, keystead_hrana.Busy)
ProgrammingError = (sqlite3.ProgrammingError, keystead_hrana.ProgrammingError)


@pytest.fixture
def people(database: Any) -> Any:
    database.executescript(
        "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
        "CREATE TABLE pets(owner INTEGER NOT NULL REFERENCES people(id) DEFERRABLE INITIALLY DEFERRED);"
    )
    return database


def names(database: Any) -> list[str]:
    return [name for (name,) in database.execute("SELECT name FROM people ORDER BY id").fetchall()]


VALUES = [
    None,
    0,
    1,
    -1,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    0.1,
    1e308,
    5e-324,
    "",
    "é\u2028\U0001f600'\"\\\r\n",
    "x" * 100_000,
    b"",
    bytes(range(256)),
    b"\x00" * 3,
    b"\xff" * 100_001,
]


@pytest.mark.parametrize("value", VALUES, ids=[repr(value)[:20] for value in VALUES])
def test_a_value_comes_back_as_it_was_and_with_its_type(database: Any, value: object) -> None:
    ((back, kind),) = database.execute("SELECT ?1, typeof(?1)", [value]).fetchall()
    assert (back, type(back)) == (value, type(value))
    assert (
        kind == {type(None): "null", int: "integer", float: "real", str: "text", bytes: "blob"}[type(value)]
    )


def test_truth_is_stored_as_a_number_and_other_buffers_as_bytes(database: Any) -> None:
    rows = database.execute(
        "SELECT ?, ?, ?, ?", [True, False, bytearray(b"ab"), memoryview(b"cd")]
    ).fetchall()
    assert rows == [(1, 0, b"ab", b"cd")]


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_an_integer_that_does_not_fit_is_refused_before_it_is_sent(database: Any, value: int) -> None:
    with pytest.raises((OverflowError, keystead_hrana.DataError)):
        database.execute("SELECT ?", [value])
    assert database.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.parametrize("value", [{"a": 1}, [1], object()])
def test_what_is_no_value_of_sqlite_is_refused(database: Any, value: object) -> None:
    with pytest.raises(ProgrammingError):
        database.execute("SELECT ?", [value])


def test_a_cursor_says_what_it_holds(people: Any) -> None:
    cursor = people.execute("INSERT INTO people(name) VALUES ('Ada'), ('Bo') RETURNING id, name")
    assert [column[0] for column in cursor.description] == ["id", "name"]
    assert cursor.fetchall() == [(1, "Ada"), (2, "Bo")]
    assert cursor.rowcount == 2
    cursor = people.execute("INSERT INTO people(name) VALUES ('Cy')")
    assert (cursor.lastrowid, cursor.rowcount, cursor.description) == (3, 1, None)
    assert people.execute("UPDATE people SET name = name || '!' WHERE id > 1").rowcount == 2
    assert people.execute("DELETE FROM people WHERE id = 77").rowcount == 0
    assert people.execute("SELECT id FROM people").rowcount == -1
    assert people.execute("SELECT id AS 'n' FROM people WHERE 0").description[0][0] == "n"


def test_rows_are_fetched_one_by_one_in_portions_and_by_iteration(people: Any) -> None:
    cursor = people.cursor()
    cursor.execute("VALUES (1), (2), (3), (4), (5), (6)")
    assert (cursor.fetchone(), cursor.fetchmany(2)) == ((1,), [(2,), (3,)])
    assert (next(cursor), list(cursor)) == ((4,), [(5,), (6,)])
    assert (cursor.fetchone(), cursor.fetchall(), cursor.fetchmany(3)) == (None, [], [])
    cursor.close()
    with pytest.raises(ProgrammingError):
        cursor.execute("SELECT 1")


def test_a_statement_outside_a_transaction_is_kept_at_once(
    people: Any, open_database: Callable[[], Any]
) -> None:
    people.execute("INSERT INTO people(name) VALUES ('Ada')")
    assert not people.in_transaction
    assert names(open_database()) == ["Ada"]


@pytest.mark.parametrize("mode", ["deferred", "immediate"])
def test_a_transaction_is_seen_whole_or_not_at_all(
    people: Any, open_database: Callable[[], Any], mode: str
) -> None:
    other = open_database()
    people.begin(mode)
    assert people.in_transaction
    people.execute("INSERT INTO people(name) VALUES ('Ada')")
    assert (names(people), names(other)) == (["Ada"], [])
    people.rollback()
    assert (names(people), people.in_transaction) == ([], False)
    people.begin(mode)
    people.execute("INSERT INTO people(name) VALUES ('Bo')")
    people.execute("INSERT INTO people(name) VALUES ('Cy')")
    people.commit()
    assert (names(other), people.in_transaction) == (["Bo", "Cy"], False)


def test_a_transaction_reads_one_moment(people: Any, open_database: Callable[[], Any]) -> None:
    people.begin("read")
    assert names(people) == []
    open_database().execute("INSERT INTO people(name) VALUES ('Ada')")
    assert names(people) == []
    people.rollback()
    assert names(people) == ["Ada"]


def test_a_transaction_without_a_statement_is_none(people: Any) -> None:
    for end in (people.commit, people.rollback):
        people.begin()
        end()
        assert not people.in_transaction
    people.commit()
    people.rollback()


def test_preludes_run_before_the_first_statement_and_may_give_up(people: Any) -> None:
    told: list[Any] = []
    people.begin("immediate", [("SELECT 'who'", told.append), ("SELECT count(*) FROM people", told.append)])
    people.execute("INSERT INTO people(name) VALUES ('Ada')")
    people.commit()
    assert told == [[("who",)], [(0,)]]

    def refuse(rows: list[Any]) -> None:
        raise LookupError(rows)

    with pytest.raises(LookupError):
        _written_after(people, refuse)
    people.rollback()
    assert names(people) == ["Ada"]


def _written_after(people: Any, prelude: Callable[[list[Any]], None]) -> None:
    people.begin("immediate", [("SELECT 'another'", prelude)])
    people.execute("INSERT INTO people(name) VALUES ('Bo')")


def test_the_last_statements_are_kept_with_the_rest_and_told_after(
    people: Any, open_database: Callable[[], Any]
) -> None:
    other, told = open_database(), []
    people.begin("immediate")
    people.execute("INSERT INTO people(name) VALUES ('Ada')")
    people.commit(
        [
            ("INSERT INTO people(name) VALUES (?)", ["Bo"], None),
            ("SELECT count(*) FROM people", [], lambda rows: told.append((rows, names(other)))),
        ]
    )
    assert told == [([(2,)], ["Ada", "Bo"])]


def test_nothing_is_kept_if_a_last_statement_fails(people: Any) -> None:
    people.begin("immediate")
    people.execute("INSERT INTO people(name) VALUES ('Ada')")
    with pytest.raises(IntegrityError):
        people.commit([("INSERT INTO people(name) VALUES (?)", ["Ada"], None)])
    people.rollback()
    assert names(people) == []


def test_a_commit_that_breaks_a_deferred_rule_keeps_nothing(people: Any) -> None:
    people.begin("immediate")
    people.execute("INSERT INTO pets(owner) VALUES (77)")
    with pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed"):
        people.commit()
    people.rollback()
    assert people.execute("SELECT count(*) FROM pets").fetchall() == [(0,)]


def test_a_broken_constraint_is_told_by_its_class_its_code_and_its_sentence(people: Any) -> None:
    people.execute("INSERT INTO people(name) VALUES ('Ada')")
    with pytest.raises(IntegrityError, match=r"^UNIQUE constraint failed: people\.name$") as raised:
        people.execute("INSERT INTO people(name) VALUES ('Ada')")
    assert getattr(raised.value, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CONSTRAINT
    people.execute(
        "CREATE TRIGGER kept BEFORE DELETE ON people BEGIN SELECT RAISE(ABORT, 'managed_by_tenant'); END"
    )
    with pytest.raises(IntegrityError, match=r"^managed_by_tenant$"):
        people.execute("DELETE FROM people")


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        ("SELEC 1", "syntax error"),
        ("SELECT no_column", "no such column: no_column"),
    ],
)
def test_a_statement_that_makes_no_sense_is_an_operational_error(
    database: Any, sql: str, sentence: str
) -> None:
    with pytest.raises(OperationalError, match=sentence) as raised:
        database.execute(sql)
    assert getattr(raised.value, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


@pytest.mark.parametrize(
    ("sql", "values"), [("SELECT ?", []), ("SELECT ?", [1, 2]), ("SELECT 1; SELECT 2", [])]
)
def test_a_wrong_number_of_values_or_statements_is_a_programming_error(
    database: Any, sql: str, values: list[int]
) -> None:
    with pytest.raises(ProgrammingError):
        database.execute(sql, values)


def test_a_savepoint_undoes_a_part(people: Any) -> None:
    people.begin("immediate")
    people.execute("INSERT INTO people(name) VALUES ('Ada')")
    people.execute("SAVEPOINT part")
    people.execute("INSERT INTO people(name) VALUES ('Bo')")
    with pytest.raises(IntegrityError):
        people.execute("INSERT INTO people(name) VALUES ('Ada')")
    people.execute("ROLLBACK TO SAVEPOINT part")
    people.execute("INSERT INTO people(name) VALUES ('Cy')")
    people.execute("RELEASE SAVEPOINT part")
    people.commit()
    assert names(people) == ["Ada", "Cy"]


def test_many_rows_are_written_or_none(people: Any) -> None:
    people.begin("immediate")
    cursor = people.executemany("INSERT INTO people(name) VALUES (?)", ([f"n{i}"] for i in range(500)))
    assert cursor.rowcount == 500
    people.commit()
    assert len(names(people)) == 500
    people.begin("immediate")
    with pytest.raises(IntegrityError):
        people.executemany("INSERT INTO people(name) VALUES (?)", [["new"], ["n7"], ["newer"]])
    people.rollback()
    assert people.executemany("INSERT INTO people(name) VALUES (?)", []).rowcount in (0, -1)
    assert len(names(people)) == 500


def test_a_schema_is_changed_and_undone_like_data(database: Any) -> None:
    database.begin("immediate")
    database.execute("CREATE TABLE made(x)")
    database.rollback()
    database.begin("immediate")
    database.execute("CREATE TABLE made(x STRICT)")
    database.execute("CREATE UNIQUE INDEX made_once ON made(x)")
    database.commit()
    assert database.execute("SELECT name FROM sqlite_schema ORDER BY name").fetchall() == [
        ("made",),
        ("made_once",),
    ]


def test_a_second_writer_is_told_to_wait_and_loses_nothing(way: str, people: Any, open_database: Any) -> None:
    other = open_database()
    people.begin("immediate")
    people.execute("INSERT INTO people(name) VALUES ('Ada')")
    if way == "file":
        with pytest.raises(Busy):
            other.begin("immediate")
    people.commit()
    other.begin("immediate")
    other.execute("INSERT INTO people(name) VALUES ('Bo')")
    other.commit()
    assert names(people) == ["Ada", "Bo"]


def test_a_closed_connection_is_of_no_use(database: Any) -> None:
    database.begin()
    database.execute("SELECT 1")
    database.close()
    database.close()
    with pytest.raises(ProgrammingError):
        database.execute("SELECT 1")
