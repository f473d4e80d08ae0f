"""A database that was made for a tenant whose creation was cancelled meanwhile.

Who cancelled it deleted what there was, and found nothing yet: its maker deletes it when it hears that it came late.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection

from controlplane.registry.tenants import RegisteredTenant, find_tenant
from core.database import DatabaseRef
from provisioning.parts import Parts


async def discard_unwanted(parts: Parts, tenant: RegisteredTenant, ref: DatabaseRef) -> None:
    """A file's name is given out again with the tenant's: no tenant of that name begins between look and deletion."""
    backend = parts.backend(tenant.backend)
    delete = partial(backend.delete, ref)
    if backend.is_local:
        await parts.registry.write(_delete_unwanted, tenant, delete)
    elif await parts.registry.read(_is_gone, tenant) or await parts.registry.read(_is_anothers, tenant):
        await asyncio.to_thread(delete)


def _delete_unwanted(connection: Connection, tenant: RegisteredTenant, delete: Callable[[], None]) -> None:
    if _is_gone(connection, tenant):
        delete()


def _is_gone(connection: Connection, tenant: RegisteredTenant) -> bool:
    """Another worker that made it whole has activated it."""
    found = find_tenant(connection, tenant.id)
    if found is None:
        return True
    is_its_own = found.incarnation == tenant.incarnation
    return is_its_own and found.activated_at is None and found.state in ("deleting", "deleted")


def _is_anothers(connection: Connection, tenant: RegisteredTenant) -> bool:
    found = find_tenant(connection, tenant.id)
    return found is not None and found.incarnation != tenant.incarnation
