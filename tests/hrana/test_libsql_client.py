"""The WebSocket transport: its failures have the same classes, and what it cannot do it refuses."""

import threading
import time
from typing import Any

import pytest

from keystead_hrana import (
    Blocked,
    CommitUnknown,
    IntegrityError,
    NotSent,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    StreamLost,
    Unauthorized,
)
from tests.engines.cloud import CloudTraits
from tests.engines.proxy import Proxy
from tests.engines.sqld import Sqld
from tests.engines.tcp_proxy import TcpProxy
from tests.hrana.conftest import Open, Rows, begun
from tests.serving import free_port

pytestmark = pytest.mark.libsql


@pytest.fixture
def websocket(connect: Open) -> Open:
    return lambda **options: connect(**{"transport": "libsql-client", **options})


def test_a_closed_door_is_told_as_not_sent(websocket: Open) -> None:
    connection = websocket(url=f"ws://127.0.0.1:{free_port()}")
    for act in (lambda: connection.execute("INSERT INTO t VALUES (1)"), lambda: begun(connection)):
        with pytest.raises(NotSent):
            act()
    connection.rollback()


def test_a_service_without_websockets_is_told_as_not_sent(websocket: Open, proxy: Proxy) -> None:
    proxy.traits = CloudTraits()
    with pytest.raises(NotSent):
        websocket(url=proxy.url).execute("SELECT 1")


def test_a_connection_that_ends_loses_the_transaction_and_a_new_one_is_made(
    sqld: Sqld, websocket: Open, rows: Rows
) -> None:
    proxy = TcpProxy(sqld.port)
    connection = begun(websocket(url=f"http://127.0.0.1:{proxy.port}"))
    proxy.cut()
    with pytest.raises(StreamLost):
        connection.execute("INSERT INTO t VALUES (2)")
    with pytest.raises(StreamLost, match="roll back before anything else"):
        connection.commit()
    connection.rollback()
    assert rows() == []
    begun(connection).commit()
    assert rows() == [1]
    proxy.close()


def test_a_commit_and_a_write_of_its_own_without_an_answer_may_have_happened(
    sqld: Sqld, websocket: Open, rows: Rows
) -> None:
    proxy = TcpProxy(sqld.port)
    connection = begun(websocket(url=f"http://127.0.0.1:{proxy.port}", timeout=0.5))
    proxy.black_hole = True
    with pytest.raises(CommitUnknown):
        connection.commit()
    connection.rollback()
    proxy.black_hole = False
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    proxy.black_hole = True
    with pytest.raises(CommitUnknown):
        connection.execute("INSERT INTO t VALUES (2)")
    proxy.close()


def test_a_server_that_says_nothing_holds_nobody_and_no_thread(
    sqld: Sqld, websocket: Open, rows: Any
) -> None:
    proxy = TcpProxy(sqld.port)
    connection = begun(websocket(url=f"http://127.0.0.1:{proxy.port}"))
    connection.rollback()
    connection.execute("SELECT 1")
    (thread,) = (each for each in threading.enumerate() if type(each).__name__ == "AsyncExecutor")
    proxy.black_hole = True
    started = time.monotonic()
    connection.deadline = started + 0.3
    with pytest.raises(StreamLost):
        connection.execute("SELECT 1")
    assert time.monotonic() - started < 2.5
    assert not thread.is_alive()
    proxy.close()


def test_a_time_that_is_over_ends_the_transaction(websocket: Open, rows: Rows) -> None:
    connection = begun(websocket())
    connection.deadline = time.monotonic()
    with pytest.raises(StreamLost):
        connection.commit()
    connection.rollback()
    with pytest.raises(NotSent):
        connection.execute("INSERT INTO t VALUES (1)")
    connection.deadline = None
    begun(connection).commit()
    assert rows() == [1]


def test_who_may_not_is_told(sqld: Sqld, namespace: str, websocket: Open, rows: Rows) -> None:
    for token in ("no-token-at-all", sqld.token(seconds=-3600), None):
        with pytest.raises(Unauthorized):
            websocket(token=token).execute("SELECT 1")
    with pytest.raises(StreamLost):  # the server closes the connection and says nothing
        websocket(token=sqld.token("somebody-else")).execute("SELECT 1")
    reader = websocket(token=sqld.token(namespace, read_only=True))
    assert reader.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    with pytest.raises(CommitUnknown):  # here too
        reader.execute("INSERT INTO t VALUES (1)")
    assert rows() == []


def test_a_blocked_database_says_so(sqld: Sqld, namespace: str, websocket: Open, rows: Any) -> None:
    connection = begun(websocket())
    sqld.configure(namespace, block_writes=True)
    with pytest.raises(Blocked):
        connection.execute("INSERT INTO t VALUES (2)")
    assert not connection.in_transaction
    connection.rollback()
    assert rows() == []


def test_after_a_refused_statement_only_a_savepoint_leads_on(websocket: Open, rows: Rows) -> None:
    connection = begun(websocket())
    connection.execute("SAVEPOINT part")
    with pytest.raises(IntegrityError):
        connection.execute("INSERT INTO t VALUES (1)")
    for more in (
        lambda: connection.execute("INSERT INTO t VALUES (2)"),
        lambda: connection.executemany("INSERT INTO t VALUES (?)", [[3]]),
        connection.commit,
    ):
        with pytest.raises(ProgrammingError, match="return to a savepoint"):
            more()
    connection.execute("ROLLBACK TO part")
    connection.execute("INSERT INTO t VALUES (4)")
    connection.commit()
    assert rows() == [1, 4]


def test_a_savepoint_that_went_with_its_transaction_leads_nowhere(websocket: Open, rows: Rows) -> None:
    connection = begun(websocket())
    connection.execute("SAVEPOINT part")
    with pytest.raises(IntegrityError):
        connection.execute("INSERT OR ROLLBACK INTO t VALUES (1)")
    with pytest.raises(OperationalError, match="no such savepoint"):
        connection.execute("ROLLBACK TO part")
    with pytest.raises(ProgrammingError, match="return to a savepoint"):
        connection.execute("INSERT INTO t VALUES (2)")
    connection.rollback()
    assert rows() == []


def test_a_script_is_refused_inside_a_transaction_and_run_outside(websocket: Open, rows: Rows) -> None:
    connection = begun(websocket())
    with pytest.raises(NotSupportedError):
        connection.executescript("INSERT INTO t VALUES (2)")
    connection.rollback()
    assert rows() == []
    connection.executescript("BEGIN; INSERT INTO t VALUES (2); COMMIT")
    assert rows() == [2]
