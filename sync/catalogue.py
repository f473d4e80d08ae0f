"""What tenant one offers, and what of it one tenant should hold."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from core.catalog import (
    Catalogue,
    CatalogueConnection,
    CataloguePermission,
    CatalogueResourceServer,
    CatalogueRole,
    CatalogueScope,
)
from core.settings import Settings
from tenant_runtime.connections.strategies import FEDERATED
from tenant_runtime.models import TenantBase

_TABLES = TenantBase.metadata.tables
_SERVERS, _SCOPES = _TABLES["resource_servers"], _TABLES["scopes"]
_ROLES, _PERMISSIONS = _TABLES["roles"], _TABLES["role_permissions"]
_SETTINGS, _TENANT, _CONNECTIONS = _TABLES["settings"], _TABLES["tenant"], _TABLES["connections"]

SERVER_ATTRIBUTES = (
    "signing_alg",
    "token_lifetime",
    "token_lifetime_for_web",
    "allow_offline_access",
    "enforce_policies",
    "token_dialect",
    "skip_consent_for_verifiable_first_party_clients",
    "metadata",
    "attributes",
)
"""Columns of a resource server that are shared as they stand."""

CONNECTION_ATTRIBUTES = (
    "strategy",
    "display_name",
    "options",
    "secrets",
    "metadata",
    "is_domain_connection",
)
"""Columns of a connection that are shared as they stand. Which clients use it is each tenant's to say."""

NEVER_INHERITED = frozenset({"id", "display_name", "friendly_name", "picture_url", "hosts", "sender"})

SettingsTransform = Callable[[Mapping[str, Any], "Follower"], Mapping[str, Any]]
"""An installation's own change of inherited settings: (values, tenant) to values."""


@dataclass(frozen=True, slots=True)
class Follower:
    """What of a tenant decides which catalogue it gets."""

    id: str
    display_name: str
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """The installation's rules."""

    resource_servers: bool = True
    roles: bool = True
    connections: bool = True
    inherited_keys: frozenset[str] = frozenset()
    excluded_keys: frozenset[str] = frozenset()
    templates: Mapping[str, str] = field(default_factory=dict)
    transform: SettingsTransform | None = None

    @classmethod
    def of(cls, settings: Settings, transform: SettingsTransform | None = None) -> "Sharing":
        return cls(
            resource_servers=settings.sync_resource_servers,
            roles=settings.sync_roles,
            connections=settings.sync_connections,
            inherited_keys=settings.inherited_keys - settings.excluded_keys - NEVER_INHERITED,
            excluded_keys=settings.excluded_keys,
            templates={
                key: template
                for key, template in settings.settings_templates.items()
                if key not in settings.excluded_keys | NEVER_INHERITED
            },
            transform=transform,
        )

    def settings_for(self, offered: Mapping[str, Any], follower: Follower) -> dict[str, Any]:
        values = {key: value for key, value in offered.items() if self._is_inherited(key)}
        fields = {"id": follower.id, "display_name": follower.display_name}
        values |= {key: template.format(**fields) for key, template in self.templates.items()}
        if self.transform is not None:
            changed = self.transform(values, follower)
            values = {key: value for key, value in changed.items() if key not in NEVER_INHERITED}
        return values

    def _is_inherited(self, key: str) -> bool:
        """A document's key goes by what stands before its first colon; all of a kind or one may be left out."""
        return key.partition(":")[0] in self.inherited_keys and key not in self.excluded_keys

    def fingerprint(self) -> str:
        """Changes when a restart brought other rules; of a transform only the name is known."""
        named = getattr(self.transform, "__qualname__", repr(type(self.transform)))
        rules = (
            self.resource_servers,
            self.roles,
            self.connections,
            sorted(self.inherited_keys),
            sorted(self.excluded_keys),
            sorted(self.templates.items()),
            named,
        )
        return hashlib.sha256(msgspec.json.encode(rules)).hexdigest()

    @property
    def is_same_for_all(self) -> bool:
        return not self.templates and self.transform is None


@dataclass(frozen=True, slots=True)
class Desired:
    """The catalogue of one tenant with its digest, computed once for all tenants that get the same."""

    catalogue: Catalogue
    digest: str

    @property
    def wanted(self) -> tuple[str, int]:
        return self.catalogue.incarnation, self.catalogue.version


def load_wanted(connection: Connection) -> tuple[str, int]:
    """Tenant one's incarnation and version: two values that order catalogues."""
    row = connection.execute(select(_TENANT.c.incarnation, _TENANT.c.config_version)).one()
    return row[0], row[1]


def load_catalogue(connection: Connection) -> Catalogue:
    """Everything tenant one offers to anybody. Its settings are all those it set itself; `Sharing` chooses."""
    incarnation, version = load_wanted(connection)
    return Catalogue(
        incarnation=incarnation,
        version=version,
        resource_servers=tuple(_offered_servers(connection)),
        roles=tuple(_offered_roles(connection)),
        settings={
            row.key: row.value
            for row in connection.execute(select(_SETTINGS).where(_SETTINGS.c.source == "tenant"))
        },
        connections=tuple(_offered_connections(connection)),
    )


