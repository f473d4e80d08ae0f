"""The schema of the registry (history: `migrations/controlplane`). Times are integer milliseconds, UTC.

A write to a tenant, a host or the installation raises `installation.directory_version` by trigger, in the same
transaction: what every process compares to know whether its copy of the directory still holds.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, MetaData, false
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.database.triggers import Following, Telling, Trigger

Millis = Annotated[int, mapped_column(BigInteger)]


class RegistryBase(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Installation(RegistryBase):
    """The one row of the installation. `key_check` tells whether the sealing key at hand is the right one.

    `wanted_*` is a hint: the last catalogue version of tenant one that a worker saw. The truth is in tenant one.
    """

    __tablename__ = "installation"

    id: Mapped[str] = mapped_column(primary_key=True)
    incarnation: Mapped[str]
    directory_version: Mapped[int] = mapped_column(BigInteger, default=1)
    kind: Mapped[str] = mapped_column(default="standard")  # standard, demo
    control_plane_tenant: Mapped[str]
    key_check: Mapped[str]
    wanted_incarnation: Mapped[str | None]
    wanted_version: Mapped[int | None] = mapped_column(BigInteger)
    sharing: Mapped[str | None]  # fingerprint of the rules by which tenants were last evaluated
    moved_at: Mapped[int | None] = mapped_column(BigInteger)  # to another registry: nobody starts on this one
    created_at: Mapped[Millis]


class TenantRecord(RegistryBase):
    """A tenant. Everything that identifies it is chosen here before anything of it exists.

    `location` and `generation` are the pointer to its database, `credentials` what opens it, sealed; `node` is the
    machine whose file it is, null for one that every node reaches. `wrapped_key` is its data key, null once destroyed.
    A deleted tenant stays as a tombstone: its id is never used again once `activated_at` was set.
    """

    __tablename__ = "tenants"
    __table_args__ = (
        Index("ix_tenants_created", "created_at", "id"),
        Index("ix_tenants_state", "state", "created_at", "id"),
        Index("ix_tenants_organization_id", "organization_id", unique=True),
        Index("ix_tenants_creator_user_id", "creator_user_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    display_name: Mapped[str]
    state: Mapped[str]
    is_control_plane: Mapped[bool] = mapped_column(default=False)
    backend: Mapped[str]
    region: Mapped[str | None]
    labels: Mapped[list[Any]] = mapped_column(JSON, default=list)
    limits: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    organization_id: Mapped[str | None]
    creator_user_id: Mapped[str | None]
    incarnation: Mapped[str]
    generation: Mapped[int] = mapped_column(default=1)
    location: Mapped[str]
    credentials: Mapped[bytes | None] = mapped_column(LargeBinary)
    node: Mapped[str | None]
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    schema_version: Mapped[str | None]
    error: Mapped[str | None]
    state_before_delete: Mapped[str | None]
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]
    activated_at: Mapped[int | None] = mapped_column(BigInteger)
    suspended_at: Mapped[int | None] = mapped_column(BigInteger)
    deleted_at: Mapped[int | None] = mapped_column(BigInteger)
    purge_after: Mapped[int | None] = mapped_column(BigInteger)


class Host(RegistryBase):
    """A host of a tenant beside `<id>.<base domain>`, which needs no row (custom domains). Mails name a primary one."""

    __tablename__ = "hosts"

    host: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    origin: Mapped[str]
    is_primary: Mapped[bool] = mapped_column(default=False, server_default=false())
    verified_at: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Millis]


class CustomDomain(RegistryBase):
    """A tenant's word that a domain is its own; several tenants may say so. Whoever proves it has the row in `hosts`.

    `token` is what the proof shows. One that was proven once stays when it is released: its proof may still stand out
    there, and until it does not, nobody else has the domain.
    """

    __tablename__ = "custom_domains"
    __table_args__ = (
        Index("ix_custom_domains_tenant", "tenant_id", "host", unique=True),
        Index("ix_custom_domains_host", "host"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    host: Mapped[str]
    type: Mapped[str]  # auth0_managed_certs, self_managed_certs
    method: Mapped[str]  # txt, http
    token: Mapped[str]
    tls_policy: Mapped[str]
    domain_metadata: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    problem: Mapped[str | None]  # why the last look found no proof
    created_at: Mapped[Millis]
    proven_at: Mapped[int | None] = mapped_column(BigInteger)
    checked_at: Mapped[int | None] = mapped_column(BigInteger)
    released_at: Mapped[int | None] = mapped_column(BigInteger)


class Operation(RegistryBase):
    """One recorded run of something long. `steps`: [{name, state, started_at, ended_at, error}].

    A worker claims it by lease: `fencing` grows with every claim, and a write of an older claim is refused.
    """

    __tablename__ = "operations"
    __table_args__ = (
        Index("ix_operations_tenant_id", "tenant_id", "created_at"),
        Index("ix_operations_due", "state", "next_attempt_at"),
        Index("ix_operations_created", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    kind: Mapped[str]  # create, delete, restore, converge, move, restore_backup
    state: Mapped[str]  # pending, running, succeeded, failed, cancelled
    actor: Mapped[str | None]
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    steps: Mapped[list[Any]] = mapped_column(JSON, default=list)
    creator_added: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None]
    lease_owner: Mapped[str | None]
    lease_expires_at: Mapped[int] = mapped_column(BigInteger, default=0)
    fencing: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]
    ended_at: Mapped[int | None] = mapped_column(BigInteger)


class SyncState(RegistryBase):
    """The ledger: how far one tenant has been seen to follow the catalogue, and what stands in the way."""

    __tablename__ = "sync_states"
    __table_args__ = (
        Index("ix_sync_states_applied", "applied_incarnation", "applied_version"),
        Index("ix_sync_states_next_attempt_at", "next_attempt_at"),
    )

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    applied_incarnation: Mapped[str | None]
    applied_version: Mapped[int | None] = mapped_column(BigInteger)
    applied_digest: Mapped[str | None]
    applied_at: Mapped[int | None] = mapped_column(BigInteger)
    last_attempt_at: Mapped[int | None] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None]
    next_attempt_at: Mapped[int] = mapped_column(BigInteger, default=0)
    conflicts: Mapped[list[Any]] = mapped_column(JSON, default=list)
    dangling: Mapped[list[Any]] = mapped_column(JSON, default=list)


class Node(RegistryBase):
    """A machine among several, as it last said that it lives. `folder` is the identity of its data folder."""

    __tablename__ = "nodes"

    name: Mapped[str] = mapped_column(primary_key=True)
    folder: Mapped[str]
    version: Mapped[str]
    joined_at: Mapped[Millis]
    heartbeat_at: Mapped[Millis]


class MigrationRun(RegistryBase):
    """One run of the fleet's tenants to a schema version, in waves. `waves`: how many tenants are in each."""

    __tablename__ = "migration_runs"
    __table_args__ = (Index("ix_migration_runs_created", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str]
    state: Mapped[str]  # running, stopped, succeeded, cancelled
    wave: Mapped[int] = mapped_column(default=0)
    waves: Mapped[list[Any]] = mapped_column(JSON, default=list)
    reason: Mapped[str | None]  # of a stop
    actor: Mapped[str | None]
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]
    ended_at: Mapped[int | None] = mapped_column(BigInteger)


