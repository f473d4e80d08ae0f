"""What a lost, late, cut or refused answer means, and what is tried again: each told by its class alone."""

import gc
import itertools
import socket
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress

import pytest

import keystead_hrana
from keystead_hrana import (
    Blocked,
    Busy,
    CommitUnknown,
    IntegrityError,
    NamespaceMissing,
    NotSent,
    OperationalError,
    ResponseTooLarge,
    StreamLost,
)
from tests.engines.cloud import CloudTraits
from tests.engines.proxy import Fault, Kind, Proxy, Request
from tests.engines.sqld import Sqld
from tests.hrana.conftest import Open, Rows, begun
from tests.serving import free_port

pytestmark = pytest.mark.libsql

UNANSWERED = [
    Fault(Kind.CUT_AFTER_SENDING, seconds=0.1),
    Fault(Kind.CUT_AFTER_ANSWER),
    Fault(Kind.TRUNCATED),
    Fault(Kind.GARBLED),
    Fault(Kind.REFUSED, status=200, body=b'{"baton":null,"results":[]}'),
    Fault(Kind.REFUSED, status=200, body=b"[]"),
    Fault(Kind.REFUSED, status=500, body=b"?"),
    Fault(Kind.REFUSED, status=502),
    Fault(Kind.REFUSED, status=504),
]
NAMES = [f"{fault.kind.name.lower()}-{fault.body[:9]!r}{fault.status}" for fault in UNANSWERED]
EVERY_UNANSWERED = pytest.mark.parametrize("fault", UNANSWERED, ids=NAMES)


def has(*texts: str) -> Callable[[Request], bool]:
    return lambda request: all(request.has(text) for text in texts)


# ---- nothing was sent ------------------------------------------------------------------------------------------------


def test_a_closed_door_is_told_as_not_sent(connect: Open) -> None:
    connection = connect(url=f"http://127.0.0.1:{free_port()}")
    for act in (lambda: connection.execute("INSERT INTO t VALUES (1)"), lambda: begun(connection)):
        with pytest.raises(NotSent) as raised:
            act()
        assert not raised.value.sent
    connection.rollback()


def test_a_door_that_opens_meanwhile_is_tried_again(through: Open, proxy: Proxy, rows: Rows) -> None:
    proxy.down()
    threading.Timer(0.05, proxy.up).start()
    through().execute("INSERT INTO t VALUES (1)")
    assert rows() == [1]


def test_a_time_that_is_over_sends_nothing(through: Open, proxy: Proxy) -> None:
    connection = through(deadline=time.monotonic())
    with pytest.raises(NotSent):
        connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(NotSent):
        begun(connection)
    assert proxy.seen == []


def test_a_namespace_that_seems_missing_is_asked_for_again_before_it_is_believed(
    through: Open, proxy: Proxy, rows: Rows
) -> None:
    with pytest.raises(NamespaceMissing):
        through(namespace="never-made").execute("SELECT 1")
    assert len(proxy.seen) == 4
    proxy.inject(Fault(Kind.REFUSED, status=404, body=b'{"error":"Namespace `x` doesn\'t exist"}'), times=3)
    through().execute("INSERT INTO t VALUES (1)")
    assert rows() == [1]


# ---- the answer is lost ----------------------------------------------------------------------------------------------


@EVERY_UNANSWERED
def test_a_write_of_its_own_without_an_answer_may_have_happened(
    through: Open, proxy: Proxy, rows: Rows, fault: Fault
) -> None:
    connection = through()
    proxy.inject(fault)
    with pytest.raises(CommitUnknown) as raised:
        connection.execute("INSERT INTO t VALUES (1)")
    assert raised.value.sent
    assert rows() == ([] if fault.kind is Kind.REFUSED else [1])
    assert connection.execute("SELECT 1").fetchall() == [(1,)]


@EVERY_UNANSWERED
def test_a_read_of_its_own_without_an_answer_changed_nothing(
    through: Open, proxy: Proxy, fault: Fault
) -> None:
    proxy.inject(fault)
    with pytest.raises(StreamLost):
        through().execute("SELECT 1")


@EVERY_UNANSWERED
@pytest.mark.parametrize("place", ["first", "later"])
def test_a_transaction_without_an_answer_before_its_commit_is_lost_and_keeps_nothing(
    through: Open, proxy: Proxy, rows: Rows, fault: Fault, place: str
) -> None:
    connection = through()
    connection.begin("immediate")
    if place == "later":
        connection.execute("INSERT INTO t VALUES (1)")
    proxy.inject(fault)
    with pytest.raises(StreamLost):
        connection.execute("INSERT INTO t VALUES (2)")
    assert not connection.in_transaction
    for more in (lambda: connection.execute("INSERT INTO t VALUES (3)"), connection.commit):
        with pytest.raises(StreamLost, match="roll back before anything else"):
            more()
    connection.rollback()
    connection.begin("read")
    assert connection.execute("SELECT x FROM t").fetchall() == rows() == []


