"""One tenant's migration, and the look at it afterwards. Everything here blocks: for threads.

A snapshot is taken first. Then one transaction runs the revisions with foreign keys off (`migrations.upgrade` refuses
otherwise), checks every reference and reads the whole configuration as a request would, and only then commits: what
fails is as if it had not begun.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, update

import migrations
from controlplane.registry.schema_states import LONGEST_BACK_OFF_MS, Claim, Result
from controlplane.registry.tenants import RegisteredTenant
from core.crypto.sealing import DataKey
from core.errors import (
    Conflict,
    DatabaseCorrupt,
    DatabaseMissing,
    OutcomeUnknown,
    Unavailable,
    WrongDatabase,
)
from core.failpoints import failpoint
from provisioning.migrating import snapshots
from provisioning.migrating.schema import bring_up, version_of
from provisioning.parts import Parts
from sync.fleet import describe
from tenant_runtime.configuration import load_configuration
from tenant_runtime.models import TenantRow

ATTEMPTS = 6
"""How often a database that is locked or away is asked before it counts as failed."""

FIRST_BACK_OFF_MS = 500
_TENANT = TenantRow.__table__
_NEVER_BETTER = (DatabaseCorrupt, DatabaseMissing, WrongDatabase)


@dataclass(frozen=True, slots=True)
class Done:
    """What is to be recorded, and whether the tenant is to be put back as it was before."""

    result: Result
    error: BaseException | None = None
    put_back: RegisteredTenant | None = None


def migrate(parts: Parts, claim: Claim, *, then: str = "migrated") -> Done:
    """`then` is the state in which a tenant is left that was migrated."""
    tenant, wanted = claim.tenant, migrations.head("tenant")
    values: dict[str, Any] = {"state": then, "attempts": 0, "error": None}
    try:
        data_key, version = _key_of(parts, tenant), version_of(parts, parts.ref(tenant))
        if version < wanted:
            values |= _snapshot(parts, tenant, data_key, version)
            failpoint("migrate.snapshot.after")
            bring_up(parts, parts.ref(tenant), lambda connection: _settle(connection, data_key))
            failpoint("migrate.commit.after")
        migrations.refuse_unknown(version, wanted)
    except Exception as error:  # noqa: BLE001  (one bad tenant does not stop the others)
        return _failed(parts, claim, error)
    reached = max(version, wanted)  # further, when a newer release was here
    return Done(Result(tenant_id=tenant.id, fencing=claim.fencing, values=values, schema_version=reached))


def _settle(connection: Connection, data_key: DataKey) -> None:
    """Who keeps the configuration in memory reads it anew. (Not of tenant one: everybody would follow it.)"""
    connection.execute(update(_TENANT).values(config_version=_TENANT.c.config_version + 1))
    load_configuration(connection, data_key)


def look(parts: Parts, claim: Claim) -> Done:
    """As anybody would find it who opens it now. What does not stand this is put back."""
    tenant = claim.tenant
    try:
        with parts.databases.read_only(parts.ref(tenant)) as connection:
            _examine(connection, _key_of(parts, tenant))
        failpoint("migrate.look")
    except Exception as error:  # noqa: BLE001  (the same)
        done = _failed(parts, claim, error)
        is_over = done.result.values["state"] == "failed"
        return Done(
            done.result, error, tenant if is_over and not isinstance(error, DatabaseMissing) else None
        )
    values = {"state": "done", "attempts": 0, "error": None}
    return Done(Result(tenant_id=tenant.id, fencing=claim.fencing, values=values))


def _examine(connection: Connection, data_key: DataKey) -> None:
    version = migrations.current(connection) or ""
    if version < migrations.head("tenant"):
        raise Conflict(f"The database is at version {version}.", code="migration_failed")
    if connection.dialect.name == "sqlite":
        if connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one() != "ok":
            raise DatabaseCorrupt
        if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
            raise Conflict("There is a reference to nothing.", code="migration_failed")
    load_configuration(connection, data_key)


def _snapshot(parts: Parts, tenant: RegisteredTenant, data_key: DataKey, version: str) -> dict[str, Any]:
    return {
        "snapshot": snapshots.take(parts, tenant, data_key, version),
        "snapshot_version": version,
        "snapshot_node": parts.settings.node,
        "snapshot_at": parts.now(),
    }


def _key_of(parts: Parts, tenant: RegisteredTenant) -> DataKey:
    if tenant.wrapped_key is None:
        raise Conflict("The tenant's data key is destroyed.", code="tenant_deleted")
    return parts.key.unwrap(tenant.id, tenant.wrapped_key)


def _failed(parts: Parts, claim: Claim, error: Exception) -> Done:
    """What may be better in a moment is tried again; an outcome that is not known is found out by trying again."""
    again = isinstance(error, Unavailable) and not isinstance(error, _NEVER_BETTER)
    again = (again and claim.attempts < ATTEMPTS) or isinstance(error, OutcomeUnknown)
    wait = min(LONGEST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** min(claim.attempts, 20))
    values = {
        "state": claim.state if again else "failed",
        "error": describe(error),
        "next_attempt_at": parts.now() + wait,
    }
    return Done(Result(tenant_id=claim.tenant.id, fencing=claim.fencing, values=values), error)
