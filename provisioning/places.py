"""From a row of the registry to something that can be opened: the pointer, with its credentials unsealed."""

from collections.abc import Mapping

from controlplane.registry.tenants import RegisteredTenant
from core.crypto.sealing import InstallationKey, SealBroken
from core.database import DatabaseRef
from core.errors import DatabaseElsewhere, DatabaseUnavailable
from provisioning.backends import Backend, Place


def seal_credentials(key: InstallationKey, tenant_id: str, place: Place) -> bytes | None:
    """As they stand in the registry: of one tenant's row they open in no other."""
    if place.credentials is None:
        return None
    return key.seal(_purpose(tenant_id), place.credentials)


class Places:
    def __init__(self, backends: Mapping[str, Backend], key: InstallationKey, node: str) -> None:
        """`node` is this machine: a file of another one's is not here."""
        self._backends = backends
        self._key = key
        self._node = node

    def __call__(self, tenant: RegisteredTenant) -> DatabaseRef:
        backend = self._backends.get(tenant.backend)
        if backend is None:
            reason = f"{tenant.id}: this process was given no database backend named {tenant.backend!r}"
            raise DatabaseElsewhere from LookupError(reason)
        if tenant.node is not None and tenant.node != self._node:
            reason = (
                f"{tenant.id}: its file is on the machine {tenant.node!r}, and this one is {self._node!r}"
            )
            raise DatabaseElsewhere from LookupError(reason)
        return backend.ref(
            self.place(tenant),
            owner=tenant.id,
            incarnation=tenant.incarnation,
            generation=tenant.generation,
        )

    def place(self, tenant: RegisteredTenant) -> Place:
        return self.unsealed(tenant.id, tenant.location, tenant.credentials)

    def unsealed(self, tenant_id: str, location: str, credentials: bytes | None) -> Place:
        if credentials is None:
            return Place(location)
        try:
            return Place(location, self._key.open(_purpose(tenant_id), credentials))
        except SealBroken as error:
            raise DatabaseUnavailable from error


def _purpose(tenant_id: str) -> str:
    return f"database credentials of {tenant_id}"
