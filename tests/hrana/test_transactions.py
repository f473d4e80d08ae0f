"""A transaction is whole whatever the server does to it, costs as few requests as it can, and stays in its database."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from keystead_hrana import Busy, IntegrityError, OperationalError, ProgrammingError, StreamLost
from keystead_hrana.dbapi import BaseConnection
from tests.engines.proxy import Proxy
from tests.engines.sqld import Sqld
from tests.hrana.conftest import Open

pytestmark = pytest.mark.libsql

WAYS_TO_GO_ON: dict[str, Callable[[BaseConnection], object]] = {
    "a statement": lambda connection: connection.execute("INSERT INTO t VALUES ('later')"),
    "many rows": lambda connection: connection.executemany("INSERT INTO t VALUES (?)", [["l1"], ["l2"]]),
    "a script": lambda connection: connection.executescript("INSERT INTO t VALUES ('l1'), ('l2')"),
    "a commit": lambda connection: connection.commit(),
    "a commit with more": lambda connection: connection.commit([("INSERT INTO t VALUES ('last')", [], None)]),
}


@pytest.fixture
def table(sqld: Sqld, namespace: str) -> str:
    sqld.script(namespace, "CREATE TABLE t(x UNIQUE)")
    return namespace


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["http", "libsql-client"])
def test_nothing_is_kept_of_a_transaction_whose_lock_was_given_to_another(
    sqld: Sqld, table: str, connect: Open, transport: Any
) -> None:
    """All victims at once, because the server waits some seconds before it takes a lock away."""
    ways = {
        name: way for name, way in WAYS_TO_GO_ON.items() if (transport, name) != ("libsql-client", "a script")
    }
    names = {name: f"{table}-{place}" for place, name in enumerate(ways)}
    victims = {}
    for name, namespace in names.items():
        sqld.create(namespace)
        sqld.script(namespace, "CREATE TABLE t(x UNIQUE)")
        victims[name] = connect(namespace=namespace, transport=transport)
        victims[name].begin("immediate")
        victims[name].execute("INSERT INTO t VALUES ('victim')")
    time.sleep(5.2)
    for namespace in names.values():
        connect(namespace=namespace).execute("INSERT INTO t VALUES ('thief')")
    for name, victim in victims.items():
        with pytest.raises((Busy, StreamLost)):
            ways[name](victim)
        assert not victim.in_transaction
        with pytest.raises(StreamLost):
            victim.execute("INSERT INTO t VALUES ('after')")
        victim.rollback()
        assert sqld.query(names[name], "SELECT x FROM t") == [("thief",)], name


def test_a_statement_that_ends_the_transaction_inside_the_server_is_noticed(
    sqld: Sqld, table: str, connect: Open
) -> None:
    sqld.script(table, "INSERT INTO t VALUES (1)")
    connection = connect()
    connection.begin("immediate")
    connection.execute("INSERT INTO t VALUES (2)")
    with pytest.raises(IntegrityError):
        connection.execute("INSERT OR ROLLBACK INTO t VALUES (1)")
    assert not connection.in_transaction
    with pytest.raises(StreamLost):
        connection.execute("INSERT INTO t VALUES (3)")
    connection.rollback()
    connection.begin("immediate")
    with pytest.raises(StreamLost, match="the script ended the transaction"):
        connection.executescript("INSERT INTO t VALUES (4); ROLLBACK")
    connection.rollback()
    assert sqld.query(table, "SELECT x FROM t") == [(1,)]


@pytest.mark.parametrize("sql", ["BEGIN", "commit", "END", " -- so\n ROLLBACK", "/* a */ /* b */COMMIT"])
@pytest.mark.parametrize("transport", ["http", "libsql-client"])
def test_nobody_begins_or_ends_a_transaction_by_a_statement(connect: Open, sql: str, transport: Any) -> None:
    connection = connect(transport=transport)
    for _ in range(2):
        with pytest.raises(ProgrammingError, match="by begin"):
            connection.execute(sql)
        connection.begin()
        connection.execute("SELECT 1")
        with pytest.raises(ProgrammingError, match="by begin"):
            connection.commit([(sql, [], None)])
        connection.rollback()


def test_a_transaction_is_begun_once(connect: Open) -> None:
    connection = connect()
    with pytest.raises(ProgrammingError):
        connection.commit([("SELECT 1", [], None)])
    connection.begin()
    with pytest.raises(ProgrammingError):
        connection.begin()


@pytest.mark.parametrize("transport", ["http", "libsql-client"])
def test_a_read_writes_nothing(sqld: Sqld, table: str, connect: Open, transport: Any) -> None:
    connection = connect(transport=transport)
    connection.begin("read")
    behind = "WITH n AS (SELECT 1) INSERT INTO t SELECT * FROM n"
    for sql in ("INSERT INTO t VALUES (1)", "CREATE TABLE u(x)", "  delete from t", "DROP TABLE t", behind):
        with pytest.raises(OperationalError, match="readonly") as raised:
            connection.execute(sql)
        assert raised.value.sqlite_errorcode == 8
    assert connection.execute("WITH n AS (SELECT 1) SELECT * FROM n").fetchall() == [(1,)]
    connection.commit()
    assert sqld.query(table, "SELECT x FROM t") == []


def test_a_prelude_that_gives_up_comes_before_a_commit_of_everything_at_once(
    sqld: Sqld, table: str, connect: Open
) -> None:
    def refuse(rows: list[Any]) -> None:
        raise LookupError(rows)

    connection = connect()
    connection.begin("immediate", [("SELECT 'another'", refuse)])
    with pytest.raises(LookupError):
        connection.commit([("INSERT INTO t VALUES (1)", [], None)])
    connection.rollback()
    assert sqld.query(table, "SELECT x FROM t") == []


# ---- requests --------------------------------------------------------------------------------------------------------


def test_a_transaction_costs_as_few_requests_as_it_can(through: Open, proxy: Proxy, table: str) -> None:
    def requests_of(act: Callable[[BaseConnection], object]) -> int:
        proxy.seen.clear()
        connection = through()
        act(connection)
        connection.close()
        return len(proxy.seen)

    def three_statements(connection: BaseConnection) -> None:
        connection.begin("immediate", [("SELECT 1", lambda rows: None)])
        for x in (1, 2, 3):
            connection.execute("INSERT INTO t VALUES (?)", [x])
        connection.commit([("INSERT INTO t VALUES (4) RETURNING x", [], lambda rows: None)])

    def one_read(connection: BaseConnection) -> None:
        connection.begin("read")
        connection.execute("SELECT x FROM t")
        connection.commit()

    def all_at_the_end(connection: BaseConnection) -> None:
        connection.begin("read", [("SELECT 1", lambda rows: None)])
        connection.commit([("SELECT x FROM t", [], lambda rows: None)])

    def nothing(connection: BaseConnection) -> None:
        connection.begin("immediate")
        connection.rollback()

    assert requests_of(nothing) == 0
    assert requests_of(lambda connection: connection.execute("SELECT 1")) == 1
    assert requests_of(one_read) == 2
    assert requests_of(all_at_the_end) == 1
    assert requests_of(three_statements) == 4
    five_hundred = [[f"row {i}"] for i in range(500)]
    assert requests_of(lambda each: each.executemany("INSERT INTO t VALUES (?)", five_hundred)) == 1


def test_so_many_rows_that_they_need_several_requests_are_still_all_or_none(
    sqld: Sqld, through: Open, proxy: Proxy, table: str
) -> None:
    connection = through()
    rows = [[f"{i}"] for i in range(2_500)]
    with pytest.raises(IntegrityError):
        connection.executemany("INSERT INTO t VALUES (?)", [*rows, ["7"]])
    assert sqld.query(table, "SELECT count(*) FROM t") == [(0,)]
    proxy.seen.clear()
    assert connection.executemany("INSERT INTO t VALUES (?)", rows).rowcount == 2_500
    assert connection.executemany(
        "INSERT INTO t VALUES (?)", [[b"x" * 900_000 + bytes([i])] for i in range(5)]
    )
    assert len(proxy.seen) == 6
    assert sqld.query(table, "SELECT count(*) FROM t") == [(2_505,)]


def test_streams_are_closed_so_that_the_server_does_not_run_out_of_connections(connect: Open) -> None:
    for i in range(300):
        connection = connect()
        connection.begin("immediate" if i % 2 else "read")
        connection.execute("SELECT 1")
        if i % 3:
            connection.commit()
        connection.close()
    assert connect(timeout=2).execute("SELECT 1").fetchall() == [(1,)]


# ---- apart -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["http", "libsql-client"])
def test_two_namespaces_never_meet(sqld: Sqld, namespace: str, connect: Open, transport: Any) -> None:
    names = [f"{namespace}-{side}" for side in "ab"]
    for name in names:
        sqld.create(name)
        sqld.script(name, f"CREATE TABLE t(x); INSERT INTO t VALUES ('{name}')")
    connections = {name: connect(namespace=name, transport=transport) for name in names}
    for _ in range(20):
        order = random.sample(names, 2)
        for name in order:
            connections[name].begin("immediate")
        for name in order * 3:
            assert {x for (x,) in connections[name].execute("SELECT x FROM t")} == {name}
            connections[name].execute("INSERT INTO t VALUES (?)", [name])
        for name in order:
            random.choice([connections[name].commit, connections[name].rollback])()
    for name in names:
        assert sqld.query(name, "SELECT DISTINCT x FROM t") == [(name,)]


def test_many_threads_share_sockets_and_count_every_step(sqld: Sqld, table: str, connect: Open) -> None:
    sqld.script(table, "CREATE TABLE counter(n); INSERT INTO counter VALUES (0)")
    connections = [connect() for _ in range(8)]
    failures: list[BaseException] = []

    def count(connection: BaseConnection) -> None:
        try:
            for _ in range(25):
                connection.begin("immediate")
                ((n,),) = connection.execute("SELECT n FROM counter").fetchall()
                connection.commit([("UPDATE counter SET n = ?", [n + 1], None)])
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=count, args=(each,)) for each in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sqld.query(table, "SELECT n FROM counter") == [(200,)]


FORKED = """
import os, sys
import keystead_hrana

url, namespace, token = sys.argv[1:]
connection = keystead_hrana.connect(url, namespace, token)
connection.execute("SELECT 1")
child = os.fork()
mine = "parent" if child else "child"
for i in range(50):
    assert connection.execute("SELECT ?, ?", [mine, i]).fetchall() == [(mine, i)]
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_of_a_process_leaves_the_parent_s_sockets_alone(sqld: Sqld, namespace: str) -> None:
    command = [sys.executable, "-c", FORKED, sqld.url, namespace, sqld.token()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_connection_without_a_namespace_takes_the_one_of_its_host(sqld: Sqld, connect: Open) -> None:
    """As in the cloud, where every database has a host: here the loopback address, of which the first label is 127."""
    if not sqld.has("127"):
        sqld.create("127")
    for transport in ("http", "libsql-client"):
        connection = connect(namespace=None, transport=transport)
        connection.execute("DROP TABLE IF EXISTS here")
        connection.execute("CREATE TABLE here(x)")
    assert sqld.query("127", "SELECT name FROM sqlite_schema") == [("here",)]
