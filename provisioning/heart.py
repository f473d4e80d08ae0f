"""What this machine says to the others: that it lives."""

from importlib.metadata import version
from time import monotonic

from controlplane.registry.nodes import NodeRecord, heartbeat
from core.clock import Clock, now_ms
from core.database import Database
from core.settings import Settings
from provisioning.presence import folder_identity

HEARTBEAT_SECONDS = 5.0


class Heart:
    def __init__(self, registry: Database, settings: Settings, clock: Clock) -> None:
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self._beats_at = 0.0

    async def beat(self) -> None:
        """Now and then; nobody else looks into a registry that is a file."""
        if self._settings.registry_url is None or monotonic() < self._beats_at:
            return
        now = now_ms(self._clock)
        node = NodeRecord(
            name=self._settings.node,
            folder=folder_identity(self._settings),
            version=version("keystead"),
            joined_at=now,
            heartbeat_at=now,
        )
        await self._registry.write(heartbeat, node)
        self._beats_at = monotonic() + HEARTBEAT_SECONDS
