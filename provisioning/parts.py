"""What the steps of converge work with: one value, made when the platform is opened."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controlplane.directory import RegistryDirectory
from controlplane.registry.tenants import RegisteredTenant
from core.clock import Clock, now_ms
from core.crypto.keystock import KeyStock
from core.crypto.sealing import InstallationKey
from core.database import Database, DatabaseRef, Databases
from core.errors import InvalidInput
from core.settings import Settings
from provisioning.backends import Backend
from provisioning.backends.template import Templates
from provisioning.heart import Heart
from provisioning.places import Places
from sync.catalogue import DesiredCatalogues
from sync.fleet import Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    settings: Settings
    clock: Clock
    registry: Database
    databases: Databases
    key: InstallationKey
    keystock: KeyStock
    directory: RegistryDirectory
    backends: Mapping[str, Backend]
    place_of: Places
    templates: Templates
    desired: DesiredCatalogues
    fleet: Fleet
    owner: str  # this process, as holder of leases
    heart: Heart
    one: list[Database] = field(default_factory=list)

    def now(self) -> int:
        return now_ms(self.clock)

    def backend(self, name: str) -> Backend:
        found = self.backends.get(name)
        if found is None:
            raise InvalidInput(f"There is no database backend named '{name}'.")
        return found

    def node_of(self, backend: Backend) -> str | None:
        """Whose a new database of this backend is; with one node nobody asks."""
        return self.settings.node if backend.is_local and self.settings.registry_url is not None else None

    def ref(self, tenant: RegisteredTenant) -> DatabaseRef:
        return self.place_of(tenant)

    async def tenant_one(self) -> Database:
        """Asked of the directory once: every creation changes the directory, but not where tenant one is."""
        if not self.one or self.one[0].retired:
            self.one[:] = [(await self.directory.control_plane()).database]
        return self.one[0]
