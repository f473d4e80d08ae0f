"""A server that is killed keeps what it acknowledged, and the driver says of the rest what can be known."""

import threading
import time
from collections import Counter

import pytest

from keystead_hrana import CommitUnknown, NotSent, StreamLost
from tests.engines.sqld import Sqld
from tests.hrana.conftest import Open

pytestmark = [pytest.mark.libsql, pytest.mark.faults]


@pytest.fixture
def killable(own_sqld: Sqld) -> Sqld:
    own_sqld.create("killed")
    own_sqld.script("killed", "CREATE TABLE t(x UNIQUE)")
    return own_sqld


def test_a_transaction_that_was_open_is_lost_and_the_next_is_not(killable: Sqld, connect: Open) -> None:
    connection = connect(url=killable.url, namespace="killed", token=killable.token())
    connection.begin("immediate")
    connection.execute("INSERT INTO t VALUES (1)")
    killable.kill()
    with pytest.raises(StreamLost):
        connection.commit()
    connection.rollback()
    with pytest.raises(NotSent):
        connection.execute("INSERT INTO t VALUES (2)")
    killable.start()
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


def test_what_was_acknowledged_is_there_and_what_was_not_is_told_as_lost_or_unknown(
    killable: Sqld, connect: Open
) -> None:
    told: dict[int, str] = {}
    begin_to_die = threading.Event()

    def write() -> None:
        connection = connect(url=killable.url, namespace="killed", token=killable.token())
        for x in range(100_000):
            try:
                connection.begin("immediate")
                connection.execute("INSERT INTO t VALUES (?)", [x])
                connection.commit()
                told[x] = "kept"
            except (StreamLost, CommitUnknown, NotSent) as error:
                told[x] = type(error).__name__
                return
            if x == 50:
                begin_to_die.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert begin_to_die.wait(30)
    time.sleep(0.05)
    killable.kill()
    writer.join(30)
    killable.start()
    there = {x for (x,) in killable.query("killed", "SELECT x FROM t")}
    assert Counter(told.values())["kept"] == len(told) - 1 > 50
    for x, how in told.items():
        assert {"kept": x in there, "CommitUnknown": True}.get(how, x not in there), (x, how)