class SchemaState(RegistryBase):
    """How far a tenant's own migration is, and whether somebody holds it back. At which version a tenant is, its own
    row says. Claimed by lease like an operation; `snapshot` is its database as it was before."""

    __tablename__ = "schema_states"
    __table_args__ = (Index("ix_schema_states_run", "run_id", "wave", "state", "next_attempt_at"),)

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    run_id: Mapped[str | None]
    wave: Mapped[int] = mapped_column(default=0)
    state: Mapped[str | None]  # pending, migrated, done, failed, left
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None]
    next_attempt_at: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_owner: Mapped[str | None]
    lease_expires_at: Mapped[int] = mapped_column(BigInteger, default=0)
    fencing: Mapped[int] = mapped_column(default=0)
    hold_reason: Mapped[str | None]
    held_at: Mapped[int | None] = mapped_column(BigInteger)
    snapshot: Mapped[str | None]
    snapshot_version: Mapped[str | None]
    snapshot_node: Mapped[str | None]
    snapshot_at: Mapped[int | None] = mapped_column(BigInteger)
    updated_at: Mapped[Millis]


class TransactionMark(RegistryBase):
    """One transaction that came over a network, as in a tenant's database."""

    __tablename__ = "transaction_marks"
    __table_args__ = (Index("ix_transaction_marks_created_at", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[Millis]


class SpareKey(RegistryBase):
    """A sealed RSA key that nobody uses yet. Claimed once by deleting the row."""

    __tablename__ = "spare_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Millis]


class PlatformIdempotencyKey(RegistryBase):
    """The first answer to an `Idempotency-Key` on a platform path (as in a tenant's database, for its own paths)."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_expires_at", "expires_at"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    request_digest: Mapped[str]
    status: Mapped[int | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[Millis]
    expires_at: Mapped[int] = mapped_column(BigInteger)


class RetiredDatabase(RegistryBase):
    """A database that a tenant no longer points to, by a restore or a move: deleted when its grace is over."""

    __tablename__ = "retired_databases"
    __table_args__ = (Index("ix_retired_databases_delete_after", "delete_after"),)

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(primary_key=True)
    incarnation: Mapped[str]
    backend: Mapped[str]
    location: Mapped[str]
    credentials: Mapped[bytes | None] = mapped_column(LargeBinary)
    node: Mapped[str | None]
    retired_at: Mapped[Millis]
    delete_after: Mapped[Millis]


class Backup(RegistryBase):
    """A copy of one database, sealed, in the backup folder of `node` (null: one that every node shares).

    `owner` is a tenant's id, or `registry`. `digest` is the stored file's SHA-256; the row appears when the file is
    whole and was opened again.
    """

    __tablename__ = "backups"
    __table_args__ = (Index("ix_backups_owner", "owner", "taken_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    kind: Mapped[str]  # scheduled, manual
    taken_at: Mapped[Millis]
    backend: Mapped[str]
    incarnation: Mapped[str]
    generation: Mapped[int]
    schema_version: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    stored_size: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str]
    location: Mapped[str]
    node: Mapped[str | None]
    verified_at: Mapped[Millis]


class BackupSchedule(RegistryBase):
    """When one database is copied next, who does it now (`backup_id`, by lease), and what stands in the way.

    `stamp` is how the database looked when it was last copied: one that looks the same is not copied again.
    """

    __tablename__ = "backup_schedules"
    __table_args__ = (Index("ix_backup_schedules_due_at", "due_at"),)

    owner: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[Millis]
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None]
    looked_at: Mapped[int | None] = mapped_column(BigInteger)
    stamp: Mapped[str | None]
    backup_id: Mapped[str | None]
    lease_owner: Mapped[str | None]
    lease_expires_at: Mapped[int] = mapped_column(BigInteger, default=0)
    fencing: Mapped[int] = mapped_column(default=0)


class Erasure(RegistryBase):
    """A user who was deleted: a restored backup of their tenant must not bring them back. `digest` is made with a key
    of the tenant's from the user's id, and says nothing without it."""

    __tablename__ = "erasures"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    erased_at: Mapped[Millis]


_DIRECTORY_TABLES = ("tenants", "hosts")


DIRECTORY_CHANNEL = "keystead_directory"
"""Where the other nodes hear of a new `directory_version`."""


def all_triggers() -> Iterator[Trigger]:
    """The directory's hook."""
    yield Telling(
        name="installation_directory_version",
        event="UPDATE OF directory_version",
        table="installation",
        channel=DIRECTORY_CHANNEL,
        what="NEW.directory_version",
    )
    for table in _DIRECTORY_TABLES:
        for event in ("INSERT", "UPDATE", "DELETE"):
            yield Following(
                name=f"{table}_{event.lower()}_version",
                event=event,
                table=table,
                statement="UPDATE installation SET directory_version = directory_version + 1",
            )
