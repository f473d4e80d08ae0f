"""Which tenant a host or an id is, read from the registry one entry at a time (`specs/tenancy.md` section 3).

Nothing is loaded in advance: start and memory are the same with ten tenants and ten thousand. What was looked up
is kept while the registry's `directory_version` holds, which every process reads from shared memory, so a
suspension by another process shows at the next request. After a change an entry is read again, and the same
`Tenant` is kept when its row did not change. With the registry away, what is known goes on; what is not known is
`Unavailable`, never "no such tenant".
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from controlplane.registry.hosts import Resolved, custom_host, resolve
from controlplane.registry.installation import directory_version
from controlplane.registry.tenants import SERVING, RegisteredTenant, valid_tenant_id
from core.crypto.sealing import InstallationKey, SealBroken
from core.database import Database, DatabaseRef, Databases
from core.errors import Unavailable, WrongDatabase
from core.settings import Settings
from core.tenants import Tenant, TenantState

T = TypeVar("T")

PlaceOf = Callable[[RegisteredTenant], DatabaseRef]
"""The registry's pointer, as something that can be opened; `Unavailable` where this process cannot."""

LabelResolver = Callable[[str], Awaitable[str | None]]
"""An installation's own rule: label under the base domain to tenant id."""

KNOWN = 4096
UNKNOWN = 4096
"""Entries kept in memory. Strangers' hosts have a place of their own, so they push no tenant out."""


@dataclass(slots=True)
class Entry:
    version: int
    resolved: Resolved | None
    tenant: Tenant | None


class RegistryDirectory:
    def __init__(
        self,
        registry: Database,
        databases: Databases,
        key: InstallationKey,
        settings: Settings,
        place_of: PlaceOf,
        label_resolver: LabelResolver | None = None,
    ) -> None:
        self._registry = registry
        self._databases = databases
        self._key = key
        self._settings = settings
        self._place_of = place_of
        self._label_resolver = label_resolver
        self._known: OrderedDict[str, Entry] = OrderedDict()
        self._unknown: OrderedDict[str, int] = OrderedDict()

    async def by_host(self, host: str) -> Tenant | None:
        """`host` as `core.http.hosts.canonical_host` gives it."""
        if host == self._settings.control_plane_host:
            return await self.control_plane()
        return await self._look_up(f"host:{host}", self._find_host, host)

    async def by_id(self, tenant_id: str) -> Tenant | None:
        if tenant_id == self._settings.control_plane_tenant:
            return await self.control_plane()
        if not valid_tenant_id(tenant_id):
            return None
        return await self._look_up(f"id:{tenant_id}", self._find_id, tenant_id)

    async def database_of(self, tenant_id: str) -> Database | None:
        """Where its units run now: what a handle asks whose database takes no more of them."""
        tenant = await self.by_id(tenant_id)
        return tenant.database if tenant is not None else None

    async def control_plane(self) -> Tenant:
        tenant = await self._look_up("one", self._find_one, "")
        if tenant is None:
            raise Unavailable("The installation has no control plane yet.")
        return tenant

    def tenant_of(self, resolved: Resolved, host: str | None = None) -> Tenant | None:
        """A registered tenant as requests see it, in whatever state it is; None once its data key is destroyed."""
        registered = resolved.tenant
        if registered.wrapped_key is None:
            return None
        own = self._own_issuer(registered)
        origins = dict(resolved.origins)
        matched = f"{origins[host]}/" if host is not None and host in origins else own
        return Tenant(
            id=registered.id,
            state=TenantState(registered.state),
            issuer=matched,
            issuers=frozenset({own, *(f"{origin}/" for origin in origins.values())}),
            display_name=registered.display_name,
            organization_id=registered.organization_id,
            control_plane_issuers=self._control_plane_issuers(),
            is_control_plane=registered.is_control_plane,
            incarnation=registered.incarnation,
            labels=registered.label_set,
            database=self._databases.open(self._place_of(registered)),
            data_key=self._key.unwrap(registered.id, registered.wrapped_key),
        )

    def _own_issuer(self, registered: RegisteredTenant) -> str:
        if registered.is_control_plane:
            return self._settings.control_plane_issuer
        return self._settings.tenant_issuer(registered.id)

    def _control_plane_issuers(self) -> frozenset[str]:
        one = self._known.get("one")
        origins = one.resolved.origins if one is not None and one.resolved is not None else ()
        return frozenset({self._settings.control_plane_issuer, *(f"{origin}/" for _, origin in origins)})

    async def _look_up(
        self, key: str, find: Callable[[str], Awaitable[tuple[Resolved | None, str | None]]], argument: str
    ) -> Tenant | None:
        entry = self._known.get(key)
        try:
            version = await self._registry.snapshot(directory_version)
            if entry is not None and entry.version == version:
                self._known.move_to_end(key)
                return entry.tenant
            if self._unknown.get(key) == version:
                return None
            resolved, host = await find(argument)
        except Unavailable:
            if entry is None:
                raise
            return entry.tenant
        try:
            return self._keep(key, version, entry, resolved, host)
        except WrongDatabase:  # the pointer has moved on since it was read, and somebody else has followed it
            resolved, host = await find(argument)
            return self._keep(key, version, entry, resolved, host)

    def _keep(
        self, key: str, version: int, entry: Entry | None, resolved: Resolved | None, host: str | None
    ) -> Tenant | None:
        if resolved is None:
            self._known.pop(key, None)
            _bounded(self._unknown, key, version, UNKNOWN)
            return None
        if entry is not None and entry.resolved == resolved:
            entry.version = version
            return entry.tenant
        tenant = self._serving(resolved, host)
        _bounded(self._known, key, Entry(version, resolved, tenant), KNOWN)
        return tenant

    def _serving(self, resolved: Resolved, host: str | None) -> Tenant | None:
        if resolved.tenant.state not in SERVING:
            return None
        try:
            return self.tenant_of(resolved, host)
        except SealBroken as error:
            raise Unavailable("This tenant's keys cannot be read.") from error

    async def _find_one(self, _: str) -> tuple[Resolved | None, str | None]:
        found = await self._registry.read(resolve, self._settings.control_plane_tenant)
        return (found if found is not None and found.tenant.is_control_plane else None), None

    async def _find_id(self, tenant_id: str) -> tuple[Resolved | None, str | None]:
        return await self._registry.read(resolve, tenant_id), None

    async def _find_host(self, host: str) -> tuple[Resolved | None, str | None]:
        custom = await self._registry.read(custom_host, host)
        if custom is not None:
            return custom, host
        tenant_id = await self._tenant_of_label(host)
        if tenant_id is None:
            return None, None
        return await self._registry.read(_child, tenant_id), None

    async def _tenant_of_label(self, host: str) -> str | None:
        label, _, rest = host.partition(".")
        if rest != self._settings.base_domain or self._settings.is_reserved(label):
            return None
        if self._label_resolver is not None:
            return await self._label_resolver(label)
        return label if valid_tenant_id(label) else None


def _child(connection: Connection, tenant_id: str) -> Resolved | None:
    """Tenant one has its own host and no other."""
    found = resolve(connection, tenant_id)
    return found if found is not None and not found.tenant.is_control_plane else None


def _bounded(entries: OrderedDict[str, T], key: str, value: T, size: int) -> None:
    entries[key] = value
    entries.move_to_end(key)
    while len(entries) > size:
        entries.popitem(last=False)
