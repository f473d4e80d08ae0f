"""`q`: the Lucene subset, as a tree, as SQL, and against a real SQLite file."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Boolean, Column, Connection, Integer, MetaData, String, Table, create_engine, select
from sqlalchemy.dialects import sqlite

from core.errors import InvalidQuery
from core.http.query import And, Exists, Not, Or, Range, Term, parse
from core.http.search import Searchable, search

USERS = Table(
    "users",
    MetaData(),
    Column("user_id", String, primary_key=True),
    Column("email", String),
    Column("name", String),
    Column("logins", Integer),
    Column("blocked", Boolean),
    Column("created_at", Integer),
)
FIELDS = {
    "user_id": Searchable(USERS.c.user_id, "keyword"),
    "email": Searchable(USERS.c.email, "keyword"),
    "name": Searchable(USERS.c.name, "text"),
    "logins_count": Searchable(USERS.c.logins, "integer"),
    "blocked": Searchable(USERS.c.blocked, "boolean"),
    "created_at": Searchable(USERS.c.created_at, "time"),
}
DEFAULT = ("email", "name")
DAY = 86_400_000
ROWS = [
    {"user_id": "auth0|1", "email": "jane@example.com", "name": "Jane Smith", "logins": 5, "blocked": True},
    {"user_id": "auth0|2", "email": "john@example.com", "name": "John Doe", "logins": 0, "blocked": None},
    {
        "user_id": "auth0|3",
        "email": "100%@example.com",
        "name": 'O"Brien_x',
        "logins": None,
        "blocked": False,
    },
    {"user_id": "auth0|4", "email": None, "name": "smith", "logins": 12, "blocked": False},
]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    file: Path = tmp_path_factory.mktemp("query") / "users.db"
    engine = create_engine(f"sqlite:///{file}")
    USERS.metadata.create_all(engine)
    with engine.begin() as connection:
        for day, row in enumerate(ROWS):
            connection.execute(USERS.insert(), {**row, "created_at": 1_767_225_600_000 + day * DAY})
        yield connection
    engine.dispose()


def found(connection: Connection, text: str) -> str:
    where = search(text, FIELDS, DEFAULT)
    rows = connection.execute(select(USERS.c.user_id).where(where).order_by(USERS.c.user_id))
    return "".join(str(user_id)[-1] for (user_id,) in rows)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("jane", Term(None, "jane")),
        ("jane*", Term(None, "jane", prefix=True)),
        ('"Jane Smith"', Term(None, "Jane Smith", phrase=True)),
        (r'"a \"b\" \\"', Term(None, 'a "b" \\', phrase=True)),
        ("name:jane", Term("name", "jane")),
        ("app_metadata.plan:gold", Term("app_metadata.plan", "gold")),
        ("a AND b OR c", Or((And((Term(None, "a"), Term(None, "b"))), Term(None, "c")))),
        ("a b", Or((Term(None, "a"), Term(None, "b")))),
        ("a AND (b OR c)", And((Term(None, "a"), Or((Term(None, "b"), Term(None, "c")))))),
        ("NOT a", Not(Term(None, "a"))),
        ("-name:a", Not(Term("name", "a"))),
        ("a AND NOT b", And((Term(None, "a"), Not(Term(None, "b"))))),
        ("name:(a OR b)", Or((Term("name", "a"), Term("name", "b")))),
        ("n:[1 TO 5]", Range("n", "1", "5")),
        ("n:{1 TO *}", Range("n", "1", None, False, False)),
        ("n:[* TO 5}", Range("n", None, "5", True, False)),
        ("n:[-5 TO -1]", Range("n", "-5", "-1")),
        ("n:>5", Range("n", "5", None, include_low=False)),
        ("n:<=5", Range("n", None, "5")),
        ("t:[2026-01-02T03:04:05Z TO 2026-01-03]", Range("t", "2026-01-02T03:04:05Z", "2026-01-03")),
        ("_exists_:email", Exists("email")),
        ("email:*", Exists("email")),
        ("and", Term(None, "and")),
        ("a-b", Term(None, "a-b")),
        ("user_id:auth0|1", Term("user_id", "auth0|1")),
        (r"a\:b\*", Term(None, "a:b*")),
        ("n:-5", Term("n", "-5")),
        ("jane@example.com", Term(None, "jane@example.com")),
    ],
)
def test_the_tree_of_a_search(text: str, tree: object) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        '"open',
        'a"',
        "(a",
        "a)",
        "()",
        "AND",
        "a AND",
        "OR a",
        "NOT",
        ":a",
        "a:",
        "a:b:c",
        "a:(b:c)",
        "a:[1 TO 2",
        "a:[1 2]",
        "a:[TO]",
        "[1 TO 2]",
        "*",
        "*a",
        "a*b",
        "name:*a",
        "a?",
        "/a.*/",
        "name:/a/",
        "a~2",
        "a^3",
        "\\",
        "x'; DROP TABLE 'users:x",
        "_exists_:'",
        "(" * 11 + "a" + ")" * 11,
        "NOT " * 11 + "a",
        "-" * 200 + "a",
        "(" * 900,
        " ".join(["a"] * 51),
        "a" * 1001,
        "x" * 10_240,
        '"' * 999,
        "a:" * 400,
        "a AND " * 150,
        "\x00" * 5 + "(",
    ],
)
def test_what_is_malformed_or_too_large_is_refused_at_once(text: str) -> None:
    started = time.process_time()
    with pytest.raises(InvalidQuery) as caught:
        parse(text)
    assert time.process_time() - started < 0.1
    assert "SQL" not in caught.value.description


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("jane", "1"),
        ("SMITH", "14"),
        ("email:jane@example.com", "1"),
        ("email:JANE@example.com", ""),
        ("email:j*", "12"),
        ('name:"jane smith"', "1"),
        ('name:"jane"', ""),
        ("name:jane*", "1"),
        ("name:smith", "14"),
        ("name:smith AND NOT name:jane", "4"),
        ("name:(jane OR john)", "12"),
        ("logins_count:5", "1"),
        ("logins_count:[1 TO 12]", "14"),
        ("logins_count:[1 TO 12}", "1"),
        ("logins_count:{5 TO *]", "4"),
        ("logins_count:>=5", "14"),
        ("blocked:true", "1"),
        ("NOT blocked:true", "234"),
        ("-blocked:true", "234"),
        ("_exists_:email", "123"),
        ("NOT _exists_:email", "4"),
        ("created_at:2026-01-02", "2"),
        ("created_at:[2026-01-02 TO 2026-01-03]", "23"),
        ("created_at:{2026-01-02 TO *}", "34"),
        ("created_at:[2026-01-02T00:00:00Z TO 2026-01-02T00:00:00Z]", "2"),
        ("user_id:auth0|4", "4"),
        (r"email:100\%*", "3"),
        ("name:%", ""),
        ("name:_", "3"),
        (r'name:"O\"Brien_x"', "3"),
        ("name:' OR 1=1", ""),
        ("\"' OR '1'='1\"", ""),
    ],
)
def test_a_search_finds_what_it_says(connection: Connection, text: str, who: str) -> None:
    assert found(connection, text) == who


@pytest.mark.parametrize(
    "text",
    [
        "password:x",
        "users.email:x",
        "_exists_:password",
        "password:[a TO b]",
        "logins_count:x",
        "logins_count:1.5",
        "logins_count:99999999999999999999",
        "logins_count:1*",
        "logins_count:\u0663",
        "blocked:1",
        "blocked:[true TO false]",
        "created_at:yesterday",
        "created_at:99999-01-01",
        "created_at:0001-01-01T00:00:00+23:00",
    ],
)
def test_a_field_or_value_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        search(text, FIELDS, DEFAULT)


def test_values_are_bind_parameters_only() -> None:
    where = search("name:sentinel AND email:sentinel* OR sentinel", FIELDS, DEFAULT)
    statement = str(select(USERS).where(where).compile(dialect=sqlite.dialect()))
    assert "sentinel" not in statement
    assert statement.count("?") >= 4


PIECES = st.sampled_from(
    [
        '"',
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ":",
        "\\",
        "*",
        "-",
        ">",
        "=",
        " ",
        "AND",
        "OR",
        "NOT",
        "TO",
        "name",
        "a",
        "1",
    ]
)


@settings(max_examples=80, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(PIECES, max_size=30).map("".join),
        st.lists(PIECES, max_size=30).map(" ".join),
    )
)
def test_any_text_at_all_is_a_search_or_refused(text: str) -> None:
    try:
        where = search(text, FIELDS, DEFAULT)
    except InvalidQuery:
        return
    str(select(USERS).where(where).compile(dialect=sqlite.dialect()))
