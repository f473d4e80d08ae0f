"""Spare RSA keys.

Making a key takes 24 to 54 ms, so a background thread keeps some ready (generation releases the interpreter's
lock). Each is claimed by one caller. With a store, unclaimed keys survive a restart: they are taken out of it
when the stock fills, before any is made, and put back at `close`; whoever implements it seals them.
"""

import asyncio
import threading
from collections import deque
from typing import Protocol

import structlog

from core.crypto.keys import SigningKey

ALGORITHM = "RS256"
_log = structlog.get_logger("keystock")


class KeyStore(Protocol):
    """Where spare keys wait between two lives of a process. `take` removes what it answers: nothing is taken
    twice."""

    def take(self) -> bytes | None: ...

    def put(self, der: bytes) -> None: ...


class KeyStock:
    def __init__(self, size: int, store: KeyStore | None = None) -> None:
        self._size = size
        self._store = store
        self._keys: deque[SigningKey] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """Begin filling; the first claim does so too. In the process that uses the keys: a thread is not
        forked."""
        with self._changed:
            if self._thread is None and not self._closed and self._size > 0:
                self._thread = threading.Thread(target=self._fill, name="keystock", daemon=True)
                self._thread.start()

    def __len__(self) -> int:
        return len(self._keys)

    async def claim(self) -> SigningKey:
        key = self._next()
        return key if key is not None else await asyncio.to_thread(SigningKey.generate, ALGORITHM)

    def close(self) -> None:
        """Stop making keys and hand unclaimed ones back to the store."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join()
        self._keep()
        self._keys.clear()

    def _next(self) -> SigningKey | None:
        self.start()
        with self._changed:
            self._changed.notify_all()
            return self._keys.popleft() if self._keys else None

    def _fill(self) -> None:
        while self._wanted():
            key = self._stored() or SigningKey.generate(ALGORITHM)
            with self._changed:
                self._keys.append(key)

    def _wanted(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._keys) < self._size)
            return not self._closed

    def _stored(self) -> SigningKey | None:
        """A store that is away costs the time of making a key, nothing else."""
        try:
            der = self._store.take() if self._store is not None else None
            return SigningKey.from_der(None, ALGORITHM, der) if der else None
        except Exception:  # noqa: BLE001  (whatever the store raises: spare keys are a convenience)
            _log.warning("spare_key_not_read", exc_info=True)
            return None

    def _keep(self) -> None:
        try:
            while self._store is not None and self._keys:
                self._store.put(self._keys.popleft().to_der())
        except Exception:  # noqa: BLE001  (whatever the store raises: spare keys are a convenience)
            _log.warning("spare_keys_not_kept", exc_info=True)
