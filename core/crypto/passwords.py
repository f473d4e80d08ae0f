"""Passwords: Argon2id in threads of its own; what another system hashed is verified there, too (`foreign_hashes`).

A verification costs some 18 ms of a core and 19 MiB, so it never runs on the event loop and never in a
database lane. A flood of logins fills a bounded queue instead of memory, and only that of its own tenant: tenants take
turns (`core.crypto.queue`). An unknown user costs the same as a known one.
"""

import os
import unicodedata
from typing import Self

import argon2
from argon2.exceptions import Argon2Error, InvalidHashError

from core.crypto import foreign_hashes
from core.crypto.queue import FairQueue
from core.settings import Settings

MAX_PASSWORD_BYTES = 4096
"""Longer ones are refused by whoever reads the request, before hashing."""


class PasswordHasher:
    def __init__(
        self,
        *,
        memory_kib: int = 19456,
        iterations: int = 2,
        queue_limit: int = 64,
        threads: int | None = None,
    ) -> None:
        self._argon2 = argon2.PasswordHasher(time_cost=iterations, memory_cost=memory_kib, parallelism=1)
        self._dummy = self._argon2.hash("no account has this password")
        self._queue = FairQueue(
            threads=threads or os.cpu_count() or 1, waiting_of_one=queue_limit, name="passwords"
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(
            memory_kib=settings.password_memory_kib,
            iterations=settings.password_iterations,
            queue_limit=settings.password_queue_limit,
        )

    async def hash(self, password: str, *, tenant: str = "") -> str:
        """`tenant` is the id of the one whose turn it takes, here and below."""
        return await self._queue.run(tenant, self._argon2.hash, _normalised(password))

    async def verify(self, hashed: str | None, password: str, *, tenant: str = "") -> bool:
        """With no hash (no such user) the same work is done and the answer is no."""
        matches = await self._queue.run(tenant, self._matches, hashed or self._dummy, password)
        return matches and hashed is not None

    def needs_rehash(self, hashed: str) -> bool:
        """Another system's, or made with other costs."""
        try:
            return self._argon2.check_needs_rehash(hashed)
        except InvalidHashError:
            return True

    def close(self) -> None:
        self._queue.close()

    def _matches(self, hashed: str, password: str) -> bool:
        """One that was not made here, or long ago, may be of the password as it was typed."""
        as_typed = password.encode("utf-8", "surrogatepass")
        if foreign_hashes.is_foreign(hashed):
            return foreign_hashes.matches(hashed, as_typed)
        try:
            return self._argon2.verify(hashed, _normalised(password))
        except (Argon2Error, InvalidHashError):
            is_other = as_typed != _normalised(password) and self.needs_rehash(hashed)
            return is_other and foreign_hashes.matches(hashed, as_typed)


def _normalised(password: str) -> bytes:
    """One spelling of every accent (NIST SP 800-63B-4 section 3.1.1.2); nothing is cut off."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