@pytest.mark.slow
def test_a_transaction_that_was_lost_is_repeated_when_the_server_has_given_its_lock_away(
    through: Open, proxy: Proxy, rows: Rows
) -> None:
    connection = begun(through())
    proxy.inject(Fault(Kind.CUT_AFTER_ANSWER))
    with pytest.raises(StreamLost):
        connection.execute("INSERT INTO t VALUES (2)")
    connection.rollback()
    begun(connection).commit()
    assert rows() == [1]


@EVERY_UNANSWERED
def test_a_commit_without_an_answer_may_have_happened(
    through: Open, proxy: Proxy, rows: Rows, fault: Fault
) -> None:
    connection = begun(through())
    proxy.inject(fault)
    with pytest.raises(CommitUnknown) as raised:
        connection.commit()
    assert raised.value.sent
    assert not connection.in_transaction
    connection.rollback()
    assert rows() == ([] if fault.kind is Kind.REFUSED else [1])


def test_a_commit_that_could_not_be_sent_did_not_happen(through: Open, proxy: Proxy, rows: Rows) -> None:
    connection = begun(through())
    proxy.down()
    with pytest.raises(StreamLost):
        connection.commit()
    connection.rollback()
    assert rows() == []


def test_a_read_transaction_has_no_commit_that_could_be_lost(through: Open, proxy: Proxy) -> None:
    connection = through()
    connection.begin("read")
    connection.execute("SELECT 1")
    proxy.inject(Fault(Kind.CUT_AFTER_ANSWER))
    connection.commit()
    assert not any(request.has("COMMIT") for request in proxy.seen)


# ---- the answer is late ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.BLACK_HOLE, Kind.ANSWERED_LATE])
@pytest.mark.parametrize("options", ["deadline", "timeout"])
def test_every_request_ends_at_its_time(
    through: Open, proxy: Proxy, rows: Rows, kind: Kind, options: str
) -> None:
    connection = through(timeout=0.3) if options == "timeout" else through()
    proxy.inject(Fault(kind, seconds=4), when=has("INSERT"), times=None)
    for act, expected in (
        (lambda: connection.execute("INSERT INTO t VALUES (1)"), CommitUnknown),
        (lambda: begun(connection), StreamLost),
    ):
        connection.deadline = time.monotonic() + 0.3 if options == "deadline" else None
        with pytest.raises(expected):
            act()
    connection.rollback()


def test_a_server_that_trickles_does_not_hold_a_request_open(connect: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_trickle, args=(listener,), daemon=True).start()
        connection = connect(url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.4)
        with pytest.raises(StreamLost):
            connection.execute("SELECT 1")


def _trickle(listener: socket.socket) -> None:
    client, _ = listener.accept()
    with client, suppress(OSError):
        client.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            client.sendall(b"a: b\r\n")
            time.sleep(0.05)


def test_a_time_that_ends_inside_a_transaction_rolls_it_back(through: Open, proxy: Proxy, rows: Rows) -> None:
    connection = begun(through())
    connection.deadline = time.monotonic()
    with pytest.raises(StreamLost):
        connection.commit()
    connection.rollback()
    begun(through()).commit()  # nobody holds the lock
    assert rows() == [1]


# ---- the connection was closed meanwhile -----------------------------------------------------------------------------


def test_a_kept_connection_that_was_closed_is_replaced_unnoticed(
    through: Open, proxy: Proxy, rows: Rows
) -> None:
    connection = through()
    connection.execute("SELECT 1")
    proxy.cut()
    time.sleep(0.05)
    connection.execute("INSERT INTO t VALUES (1)")
    proxy.cut()
    time.sleep(0.05)
    connection.begin("immediate")
    connection.execute("INSERT INTO t VALUES (2)")
    proxy.cut()
    time.sleep(0.05)
    connection.commit()
    assert rows() == [1, 2]


def test_a_connection_that_closes_as_a_request_comes_repeats_what_cannot_have_been_kept(
    through: Open, proxy: Proxy, rows: Rows
) -> None:
    connection = through()
    connection.execute("SELECT 1")
    proxy.inject(Fault(Kind.CUT_BEFORE))
    assert connection.execute("SELECT 2").fetchall() == [(2,)]
    proxy.inject(Fault(Kind.CUT_BEFORE))
    begun(connection).commit()
    proxy.inject(Fault(Kind.CUT_BEFORE))
    with pytest.raises(CommitUnknown):
        connection.execute("INSERT INTO t VALUES (2)")
    assert rows() == [1]


# ---- the server refuses ----------------------------------------------------------------------------------------------


def test_an_overloaded_server_is_busy_and_nothing_is_kept(through: Open, proxy: Proxy, rows: Rows) -> None:
    connection = through()
    for status, act in itertools.product((429, 503), ("SELECT 1", "begin")):
        proxy.inject(Fault(Kind.REFUSED, status=status))
        with pytest.raises(Busy) as raised:
            begun(connection) if act == "begin" else connection.execute(act)
        assert raised.value.sqlite_errorcode == 0
        connection.rollback()
    begun(connection)
    proxy.inject(Fault(Kind.REFUSED, status=429))
    with pytest.raises(Busy):
        connection.commit()
    connection.rollback()
    proxy.inject(Fault(Kind.REFUSED, status=503), when=has("COMMIT"))
    with pytest.raises(CommitUnknown):
        begun(connection).commit()
    connection.rollback()
    assert rows() == []