def _offered_servers(connection: Connection) -> Iterable[CatalogueResourceServer]:
    scopes: dict[str, list[CatalogueScope]] = {}
    for row in connection.execute(select(_SCOPES).order_by(_SCOPES.c.position, _SCOPES.c.value)):
        scopes.setdefault(row.resource_server_id, []).append(CatalogueScope(row.value, row.description))
    shared = select(_SERVERS).where(_SERVERS.c.is_management.is_(False)).order_by(_SERVERS.c.id)
    for server in connection.execute(shared).mappings():
        if stays(server["metadata"]):
            continue
        yield CatalogueResourceServer(
            id=server["id"],
            identifier=server["identifier"],
            name=server["name"],
            scopes=tuple(scopes.get(server["id"], ())),
            attributes={name: server[name] for name in SERVER_ATTRIBUTES},
            labels=frozenset(server["labels"]),
        )


def _offered_roles(connection: Connection) -> Iterable[CatalogueRole]:
    permissions = _offered_permissions(connection)
    for row in connection.execute(select(_ROLES).order_by(_ROLES.c.id)).mappings():
        if stays(row["metadata"]):
            continue
        yield CatalogueRole(
            id=row["id"],
            name=row["name"],
            description=row["description"],
            metadata=row["metadata"],
            permissions=tuple(sorted(permissions.get(row["id"], ()), key=permission_order)),
            labels=frozenset(row["labels"]),
        )


def _offered_permissions(connection: Connection) -> dict[str, list[CataloguePermission]]:
    """Those on the Management API lose its id, because each tenant has its own; platform scopes never travel."""
    statement = (
        select(_PERMISSIONS, _SERVERS.c.is_management, _SCOPES.c.is_platform)
        .join(_SERVERS, _SERVERS.c.id == _PERMISSIONS.c.resource_server_id)
        .join(
            _SCOPES,
            (_SCOPES.c.resource_server_id == _PERMISSIONS.c.resource_server_id)
            & (_SCOPES.c.value == _PERMISSIONS.c.permission),
        )
        .where(_SCOPES.c.is_platform.is_(False))
    )
    found: dict[str, list[CataloguePermission]] = {}
    for row in connection.execute(statement):
        server = None if row.is_management else row.resource_server_id
        found.setdefault(row.role_id, []).append(CataloguePermission(server, row.permission))
    return found


def _offered_connections(connection: Connection) -> Iterable[CatalogueConnection]:
    """Those to identity providers: people and their codes are each tenant's own."""
    shared = select(_CONNECTIONS).where(_CONNECTIONS.c.strategy.in_(FEDERATED)).order_by(_CONNECTIONS.c.id)
    for row in connection.execute(shared).mappings():
        if stays(row["metadata"]):
            continue
        yield CatalogueConnection(
            id=row["id"],
            name=row["name"],
            attributes={name: row[name] for name in CONNECTION_ATTRIBUTES},
            labels=labels_in(row["metadata"]),
        )


def permission_order(permission: CataloguePermission) -> tuple[str, str]:
    return permission.resource_server_id or "", permission.value


def stays(metadata: Mapping[str, Any]) -> bool:
    """`metadata.sync: false` keeps an entity on tenant one (Auth0's metadata values are texts)."""
    return metadata.get("sync", True) in (False, "false")


def labels_in(metadata: Mapping[str, Any]) -> frozenset[str]:
    """`metadata.labels`, separated by commas: a connection of Auth0's has no other place for them."""
    return frozenset(label.strip() for label in str(metadata.get("labels", "")).split(",") if label.strip())


class DesiredCatalogues:
    """Narrows what is offered. Tenants that differ in nothing that matters share one value and one digest."""

    def __init__(self, sharing: Sharing) -> None:
        self.sharing = sharing
        self._offered: Catalogue | None = None
        self._labels: frozenset[str] = frozenset()
        self._known: dict[frozenset[str], Desired] = {}

    def for_tenant(self, offered: Catalogue, follower: Follower) -> Desired:
        if offered is not self._offered:
            self._offered, self._known = offered, {}
            self._labels = _labels_used(offered)
        labels = follower.labels & self._labels
        common = self._known.get(labels)
        if common is None:
            common = self._known[labels] = self._narrowed(offered, labels, follower)
        if self.sharing.is_same_for_all:
            return common
        own = self.sharing.settings_for(offered.settings, follower)
        return _desired(msgspec.structs.replace(common.catalogue, settings=own))

    def _narrowed(self, offered: Catalogue, labels: frozenset[str], follower: Follower) -> Desired:
        servers, roles = offered.resource_servers or (), offered.roles or ()
        connections = offered.connections or ()
        return _desired(
            Catalogue(
                incarnation=offered.incarnation,
                version=offered.version,
                resource_servers=tuple(item for item in servers if _goes_to(item.labels, labels))
                if self.sharing.resource_servers
                else None,
                roles=tuple(item for item in roles if _goes_to(item.labels, labels))
                if self.sharing.roles
                else None,
                settings=self.sharing.settings_for(offered.settings, follower),
                connections=tuple(item for item in connections if _goes_to(item.labels, labels))
                if self.sharing.connections
                else None,
            )
        )


def _desired(catalogue: Catalogue) -> Desired:
    return Desired(catalogue, catalogue.digest())


def _goes_to(labels: frozenset[str], of_tenant: frozenset[str]) -> bool:
    return not labels or not labels.isdisjoint(of_tenant)


def _labels_used(offered: Catalogue) -> frozenset[str]:
    used = [server.labels for server in offered.resource_servers or ()]
    used += [role.labels for role in offered.roles or ()]
    used += [connection.labels for connection in offered.connections or ()]
    return frozenset[str]().union(*used)
