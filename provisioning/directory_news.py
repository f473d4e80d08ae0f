"""A change of the directory by another node is heard of at once; without this, it is found within a second."""

from controlplane.models import DIRECTORY_CHANNEL
from core.database import Database
from core.database.remote.seen import Seen


class DirectoryNews:
    """Only for a registry that nodes share."""

    def __init__(self, registry: Database) -> None:
        from core.database.remote.listening import Listener  # its driver is an extra

        bucket = registry.bucket
        assert isinstance(bucket, Seen)
        self._seen = bucket
        self._listener = Listener(registry.ref.server, DIRECTORY_CHANNEL, self._heard, self._connected)

    def start(self) -> None:
        self._listener.start()

    def close(self) -> None:
        self._listener.close()

    def _heard(self, _: str) -> None:
        """Whoever may connect may say anything: it is a reason to look, and nothing more."""
        self._seen.doubt()

    def _connected(self) -> None:
        """It answers again: nobody needs to wait for the circuit breaker's next try."""
        self._seen.breaker.succeeded()
