"""One stream of a Hrana server: where it is, who may use it, its baton, and what its refusals mean.

The baton lives here and nowhere else. A server does not check that a baton belongs to the database that a request
names, so a stream never changes its database, and its connection never its stream's.
"""

import base64
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urljoin

from keystead_hrana.answer import Answer
from keystead_hrana.errors import (
    Blocked,
    Busy,
    CommitUnknown,
    Error,
    InterfaceError,
    NamespaceMissing,
    NotSent,
    OperationalError,
    ProgrammingError,
    ResponseTooLarge,
    StreamLost,
    Unauthorized,
    statement_error,
)
from keystead_hrana.http import Origin, Sockets, Unanswered, Unsent
from keystead_hrana.values import Wire
from keystead_hrana.wire import CLOSE, Malformed, Reply, refusal, reply, request_body

Token = str | Callable[[], str] | None

_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_PAUSES = (0.05, 0.2, 0.5)  # seconds, before a request that had no effect is sent again
_SECONDS_TO_CLOSE = 2.0  # whatever the deadline, which is most likely over


def checked_namespace(namespace: str | None) -> str | None:
    """It is a label of a host, and a server looks for its files by it."""
    if namespace is not None and not _NAMESPACE.fullmatch(namespace):
        raise ProgrammingError("a namespace is up to 63 lower-case letters, digits, - and _")
    return namespace


def bearer(token: Token) -> str | None:
    given = token() if callable(token) else token
    if given is not None and not _TOKEN.fullmatch(given):
        raise ProgrammingError("a token is visible ASCII")
    return given


@dataclass(frozen=True, slots=True)
class Server:
    """Where a database is and how to be let in."""

    origin: Origin
    namespace: str | None
    token: Token
    connect_timeout: float
    timeout: float
    """Seconds for one request when the connection has no deadline."""

    sockets: Sockets

    def __post_init__(self) -> None:
        checked_namespace(self.namespace)


