"""The sessions of one lane: as many as work at the same time, kept for the next unit."""

from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from time import monotonic

from core.database.refs import DatabaseRef
from core.database.remote.session import Driver, Session

IDLE_SECONDS = 15.0
"""Some engines keep a connection for each session, and a server has only so many."""


class Sessions:
    """Taken and given back by threads; a session that cannot be tidied is thrown away."""

    def __init__(self, driver: Driver, ref: DatabaseRef) -> None:
        self.driver = driver
        self._ref = ref
        self._idle: deque[tuple[float, Session]] = deque()

    @contextmanager
    def one(self, until: float) -> Generator[Session, None, None]:
        """Whatever is still open at the end is undone."""
        session = self._take(until)
        try:
            yield session
        finally:
            self._give(session)

    def close(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop()[1].close()

    def _take(self, until: float) -> Session:
        try:
            return self._idle.pop()[1]
        except IndexError:
            return self.driver.open(self._ref, until=until)

    def _give(self, session: Session) -> None:
        try:
            session.rollback()
        except Exception:
            session.close()
        else:
            self._idle.append((monotonic(), session))
            self._close_unused()

    def _close_unused(self) -> None:
        """The one used last is taken first, so those at the other end are more than are needed."""
        with suppress(IndexError):
            while self._idle[0][0] < monotonic() - IDLE_SECONDS:
                self._idle.popleft()[1].close()
