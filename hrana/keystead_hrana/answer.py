"""One answer of an HTTP/1.1 server to a POST, read from a socket.

Three of its headers matter. The standard library reads all of them as those of a mail, which takes as much time as all
else that this side does for a request.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from keystead_hrana.errors import ResponseTooLarge

LARGEST_BODY = 64 * 1024 * 1024
_LONGEST_LINE = 64 * 1024
_MOST_HEADERS = 200
_PORTION = 1024 * 1024


class NoAnswer(Exception):
    """The other side closed before the first byte."""


class BrokenAnswer(Exception):
    """What came is no answer, or not all of one."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    keeps: bool
    """Whether the connection may be used again."""


def read_answer(source: io.BufferedReader) -> Answer:
    version, status = _status(source)
    headers = _headers(source)
    while 100 <= status < 200:
        version, status = _status(source)
        headers = _headers(source)
    length = headers.get(b"content-length")
    coding = headers.get(b"transfer-encoding", b"").lower()
    closes = b"close" in headers.get(b"connection", b"").lower() or version != b"HTTP/1.1"
    if coding == b"chunked":
        return Answer(status, _joined(_chunks(source)), not closes)
    if coding:
        raise BrokenAnswer("the answer is in an unknown coding")
    if length is None:
        return Answer(status, _joined(iter(lambda: source.read(_PORTION), b"")), False)
    return Answer(status, _exactly(source, _number(length, 10)), not closes)


def _status(source: io.BufferedReader) -> tuple[bytes, int]:
    line = source.readline(_LONGEST_LINE)
    if not line:
        raise NoAnswer("the connection was closed without an answer")
    version, _, rest = line.partition(b" ")
    status = rest[:3]
    if not line.endswith(b"\n") or version not in (b"HTTP/1.1", b"HTTP/1.0") or not status.isdigit():
        raise BrokenAnswer("the answer is not HTTP/1.1")
    return version, int(status)


def _headers(source: io.BufferedReader) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for _ in range(_MOST_HEADERS):
        line = _line(source)
        if not line:
            return headers
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or (name in headers and name in (b"content-length", b"transfer-encoding")):
            raise BrokenAnswer("the answer's headers are not HTTP's")
        headers[name] = value.strip()
    raise BrokenAnswer("the answer has too many headers")


def _line(source: io.BufferedReader) -> bytes:
    line = source.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise BrokenAnswer("the answer was cut")
    return line.rstrip(b"\r\n")


def _chunks(source: io.BufferedReader) -> Iterator[bytes]:
    while size := _number(_line(source).partition(b";")[0].strip(), 16):
        yield _exactly(source, size)
        if _line(source):
            raise BrokenAnswer("a part of the answer is longer than it says")
    while _line(source):
        pass  # trailers


def _number(text: bytes, base: int) -> int:
    if not text.isalnum():
        raise BrokenAnswer("the answer does not say how long it is")
    try:
        return int(text, base)
    except ValueError:
        raise BrokenAnswer("the answer does not say how long it is") from None


def _exactly(source: io.BufferedReader, size: int) -> bytes:
    if size > LARGEST_BODY:
        raise _too_large()
    body = source.read(size)
    if len(body) < size:
        raise BrokenAnswer("the answer was cut")
    return body


def _joined(parts: Iterator[bytes]) -> bytes:
    whole = bytearray()
    for part in parts:
        whole += part
        if len(whole) > LARGEST_BODY:
            raise _too_large()
    return bytes(whole)


def _too_large() -> ResponseTooLarge:
    return ResponseTooLarge("the answer is too large", code="RESPONSE_TOO_LARGE", sent=True)
