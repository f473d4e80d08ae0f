"""Everything below the web of one process, opened once: registry, pool, directory, lifecycle, gate, worker."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from controlplane.directory import LabelResolver, RegistryDirectory
from controlplane.directory_copy import DirectoryCopy
from controlplane.registry.installation import InstallationRow
from controlplane.registry.spare_keys import put_spare_key, take_spare_key
from core.clock import Clock, SystemClock, now_ms
from core.crypto.keys import SigningKey
from core.crypto.keystock import ALGORITHM, KeyStock
from core.crypto.sealing import InstallationKey, SealBroken, load_installation_key
from core.database import Database, DatabaseRef, Databases
from core.database.remote.kinds import remote_kinds
from core.errors import Unavailable
from core.settings import Settings
from provisioning.backends import Backend, load_backends
from provisioning.backends.template import Templates
from provisioning.backups.orders import Backups
from provisioning.backups.schedule import BackupSchedule
from provisioning.directory_news import DirectoryNews
from provisioning.heart import Heart
from provisioning.lifecycle import Lifecycle
from provisioning.migrating.background import BackgroundMigration
from provisioning.migrating.lazy import SchemaGate
from provisioning.migrating.run import Migrations
from provisioning.moving.begin import Moves
from provisioning.parts import Parts
from provisioning.places import Places
from provisioning.presence import Presence
from provisioning.registry_opening import NotInitialised, directory_copy, open_registry
from provisioning.registry_place import registry_ref
from provisioning.worker import Worker
from sync.catalogue import DesiredCatalogues, SettingsTransform, Sharing
from sync.fleet import Fleet
from sync.gate import CatalogueGate

SPARE_KEY = "spare_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    settings: Settings
    clock: Clock
    installation: InstallationRow
    registry: Database
    databases: Databases
    key: InstallationKey
    keystock: KeyStock
    directory: RegistryDirectory
    lifecycle: Lifecycle
    backups: Backups
    backup_schedule: BackupSchedule
    moves: Moves
    gate: CatalogueGate
    schema_gate: SchemaGate
    worker: Worker
    migrations: Migrations
    migrating: BackgroundMigration
    parts: Parts
    presence: Presence
    news: DirectoryNews | None

    def start(self) -> None:
        """Begin the work in the background, in the process and event loop that serve."""
        self.keystock.start()
        self.worker.start()
        if self.news is not None:
            self.news.start()
        self.migrating.start()
        self.backup_schedule.start()

    async def close(self) -> None:
        """Nothing is lost that was answered; what was not finished is resumed by the next life."""
        await self.backup_schedule.close()
        await self.migrating.close()
        if self.news is not None:
            await asyncio.to_thread(self.news.close)
        await self.worker.close()
        await self.lifecycle.close()
        await self.directory.close()
        await asyncio.to_thread(self.keystock.close)
        self.parts.fleet.close()
        self.parts.templates.close()
        await self.databases.close()
        self.presence.close()


class SpareKeys:
    """Unclaimed keys between two lives of a process, sealed with the installation's key."""

    def __init__(self, databases: Databases, ref: DatabaseRef, key: InstallationKey, clock: Clock) -> None:
        self._databases = databases
        self._ref = ref
        self._key = key
        self._clock = clock

    def take(self) -> bytes | None:
        """None also when the registry is away or the key does not open: then one is made."""
        with suppress(Unavailable, SealBroken):
            with self._databases.exclusive(self._ref) as connection:
                found = take_spare_key(connection)
            return self._key.open(SPARE_KEY, found[1]) if found is not None else None
        return None

    def put(self, der: bytes) -> None:
        kid = SigningKey.from_der(None, ALGORITHM, der).kid
        with suppress(Unavailable), self._databases.exclusive(self._ref) as connection:
            put_spare_key(connection, kid, self._key.seal(SPARE_KEY, der), now_ms(self._clock))


async def open_platform(
    settings: Settings,
    clock: Clock | None = None,
    *,
    label_resolver: LabelResolver | None = None,
    settings_transform: SettingsTransform | None = None,
    backends: Mapping[str, Backend] | None = None,
) -> Platform:
    """Refused with a sentence when there is no installation, or the sealing key is absent or another."""
    clock = clock or SystemClock()
    ref = registry_ref(settings)
    if settings.registry_url is None and not ref.file.exists():
        raise NotInitialised(f"There is no installation in {settings.data_dir}: run `keystead init` first.")
    key = load_installation_key(settings, create=False)
    databases = open_databases(settings)
    copy = directory_copy(settings, key)
    try:
        opened = await open_registry(settings, databases, key, copy)
    except BaseException:
        await databases.close()
        raise
    presence = Presence(settings)
    parts = _parts(
        settings,
        clock,
        databases,
        ref,
        key,
        presence.owner,
        backends=load_backends(settings, backends),
        sharing=Sharing.of(settings, settings_transform),
        label_resolver=label_resolver,
        copy=copy,
    )
    worker, migrations = Worker(parts), Migrations(parts)
    try:
        if not opened.is_away:
            await parts.heart.beat()
            await migrations.migrate_tenant_one()
    except BaseException:
        presence.close()
        await databases.close()
        raise
    migrating, lifecycle = BackgroundMigration(migrations, settings), Lifecycle(parts, worker)
    return Platform(
        settings=settings,
        clock=clock,
        installation=opened.installation,
        registry=parts.registry,
        databases=databases,
        key=key,
        keystock=parts.keystock,
        directory=parts.directory,
        lifecycle=lifecycle,
        backups=Backups(parts, lifecycle.run),
        moves=Moves(parts, lifecycle.run),
        backup_schedule=BackupSchedule(parts),
        gate=CatalogueGate(
            parts.directory,
            parts.desired,
            clock,
            patience=settings.patience_seconds,
            on_wanted=lambda _: worker.wake(),
            on_applied=lambda tenant, applied: parts.fleet.note(tenant.id, applied),
        ),
        schema_gate=SchemaGate(parts, migrations, has_looked=lambda: migrating.has_looked),
        worker=worker,
        migrations=migrations,
        migrating=migrating,
        parts=parts,
        presence=presence,
        news=DirectoryNews(parts.registry) if settings.registry_url is not None else None,
    )


def open_databases(settings: Settings) -> Databases:
    return Databases(
        settings.data_dir,
        max_open=settings.max_open_tenants,
        idle_seconds=settings.idle_close_seconds,
        synchronous=settings.synchronous,
        write_deadline=settings.write_deadline_seconds,
        kinds=remote_kinds(settings.max_open_tenants),
    )


def _parts(
    settings: Settings,
    clock: Clock,
    databases: Databases,
    ref: DatabaseRef,
    key: InstallationKey,
    owner: str,
    *,
    backends: Mapping[str, Backend],
    sharing: Sharing,
    label_resolver: LabelResolver | None,
    copy: DirectoryCopy | None,
) -> Parts:
    registry = databases.open(ref)
    place_of = Places(backends, key, settings.node)
    directory = RegistryDirectory(registry, databases, key, settings, place_of, label_resolver, copy)
    databases.follow(directory.database_of)
    desired = DesiredCatalogues(sharing)
    return Parts(
        settings=settings,
        clock=clock,
        registry=registry,
        databases=databases,
        key=key,
        keystock=KeyStock(settings.spare_keys, SpareKeys(databases, ref, key, clock)),
        directory=directory,
        backends=backends,
        place_of=place_of,
        templates=Templates(),
        desired=desired,
        fleet=Fleet(registry, databases, directory, desired, place_of, clock, settings.node),
        owner=owner,
        heart=Heart(registry, settings, clock),
    )
