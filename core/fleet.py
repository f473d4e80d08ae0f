"""What the platform API and the command line may ask of the whole fleet. Implemented by `provisioning/`."""

from collections.abc import Mapping
from typing import Any, Protocol


class FleetMigrations(Protocol):
    """Bringing all tenants to this release's schema. Answers are read from the registry afterwards."""

    @property
    def target(self) -> str:
        """The schema version of this release."""

    async def start(self, *, actor: str | None = None) -> str | None:
        """Begin a run, or find the one that is unfinished: its id. None when nobody is behind."""

    async def planned(self) -> Mapping[str, Any]:
        """What a run would do: how many tenants are behind, and the waves."""

    async def resume(self, run_id: str, *, retry: bool) -> None:
        """Go on with a run that stopped; `retry` tries again what failed, otherwise that is left as it is."""

    async def stop(self, run_id: str, reason: str) -> None: ...

    async def hold(self, tenant_id: str, reason: str) -> None: ...

    async def release(self, tenant_id: str) -> None: ...

    async def roll_back(self, tenant_id: str) -> str:
        """Put the tenant's snapshot back and hold it there; answers the operation's id."""


class TenantMoves(Protocol):
    """A tenant's database goes to another place while the tenant serves."""

    async def move(
        self, tenant_id: str, backend: str, region: str | None = None, *, actor: str | None = None
    ) -> str:
        """Answers the operation's id, when it has ended or the time limit of a request has passed. `InvalidInput` for
        a place that does not exist, `Conflict` while something else is done to the whole database."""
