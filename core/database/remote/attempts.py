"""One unit over a network: run again where nothing was kept, looked up where COMMIT was not answered.

begin -> unit -> COMMIT -> told
  |        |        `-- not answered --> (new session, writer's lock) mark there? told : run again
  `--------'-- lost, busy, not sent ---> run again, a little later
"""

import time
from collections.abc import Callable
from typing import Any

from core.database.lane import Job
from core.database.remote.retry import Retry, StaleRead
from core.database.remote.session import Session, call
from core.database.remote.sessions import Sessions
from core.errors import OutcomeUnknown

ORPHAN_SECONDS = 6.0
"""A server keeps the writer's lock for a stream that was cut (libSQL: five seconds); who was cut waits for its own."""

Tell = Callable[[Any], None]


class Reads:
    """Threads run it, several at once."""

    def __init__(self, sessions: Sessions, retry: Retry) -> None:
        self._sessions = sessions
        self._retry = retry
        self.told = retry.told
        self.close = sessions.close

    def run(self, job: Job, until: float, tell: Tell) -> None:
        """Told before the transaction ends, which takes another request and is of no interest to who asked."""

        def once() -> None:
            known = self._retry.seen.version
            with self._sessions.one(until) as session:
                session.begin(writes=False, until=until)
                value = call(session, job.unit, job.args, job.kwargs)
                if session.version is not None and session.version < known:
                    raise StaleRead
                self._retry.observe(session.version)
                self._retry.seen.breaker.succeeded()
                tell(value)

        self._retry.repeat(once, lambda: until)


class Writes:
    def __init__(self, sessions: Sessions, retry: Retry) -> None:
        self._sessions = sessions
        self._retry = retry
        self.told = retry.told
        self.close = sessions.close

    def run(self, job: Job, until: float, tell: Tell) -> None:
        doubt = Doubt(self._retry, until)

        def once() -> Any:
            with self._sessions.one(doubt.until) as session:
                session.begin(writes=True, until=doubt.until, converge=job.converge)
                if doubt.was_kept(session):
                    return doubt.value
                value = call(session, job.unit, job.args, job.kwargs)
                doubt.commit(session, value)
                return value

        try:
            value = self._retry.repeat(once, doubt.wait_for_orphan)
        except Exception as error:
            if doubt.mark is not None:
                raise OutcomeUnknown from error
            raise
        tell(value)


class Doubt:
    """Of one unit that writes: which transaction's COMMIT was not answered, and what it would have told."""

    def __init__(self, retry: Retry, until: float) -> None:
        self._retry = retry
        self._latest = until + ORPHAN_SECONDS
        self.until = until
        self.mark: str | None = None
        self.value: Any = None

    def was_kept(self, session: Session) -> bool:
        """Whether the transaction in doubt is in the database; if not, it can no longer get there."""
        if self.mark is None:
            return False
        kept = session.was_committed(self.mark)
        self.mark = None
        self._retry.observe(session.version)
        return kept

    def commit(self, session: Session, value: Any) -> None:
        try:
            self._retry.observe(session.commit())
        except Exception as error:
            fault = self._retry.driver.fault(error)
            if fault is not None and fault.unknown:
                if session.mark is None:
                    raise OutcomeUnknown from error
                self.mark, self.value = session.mark, value
            raise

    def wait_for_orphan(self) -> float:
        """After an attempt that failed: until when there may be another. One whose time is over gets more of it only
        to find out what became of its COMMIT."""
        now = time.monotonic()
        if now < self.until or self.mark is not None:
            self.until = max(self.until, min(now + ORPHAN_SECONDS, self._latest))
        return self.until
