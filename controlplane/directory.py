"""Which tenant a host or an id is, read from the registry one entry at a time (`specs/tenancy.md` section 3).

Nothing is loaded in advance: start and memory are the same with ten tenants and ten thousand. What was looked up
is kept while the registry's `directory_version` holds, which every process reads from shared memory, so a
suspension by another process shows at the next request. After a change an entry is read again, and the same
`Tenant` is kept when its row did not change. With the registry away, what is known goes on and waits for nothing,
also what only this machine's copy knows (`directory_copy`); what is not known is `Unavailable`, never "no such
tenant".
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from controlplane.directory_copy import TENANT_ONE, DirectoryCopy, seen
from controlplane.registry.hosts import Resolved, custom_host, resolve
from controlplane.registry.installation import directory_version
from controlplane.registry.tenants import SERVING, RegisteredTenant, destroyed_tenants, valid_tenant_id
from core.crypto.sealing import InstallationKey, SealBroken
from core.database import Database, DatabaseRef, Databases
from core.errors import Unavailable, WrongDatabase
from core.settings import Settings
from core.tenants import Tenant, TenantState

_log = structlog.get_logger(__name__)
T = TypeVar("T")

PlaceOf = Callable[[RegisteredTenant], DatabaseRef]
"""The registry's pointer, as something that can be opened; `Unavailable` where this process cannot."""

LabelResolver = Callable[[str], Awaitable[str | None]]
"""An installation's own rule: label under the base domain to tenant id."""

Found = tuple[Resolved | None, str | None]
"""And the custom host that was matched."""

KNOWN = 4096
UNKNOWN = 4096
"""Entries kept in memory. Strangers' hosts have a place of their own, so they push no tenant out."""

AGAIN_SECONDS = 1.0
"""While the registry is away: between two looks for it, and between two looks into the copy for one tenant."""


@dataclass(slots=True)
class Entry:
    version: int
    resolved: Resolved | None
    tenant: Tenant | None
    copy_read_at: float = 0.0