def test_a_server_that_has_no_connection_left_is_busy_even_for_a_write(through: Open, proxy: Proxy) -> None:
    sentence = b'{"error":"Timed out while opening database connection"}'
    proxy.inject(Fault(Kind.REFUSED, status=503, body=sentence))
    with pytest.raises(Busy, match="Timed out while opening"):
        through().execute("INSERT INTO t VALUES (1)")


def test_a_blocked_database_says_so_inside_a_transaction_too(
    sqld: Sqld, namespace: str, connect: Open, rows: Rows
) -> None:
    connection = begun(connect())
    sqld.configure(namespace, block_writes=True, block_reason="moved")
    with pytest.raises(Blocked, match="moved") as raised:
        connection.execute("INSERT INTO t VALUES (2)")
    assert raised.value.code == "BLOCKED"
    assert not connection.in_transaction
    connection.rollback()
    with pytest.raises(Blocked):
        connection.execute("INSERT INTO t VALUES (2)")
    assert rows() == []


def test_a_block_that_meets_the_last_statement_keeps_nothing_of_the_transaction(
    sqld: Sqld, namespace: str, connect: Open, rows: Rows
) -> None:
    connection = begun(connect())
    sqld.configure(namespace, block_writes=True)
    with pytest.raises(Blocked):
        connection.commit([("INSERT INTO t VALUES (2)", [], None)])
    connection.rollback()
    assert rows() == []


def test_an_answer_that_is_too_large_is_refused_and_a_write_with_one_is_in_doubt(
    connect: Open, through: Open, proxy: Proxy, rows: Rows
) -> None:
    many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 150000)"
    connection = connect()
    with pytest.raises(ResponseTooLarge):
        connection.execute(f"SELECT * FROM ({many} SELECT x, '{'x' * 100}' FROM n)")
    with pytest.raises(CommitUnknown):
        connection.execute(f"{many} INSERT INTO t SELECT x || '{'x' * 100}' FROM n RETURNING x")
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(150_000,)]
    proxy.inject(Fault(Kind.REFUSED, status=200, body=b" " * (64 * 1024 * 1024 + 1)))
    with pytest.raises(ResponseTooLarge):
        through().execute("SELECT 1")


def test_a_stream_that_the_cloud_has_forgotten_is_lost(through: Open, proxy: Proxy, rows: Rows) -> None:
    connection = begun(through())
    proxy.inject(Fault(Kind.REFUSED, status=404, body=b'{"error":"stream not found"}'))
    with pytest.raises(StreamLost):
        connection.commit()
    connection.rollback()
    assert rows() == []


def test_the_cloud_s_finer_code_is_kept_beside_sqlite_s(through: Open, proxy: Proxy, rows: Rows) -> None:
    proxy.traits = CloudTraits()
    connection = begun(through())
    with pytest.raises(IntegrityError) as raised:
        connection.execute("INSERT INTO t VALUES (1)")
    error = raised.value
    assert (error.code, error.extended_code) == ("SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_UNIQUE")
    assert error.sqlite_errorcode == 19
    connection.commit()
    assert rows() == [1]


@pytest.mark.slow
def test_a_stream_that_expired_is_lost(connect: Open, rows: Rows) -> None:
    connection = begun(connect())
    time.sleep(11)
    with pytest.raises(StreamLost):
        connection.commit()
    connection.rollback()
    assert rows() == []


@pytest.mark.parametrize("status", [400, 413, 418])
def test_a_request_that_the_server_does_not_understand_is_nobody_s_loss(
    through: Open, proxy: Proxy, status: int
) -> None:
    proxy.inject(Fault(Kind.REFUSED, status=status, body=b"no"))
    with pytest.raises(keystead_hrana.InterfaceError, match="no") as raised:
        through().execute("INSERT INTO t VALUES (1)")
    assert raised.value.code == f"HTTP_{status}"
    proxy.inject(Fault(Kind.REFUSED, status=404, body=b"Not Found"))
    with pytest.raises(OperationalError, match="Not Found"):
        through().execute("SELECT 1")


def test_a_connection_that_comes_back_after_the_end_is_closed(sqld: Sqld, namespace: str) -> None:
    """A thread may still be asking when its process lets go of the server."""
    sockets = keystead_hrana.Sockets()
    connection = keystead_hrana.connect(
        url=sqld.url, namespace=namespace, token=sqld.token(namespace), sockets=sockets
    )
    sockets.close()
    assert connection.execute("SELECT 1").fetchall() == [(1,)]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del connection, sockets
        gc.collect()
    assert [warning.category for warning in told] == []
