"""An answer is read as HTTP/1.1 writes it, however it is cut into pieces; what is not HTTP is no answer."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

import keystead_hrana
from keystead_hrana import CommitUnknown, StreamLost

BODY = json.dumps(
    {
        "baton": None,
        "base_url": None,
        "results": [
            {
                "type": "ok",
                "response": {
                    "type": "execute",
                    "result": {
                        "cols": [{"name": "x"}],
                        "rows": [[{"type": "integer", "value": "7"}]],
                        "affected_row_count": 0,
                        "last_insert_rowid": None,
                    },
                },
            },
            {"type": "ok", "response": {"type": "close"}},
        ],
    }
).encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
OK = b"HTTP/1.1 200 OK\r\n"


def in_chunks(size: int, last: bytes = b"0\r\n\r\n") -> bytes:
    parts = [BODY[i : i + size] for i in range(0, len(BODY), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + last


class Speaker:
    """Answers every request with the same bytes, some at a time, and closes."""

    def __init__(self, answer: bytes, at_a_time: int) -> None:
        self._answer = answer
        self._at_a_time = at_a_time
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, suppress(OSError):
                    client.recv(65536)
                    for place in range(0, len(self._answer), self._at_a_time):
                        client.sendall(self._answer[place : place + self._at_a_time])


@pytest.fixture
def answered(answer: bytes, at_a_time: int) -> Iterator[keystead_hrana.BaseConnection]:
    speaker = Speaker(answer, at_a_time)
    with keystead_hrana.Sockets() as sockets:
        yield keystead_hrana.connect(speaker.url, timeout=5, sockets=sockets)
    speaker.close()


@pytest.mark.parametrize("at_a_time", [7, 100_000])
@pytest.mark.parametrize(
    "answer",
    [
        OK + LENGTH + b"\r\n" + BODY,
        OK + b"x: " + b"y" * 30_000 + b"\r\n" + LENGTH.lower() + b"\r\n" + BODY,
        OK + b"Connection: close\r\n\r\n" + BODY,
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n" + BODY,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
        + OK
        + LENGTH
        + b"\r\n"
        + BODY,
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + in_chunks(50),
        OK + b"transfer-encoding: Chunked\r\n\r\n" + in_chunks(99_999, b"0;a=b\r\ntrailer: x\r\n\r\n"),
    ],
)
def test_an_answer_is_read_as_it_is_written(answered: keystead_hrana.BaseConnection) -> None:
    for _ in range(2):
        assert answered.execute("SELECT 7").fetchall() == [(7,)]


@pytest.mark.parametrize("at_a_time", [100_000])
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"H",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n" + LENGTH + b"\r\n" + BODY,
        OK + LENGTH,
        OK + LENGTH + b"\r\n" + BODY[:-1],
        OK + LENGTH + LENGTH + b"\r\n" + BODY,
        OK + b"Content-Length: -1\r\n\r\n" + BODY,
        OK + b"Content-Length: +10\r\n\r\n" + BODY,
        OK + b"Content-Length: ten\r\n\r\n" + BODY,
        OK + b"no colon\r\n" + LENGTH + b"\r\n" + BODY,
        OK + b"a: b\r\n" * 300 + LENGTH + b"\r\n" + BODY,
        OK + b"a: " + b"b" * 100_000 + b"\r\n" + LENGTH + b"\r\n" + BODY,
        OK + b"Transfer-Encoding: gzip\r\n\r\n" + BODY,
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + in_chunks(50, b""),
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + in_chunks(50, b"0\r\n"),
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + BODY,
        OK + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\n" + BODY,
        OK + b"Transfer-Encoding: chunked\r\n\r\n\r\n" + BODY,
        OK + LENGTH + b"\r\n" + BODY.replace(b"rows", b"rowz"),
        OK + LENGTH + b"\r\n" + BODY.replace(b'"7"', b'"x"'),
        OK + LENGTH + b"\r\n" + BODY.replace(b'"integer"', b'"number_"'),
    ],
)
def test_what_is_no_answer_is_taken_for_none(answered: keystead_hrana.BaseConnection) -> None:
    with pytest.raises((StreamLost, keystead_hrana.InterfaceError)):
        answered.execute("SELECT 7")
    with pytest.raises(CommitUnknown):
        answered.execute("INSERT INTO t VALUES (7)")


@pytest.mark.parametrize("at_a_time", [100_000])
@pytest.mark.parametrize(
    "answer",
    [OK + b"Content-Length: 99999999999\r\n\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n"],
)
def test_an_answer_that_says_it_is_huge_is_not_waited_for(answered: keystead_hrana.BaseConnection) -> None:
    with pytest.raises(keystead_hrana.ResponseTooLarge):
        answered.execute("SELECT 7")
