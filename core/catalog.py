"""The catalogue: what the control plane shares with every tenant, as plain values.

This is the contract between the planes. `sync/` reads it from tenant one, filters it for a tenant and applies it
there. Values are frozen and have one canonical form, so that equal catalogues have equal digests
(`DESIGN.md` section 3).
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

_CANONICAL = msgspec.json.Encoder(order="sorted")


class CatalogueScope(msgspec.Struct, frozen=True, order=True):
    value: str
    description: str | None = None


class CatalogueResourceServer(msgspec.Struct, frozen=True, kw_only=True):
    """A resource server as it is shared. `id` is the same in every tenant."""

    id: str
    identifier: str
    name: str
    scopes: tuple[CatalogueScope, ...]
    attributes: Mapping[str, Any]  # every other column that is shared, by column name
    labels: frozenset[str] = frozenset()


class CataloguePermission(msgspec.Struct, frozen=True, order=True):
    """A permission of a role; `resource_server_id` None means the tenant's own Management API."""

    resource_server_id: str | None
    value: str


class CatalogueRole(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    description: str | None
    metadata: Mapping[str, Any]
    permissions: tuple[CataloguePermission, ...]
    labels: frozenset[str] = frozenset()


class CatalogueConnection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as it is shared; its secrets are sealed for whoever runs the tenants, and the same everywhere."""

    id: str
    name: str
    attributes: Mapping[str, Any]  # every other column that is shared, by column name
    labels: frozenset[str] = frozenset()


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """What one tenant should hold, or (before filtering) what tenant one offers.

    A kind that is None is not shared (its sync toggle is off): the tenant keeps what it has as its own.
    `incarnation` and `version` are tenant one's and order catalogues; they are not part of the digest.
    """

    incarnation: str
    version: int
    resource_servers: tuple[CatalogueResourceServer, ...] | None
    roles: tuple[CatalogueRole, ...] | None
    settings: Mapping[str, Any]
    connections: tuple[CatalogueConnection, ...] | None = ()

    def digest(self) -> str:
        """Without shared connections it is what it was before there were any: nobody has to look."""
        body: tuple[Any, ...] = (self.resource_servers, self.roles, self.settings)
        if self.connections != ():
            body = (*body, self.connections)
        return hashlib.sha256(_CANONICAL.encode(body)).hexdigest()


class CatalogueConflict(msgspec.Struct, frozen=True, kw_only=True):
    """A catalogue entity held back from one tenant, because the tenant has its own of that name or identifier."""

    kind: str
    id: str
    field: str
    value: str
    own_id: str
