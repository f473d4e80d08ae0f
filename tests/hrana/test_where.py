"""Where requests go: by TLS only to whom the caller trusts, elsewhere if the server asks, never back to clear text."""

import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from keystead_hrana import NotSent, Sockets, StreamLost, http
from tests.engines.proxy import Answer, Proxy, Request
from tests.engines.sqld import Sqld
from tests.hrana.conftest import Open
from tests.hrana.tls import TlsFront, make_certificate

pytestmark = pytest.mark.libsql


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


@pytest.fixture
def front(sqld: Sqld, certificate: Path) -> Iterator[TlsFront]:
    front = TlsFront(sqld.port, certificate)
    yield front
    front.close()


@pytest.fixture
def trusting(certificate: Path) -> Iterator[Sockets]:
    sockets = Sockets(tls=ssl.create_default_context(cafile=str(certificate)))
    yield sockets
    sockets.close()


class Elsewhere:
    """A server that wants the rest of a stream at another address."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def request(self, request: Request) -> Request:
        return request

    def answer(self, request: Request, answer: Answer, send: Callable[[Request], Answer]) -> Answer:
        content: dict[str, Any] = json.loads(answer.body)
        return replace(answer, body=json.dumps({**content, "base_url": self.base_url}).encode())


def test_a_certificate_that_nobody_vouches_for_gets_no_request(connect: Open, front: TlsFront) -> None:
    with pytest.raises(NotSent, match="certificate verify failed"):
        connect(url=f"https://127.0.0.1:{front.port}", sockets=Sockets()).execute("SELECT 1")


def test_transactions_go_through_tls_over_one_connection(
    connect: Open, front: TlsFront, trusting: Sockets
) -> None:
    for _ in range(5):
        connection = connect(url=f"https://127.0.0.1:{front.port}", sockets=trusting)
        connection.begin("immediate")
        connection.execute("CREATE TABLE t(x)")
        connection.execute("INSERT INTO t VALUES (?)", ["x" * 200_000])
        assert connection.execute("SELECT length(x) FROM t").fetchall() == [(200_000,)]
        connection.rollback()
    assert front.handshakes == 1


def test_sqlalchemy_goes_through_tls_too(
    sqld: Sqld, namespace: str, front: TlsFront, trusting: Sockets
) -> None:
    url = f"sqlite+hrana://127.0.0.1:{front.port}/?namespace={namespace}&tls=1"
    engine = create_engine(url, connect_args={"token": sqld.token, "sockets": trusting})
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_stream_goes_on_where_the_server_wants_it_and_the_next_begins_at_the_old_place(
    sqld: Sqld, through: Open, proxy: Proxy
) -> None:
    proxy.traits = Elsewhere(sqld.url)
    connection = through()
    for round_ in (1, 2):
        connection.begin("immediate")
        connection.execute("SELECT 1")
        connection.execute("SELECT 2")
        connection.commit()
        assert len(proxy.seen) == round_


def test_what_began_with_tls_does_not_go_on_without(
    sqld: Sqld, connect: Open, proxy: Proxy, certificate: Path, trusting: Sockets
) -> None:
    proxy.traits = Elsewhere(sqld.url)
    front = TlsFront(proxy.port, certificate)
    connection = connect(url=f"https://127.0.0.1:{front.port}", sockets=trusting)
    connection.begin("immediate")
    with pytest.raises(StreamLost, match="without TLS"):
        connection.execute("SELECT 1")
    connection.rollback()
    front.close()


@pytest.mark.parametrize(
    "base_url", ["ftp://127.0.0.1/", "http://127.0.0.1:99999/", "http://[/", "http://a b/"]
)
def test_a_place_that_is_none_loses_the_stream(through: Open, proxy: Proxy, base_url: str) -> None:
    proxy.traits = Elsewhere(base_url)
    connection = through()
    connection.begin("immediate")
    with pytest.raises(StreamLost, match="at no address"):
        connection.execute("SELECT 1")
    connection.rollback()


def test_a_connection_that_is_too_old_is_not_used_again_and_not_kept(
    sqld: Sqld, connect: Open, certificate: Path, trusting: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy on the way may have forgotten it. So are those to places that nobody goes to any more."""
    here, there = TlsFront(sqld.port, certificate), TlsFront(sqld.port, certificate)
    to_here, to_there = (
        connect(url=f"https://127.0.0.1:{front.port}", sockets=trusting) for front in (here, there)
    )
    to_there.execute("SELECT 1")
    for _ in range(2):
        to_here.execute("SELECT 1")
    assert (here.handshakes, here.open, there.open) == (1, 1, 1)
    monkeypatch.setattr(http, "IDLE_SECONDS", 0.05)
    time.sleep(0.1)
    to_here.execute("SELECT 1")
    until = time.monotonic() + 5
    while (here.open, there.open) != (1, 0) and time.monotonic() < until:
        time.sleep(0.01)
    assert (here.handshakes, here.open, there.open) == (2, 1, 0)
    here.close()
    there.close()
