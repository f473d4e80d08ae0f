"""What other nodes say with NOTIFY, heard by a thread of its own. A connection that is lost is made again.

Hearing is a short cut: whatever is said this way is also found by asking, each second.
"""

import os
import random
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from psycopg import sql

from core.database.refs import Remote
from core.database.remote.postgresql import conninfo

Driver = psycopg.Connection[Any]
_log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0
# A peer that is gone without a word is noticed within seconds, not by the kernel's hours.
_KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "connect_timeout": 5,
}


class Listener:
    """`heard` is told what was said, `connected` that the server answers (again): both in the listener's thread."""

    def __init__(
        self, server: Remote, channel: str, heard: Callable[[str], None], connected: Callable[[], None]
    ) -> None:
        self._conninfo = conninfo(server)
        self._channel = channel
        self._heard = heard
        self._connected = connected
        self._stopped = threading.Event()
        self._driver: Driver | None = None
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Blocks for a moment: for threads."""
        self._stopped.set()
        if self._driver is not None:
            _hang_up(self._driver)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopped.is_set():
            try:
                self._listen()
            except psycopg.Error as error:
                if self._stopped.is_set():
                    return
                pause = FIRST_PAUSE if self._driver is not None else min(LONGEST_PAUSE, 2 * pause)
                _log.warning("listener_disconnected", reason=type(error).__name__)
            self._driver = None
            self._stopped.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 (spreads nodes only)

    def _listen(self) -> None:
        with psycopg.connect(self._conninfo, autocommit=True, **_KEEPALIVE) as driver:
            driver.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            self._driver = driver
            self._connected()
            if self._stopped.is_set():
                return
            for notice in driver.notifies():
                self._heard(notice.payload)


def _hang_up(driver: Driver) -> None:
    """Wakes the thread that waits for it."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(driver.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