class RegistryDirectory:
    def __init__(
        self,
        registry: Database,
        databases: Databases,
        key: InstallationKey,
        settings: Settings,
        place_of: PlaceOf,
        label_resolver: LabelResolver | None = None,
        copy: DirectoryCopy | None = None,
    ) -> None:
        self._registry = registry
        self._databases = databases
        self._key = key
        self._shared_key = key.shared_key()
        self._settings = settings
        self._place_of = place_of
        self._label_resolver = label_resolver
        self._copy = copy
        self._away: asyncio.Task[None] | None = None
        self._known: OrderedDict[str, Entry] = OrderedDict()
        self._unknown: OrderedDict[str, int] = OrderedDict()
        self._forgotten: frozenset[str] = frozenset()

    async def close(self) -> None:
        if self._away is not None:
            self._away.cancel()
            with suppress(asyncio.CancelledError):
                await self._away

    @property
    def is_away(self) -> bool:
        """Whether the registry is: then nothing new is known, and what is served is what was seen last."""
        return self._away is not None

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
        tenant = await self._look_up(TENANT_ONE, self._find_one, "")
        if tenant is None:
            raise Unavailable("The installation has no control plane yet.")
        return tenant

    async def forget_destroyed(self) -> None:
        """A key that was destroyed in the registry lies in no copy of it on this machine."""
        if self._copy is None:
            return
        destroyed = await self._registry.read(destroyed_tenants)
        if new := destroyed - self._forgotten:
            await asyncio.to_thread(self._copy.forget, new)
            self._forgotten = destroyed

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
            primary_issuer=f"{resolved.primary}/" if resolved.primary is not None else own,
            display_name=registered.display_name,
            organization_id=registered.organization_id,
            control_plane_issuers=self._control_plane_issuers(),
            is_control_plane=registered.is_control_plane,
            incarnation=registered.incarnation,
            labels=registered.label_set,
            limits=registered.limits,
            schema_version=registered.schema_version,
            database=self._databases.open(self._place_of(registered)),
            data_key=self._key.unwrap(registered.id, registered.wrapped_key),
            shared_key=self._shared_key,
        )

    def _own_issuer(self, registered: RegisteredTenant) -> str:
        if registered.is_control_plane:
            return self._settings.control_plane_issuer
        return self._settings.tenant_issuer(registered.id)

    def _control_plane_issuers(self) -> frozenset[str]:
        one = self._known.get(TENANT_ONE)
        origins = one.resolved.origins if one is not None and one.resolved is not None else ()
        return frozenset({self._settings.control_plane_issuer, *(f"{origin}/" for _, origin in origins)})

    async def _look_up(
        self, key: str, find: Callable[[str], Coroutine[Any, Any, Found]], argument: str
    ) -> Tenant | None:
        entry = self._known.get(key)
        if entry is None and self._away is not None:
            entry = await self._last_seen(key, None)
        try:
            version = await self._version(entry)
            if entry is not None and entry.version == version:
                self._known.move_to_end(key)
                return entry.tenant
            if self._unknown.get(key) == version:
                return None
            resolved, host = await self._asked(find(argument), entry)
        except Unavailable as error:
            return await self._without_registry(key, entry, error)
        await self._note(key, version, entry, resolved, host)
        try:
            return self._keep(key, version, entry, resolved, host)
        except WrongDatabase:  # the pointer has moved on since it was read, and somebody else has followed it
            resolved, host = await find(argument)
            return self._keep(key, version, entry, resolved, host)

    async def _version(self, entry: Entry | None) -> int:
        version = self._registry.kept(directory_version)
        if version is not None:
            return version
        if entry is not None and self._away is not None:
            raise Unavailable("The registry is away.")
        return await self._asked(self._registry.snapshot(directory_version), entry)

    async def _asked(self, question: Coroutine[Any, Any, T], entry: Entry | None) -> T:
        """Who is known does not wait for long; the answer is awaited all the same."""
        task = asyncio.ensure_future(question)
        task.add_done_callback(_seen_to)
        patience = self._settings.patience_seconds if entry is not None else None
        done, _ = await asyncio.wait({task}, timeout=patience)
        if not done:
            raise Unavailable("The registry does not answer.")
        return task.result()

    async def _without_registry(self, key: str, entry: Entry | None, error: Unavailable) -> Tenant | None:
        if self._away is None:
            self._away = asyncio.create_task(self._look_for_registry(), name="looking for the registry")
        entry = await self._last_seen(key, entry)
        if entry is None:
            raise error
        return entry.tenant

    async def _look_for_registry(self) -> None:
        """Requests of known tenants do not ask until somebody has had an answer."""
        _log.warning("registry_away")
        try:
            while True:
                await asyncio.sleep(AGAIN_SECONDS)  # first: what is in memory counts as an answer for so long
                if await self._answers():
                    _log.info("registry_back")
                    return
        finally:
            self._away = None

    async def _answers(self) -> bool:
        try:
            await self._registry.snapshot(directory_version)
        except Unavailable:
            return False
        return True

    async def _last_seen(self, key: str, entry: Entry | None) -> Entry | None:
        """By any process of this machine."""
        if self._copy is None or (entry is not None and monotonic() < entry.copy_read_at + AGAIN_SECONDS):
            return entry
        found = await asyncio.to_thread(self._copy.find, key)
        if found is not None and (entry is None or found.version > entry.version):
            self._keep(key, found.version, entry, found.resolved, found.host)
            entry = self._known.get(key)
        if entry is not None:
            entry.copy_read_at = monotonic()
        return entry

    async def _note(
        self, key: str, version: int, entry: Entry | None, resolved: Resolved | None, host: str | None
    ) -> None:
        """What is new, and again what keeps people out: no older view of another process may outlast it."""
        if self._copy is None:
            return
        is_open = resolved is not None and resolved.tenant.state == TenantState.ACTIVE
        if entry is None or entry.resolved != resolved or not is_open:
            await asyncio.to_thread(self._copy.put, key, seen(version, resolved, host))

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

    async def _find_one(self, _: str) -> Found:
        found = await self._registry.read(resolve, self._settings.control_plane_tenant)
        return (found if found is not None and found.tenant.is_control_plane else None), None

    async def _find_id(self, tenant_id: str) -> Found:
        return await self._registry.read(resolve, tenant_id), None

    async def _find_host(self, host: str) -> Found:
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


def _seen_to(task: asyncio.Task[Any]) -> None:
    """Whoever asked may have gone."""
    if not task.cancelled():
        task.exception()


def _bounded(entries: OrderedDict[str, T], key: str, value: T, size: int) -> None:
    entries[key] = value
    entries.move_to_end(key)
    while len(entries) > size:
        entries.popitem(last=False)
