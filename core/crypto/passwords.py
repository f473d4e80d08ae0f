"""Passwords: Argon2id in threads of its own.

A verification costs some 18 ms of a core and 19 MiB, so it never runs on the event loop and never in a
database lane, and a flood of logins fills a bounded queue instead of memory. An unknown user costs the same
as a known one.
"""

import asyncio
import os
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeVar

import argon2
from argon2.exceptions import Argon2Error, InvalidHashError

from core.errors import RateLimited
from core.settings import Settings

MAX_PASSWORD_BYTES = 4096
"""Longer ones are refused by whoever reads the request, before hashing."""

T = TypeVar("T")


class PasswordHasher:
    def __init__(
        self,
        *,
        memory_kib: int = 19456,
        iterations: int = 2,
        queue_limit: int = 64,
        threads: int | None = None,
    ) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._limit = self._threads + queue_limit
        self._argon2 = argon2.PasswordHasher(time_cost=iterations, memory_cost=memory_kib, parallelism=1)
        self._dummy = self._argon2.hash("no account has this password")
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="passwords")
        self._pending = 0
        self._lock = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(
            memory_kib=settings.password_memory_kib,
            iterations=settings.password_iterations,
            queue_limit=settings.password_queue_limit,
        )

    async def hash(self, password: str) -> str:
        return await self._run(self._argon2.hash, _normalised(password))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """With no hash (no such user) the same work is done and the answer is no."""
        matches = await self._run(self._matches, hashed or self._dummy, _normalised(password))
        return matches and hashed is not None

    def needs_rehash(self, hashed: str) -> bool:
        try:
            return self._argon2.check_needs_rehash(hashed)
        except InvalidHashError:
            return True

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _matches(self, hashed: str, password: bytes) -> bool:
        try:
            return self._argon2.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        with self._lock:
            if self._pending >= self._limit:
                raise RateLimited(retry_after=1)
            self._pending += 1
        try:
            future = self._executor.submit(work, *args)
        except RuntimeError:
            self._finished(None)
            raise
        future.add_done_callback(self._finished)
        return await asyncio.wrap_future(future)

    def _finished(self, _: Future[T] | None) -> None:
        with self._lock:
            self._pending -= 1


def _normalised(password: str) -> bytes:
    """One spelling of every accent (NIST SP 800-63B-4 section 3.1.1.2); nothing is cut off."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