@dataclass(slots=True)
class Stream:
    server: Server
    _origin: Origin = field(init=False)
    _baton: str | None = None
    _token: str | None = None

    def __post_init__(self) -> None:
        self._origin = self.server.origin

    @property
    def is_open(self) -> bool:
        return self._baton is not None

    def send(self, requests: Sequence[Wire], *, deadline: float | None, commits: bool) -> Reply:
        """One request. `commits`: if its answer is lost, what it did may be kept."""
        body = request_body(self._baton, requests)
        until = self._until(deadline)
        try:
            answer = self._let_in(body, until, commits)
        except Unsent as failure:
            raise self._unsent(str(failure)) from failure
        except (Unanswered, ResponseTooLarge) as failure:
            raise self._unread(failure, commits) from failure
        if answer.status != HTTPStatus.OK:
            refused = self._refused(answer, commits)
            self.close()  # the server may not have used the baton
            if isinstance(refused, Unauthorized):
                self._token = None
            raise refused
        try:
            said = reply(answer.body, requests)
        except (Malformed, Error) as failure:
            raise self._unread(failure, commits) from failure
        self._keep(said)
        return said

    def close(self) -> None:
        """Let the server end the stream, and roll back, now: it would hold its locks for some seconds more."""
        if self._baton is None:
            return
        body, self._baton = request_body(self._baton, [CLOSE]), None
        until = time.monotonic() + min(self.server.timeout, _SECONDS_TO_CLOSE)
        with suppress(Unsent, Unanswered, ResponseTooLarge):
            self._post(body, until, repeatable=True)
        self._origin = self.server.origin

    def _until(self, deadline: float | None) -> float:
        latest = time.monotonic() + self.server.timeout
        return latest if deadline is None else min(latest, deadline)

    def _keep(self, said: Reply) -> None:
        self._baton = said.baton
        if said.baton is None:
            self._origin = self.server.origin
        elif said.base_url:
            self._origin = _followed(self._origin, said.base_url)

    def _let_in(self, body: bytes, until: float, commits: bool) -> Answer:
        """Repeat what had no effect: no connection, a namespace that seems missing, a token that is refused once.

        Only before the stream exists; afterwards the server's end of it is in doubt with every refusal.
        """
        renewed = False
        pauses = iter(_PAUSES)
        while True:
            try:
                answer = self._post(body, until, repeatable=not commits)
            except Unsent as failure:
                if isinstance(failure.__cause__, TimeoutError) or not self._pause(pauses, until):
                    raise
                continue
            if self._baton is not None or answer.status not in (401, 404):
                return answer
            if answer.status == 401:
                if renewed or not callable(self.server.token):
                    return answer
                renewed, self._token = True, None
            elif not (_is_missing_namespace(answer) and self._pause(pauses, until)):
                return answer

    def _pause(self, pauses: Iterator[float], until: float) -> bool:
        if self._baton is not None:
            return False
        pause = next(pauses, None)
        if pause is None or time.monotonic() + pause >= until:
            return False
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads callers, keeps no secret
        return True

    def _post(self, body: bytes, until: float, *, repeatable: bool) -> Answer:
        return self.server.sockets.post(
            self._origin,
            self._head(len(body)) + body,
            connect_timeout=self.server.connect_timeout,
            deadline=until,
            repeatable=repeatable,
        )

    def _head(self, length: int) -> bytes:
        host, namespace = self._origin.authority, self.server.namespace
        lines = [
            f"POST {self._origin.path}/v3/pipeline HTTP/1.1",
            f"Host: {f'{namespace}.{host}' if namespace else host}",
            "Content-Type: application/json",
            f"Content-Length: {length}",
        ]
        if namespace:
            label = base64.b64encode(namespace.encode()).rstrip(b"=").decode("ascii")
            lines.append(f"x-namespace-bin: {label}")
        if token := self._bearer():
            lines.append(f"Authorization: Bearer {token}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    def _bearer(self) -> str | None:
        if self._token is None:
            self._token = bearer(self.server.token)
        return self._token

    def _unsent(self, sentence: str) -> Error:
        was_open = self.is_open
        self.close()
        return StreamLost(sentence, sent=True) if was_open else NotSent(sentence)

    def _unread(self, failure: Exception, commits: bool) -> Error:
        """The request left, and the next baton with it."""
        self._baton, self._origin = None, self.server.origin
        if commits:
            return CommitUnknown(str(failure), sent=True)
        return failure if isinstance(failure, Error) else StreamLost(str(failure), sent=True)

    def _refused(self, answer: Answer, commits: bool) -> Error:
        """What a status other than 200 means. A refused request had no effect, unless a gateway speaks for it."""
        sentence, code = refusal(answer.body)
        sentence = sentence or f"HTTP status {answer.status}"
        code = code or f"HTTP_{answer.status}"
        match answer.status:
            case _ if code == "BLOCKED":
                return Blocked(sentence, code=code, sent=True)
            case 401 | 403:
                return Unauthorized(sentence, code=code, sent=self.is_open)
            case 429:
                return Busy(sentence, code=code, sent=self.is_open)
            case status if status >= 500 or status == 408 or status < 300:
                return self._failed(sentence, code, commits)
            case _ if self.is_open:
                return StreamLost(sentence, code=code, sent=True)
            case 404 if _is_missing_namespace(answer):
                return NamespaceMissing(sentence, code=code)
            case 404:
                return OperationalError(sentence, code=code)
            case _:
                return InterfaceError(sentence, code=code)

    def _failed(self, sentence: str, code: str, commits: bool) -> Error:
        said = statement_error(sentence, code, None)
        if isinstance(said, Busy):  # it never had a connection to run anything on
            return said
        if commits:
            return CommitUnknown(sentence, code=code, sent=True)
        return (Busy if code == "HTTP_503" else StreamLost)(sentence, code=code, sent=True)


def _is_missing_namespace(answer: Answer) -> bool:
    return answer.status == 404 and "doesn't exist" in refusal(answer.body)[0]


def _followed(origin: Origin, base_url: str) -> Origin:
    """The server wants the rest of the stream elsewhere. The token goes there, too: never without TLS what began with
    it, and to no other host what began without."""
    try:
        followed = Origin.of(urljoin(f"{origin.scheme}://{origin.authority}{origin.path}/", base_url))
    except (ProgrammingError, ValueError) as error:
        raise StreamLost("the server asks for a stream to go on at no address", sent=True) from error
    if origin.scheme == "https" and followed.scheme != "https":
        raise StreamLost("the server asks for a stream to go on without TLS", sent=True)
    if followed.scheme != "https" and followed.host != origin.host:
        raise StreamLost("the server asks for a stream to go on without TLS at another host", sent=True)
    return followed
