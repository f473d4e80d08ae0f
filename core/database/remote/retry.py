"""Whether a transaction that failed is run again, and what its caller is told if not."""

import random
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from core.database.faults import primary_code, told
from core.database.remote.figures import Figures
from core.database.remote.seen import Seen
from core.database.remote.session import Driver, Fault
from core.errors import DatabaseUnavailable

T = TypeVar("T")

ATTEMPTS = 4
FIRST_PAUSE = 0.02


class StaleRead(Exception):
    """A replica that lags answered: this process has seen a later version of the configuration already."""


_STALE = Fault(error=DatabaseUnavailable("The database lags behind."), again=True)


@dataclass(frozen=True, slots=True)
class Retry:
    """For one database."""

    driver: Driver
    seen: Seen
    figures: Figures

    def repeat(self, once: Callable[[], T], until: Callable[[], float]) -> T:
        """Until it succeeds, or fails for a reason that will not pass, or its time is over."""
        pause = FIRST_PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            self.seen.breaker.admit()
            try:
                value = once()
            except Exception as error:
                fault = _STALE if isinstance(error, StaleRead) else self.hear(error)
                if fault is None:
                    raise
                if not fault.again or attempt == ATTEMPTS or time.monotonic() + pause >= until():
                    raise fault.error from error
            else:
                self.seen.breaker.succeeded()
                return value
            self.figures.repeat()
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads callers only
            pause *= 4
        raise AssertionError("the last attempt returns or raises")

    def hear(self, error: Exception) -> Fault | None:
        """What an error says about the transaction, and to the breaker."""
        fault = self.driver.fault(error)
        if fault is not None and fault.unanswered:
            self.seen.breaker.failed(str(error))
        else:
            self.seen.breaker.succeeded()
        return fault

    def told(self, error: BaseException) -> Exception:
        """What the caller gets for what is no fault. To write in read() is a mistake, and stays what it is."""
        raised = self.driver.raised(error) if isinstance(error, Exception) else error
        if isinstance(raised, Exception) and primary_code(raised) == sqlite3.SQLITE_READONLY:
            return raised
        return told(raised)

    @contextmanager
    def once(self) -> Generator[None, None, None]:
        """Around what cannot be run again: an exception is heard, and told."""
        try:
            yield
        except Exception as error:
            fault = self.hear(error)
            raise_as(self.told(error) if fault is None else fault.error, error)

    def observe(self, version: int | None) -> None:
        if version is not None:
            self.seen.observe(version)


def raise_as(known: Exception, error: Exception) -> NoReturn:
    if known is error:
        raise error
    raise known from error
