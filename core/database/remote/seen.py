"""The latest version of a remote database's configuration that this process has heard of."""

import threading

from core.database.remote.breaker import Breaker

_UNKNOWN = -1


class Seen:
    """What is kept in memory holds as long as nothing later was heard of. Versions of one life only grow.

    The circuit breaker is here because this is what all who use one database in this process share.
    """

    __slots__ = ("__weakref__", "_doubts", "_lock", "_value", "_version", "breaker")

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self._lock = threading.Lock()
        self._doubts = 0
        self._version = _UNKNOWN
        self._value = _encoded(_UNKNOWN)

    @property
    def version(self) -> int:
        return self._version

    def value(self) -> bytes:
        return self._value

    def token(self, before: bytes, version: int) -> bytes:
        """Read at an older version than was heard of meanwhile, it is built again at its next use."""
        with self._lock:
            if version > self._version or (version == self._version and self._value == before):
                self._version, self._value = version, _encoded(version)
        return _encoded(version)

    def observe(self, version: int) -> None:
        """Any thread may: a transaction saw this version."""
        with self._lock:
            if version > self._version:
                self._version, self._value = version, _encoded(version)

    def doubt(self) -> None:
        """Any thread may: somebody says that there is a later version. The database is asked before the next use."""
        with self._lock:
            self._doubts += 1
            self._value = b"?%d" % self._doubts


def _encoded(version: int) -> bytes:
    return version.to_bytes(8, "big", signed=True)
