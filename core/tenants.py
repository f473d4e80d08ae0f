"""What both planes know of a tenant, and how the two meet without importing each other.

`Tenant` is what one request acts for; `Directory` turns a host or an id into one. The protocols below are
implemented on one side and handed to the other by `entrypoints/`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from core.crypto.sealing import DataKey
from core.database import Database


class TenantState(StrEnum):
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETING = "deleting"
    DELETED = "deleted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One issuer with one database, as one request sees it.

    `issuer` is the canonical one of the host entry that was matched, with its trailing slash; `issuers` are all of the
    tenant's, and `primary_issuer` is the one that mails name. `control_plane_issuers` may also issue tokens accepted
    here, when they carry `organization_id` (the tenant organization on tenant one) as `org_id`, or a platform
    permission. `data_key` seals the tenant's own secrets; `shared_key` is the installation's, for secrets that tenant
    one says for all.
    """

    id: str
    state: TenantState
    issuer: str
    issuers: frozenset[str]
    primary_issuer: str
    display_name: str
    organization_id: str | None
    control_plane_issuers: frozenset[str]
    is_control_plane: bool
    incarnation: str
    labels: frozenset[str] = frozenset()
    limits: Mapping[str, int] = field(default_factory=dict)  # the platform's, by name (`docs/limits.md`)
    schema_version: str | None = None  # as the registry knows it
    database: Database = field(repr=False, compare=False)
    data_key: DataKey = field(repr=False, compare=False)
    shared_key: DataKey = field(repr=False, compare=False)

    @property
    def origin(self) -> str:
        return self.issuer[:-1]

    @property
    def management_audience(self) -> str:
        """The audience of the tenant's own Management API (`specs/management-api.md` section 1)."""
        return f"{self.issuer}api/v2/"


class Directory(Protocol):
    """Host or id to tenant. Never guesses: no match is None, a registry that is away is `Unavailable`."""

    async def by_host(self, host: str) -> Tenant | None: ...

    async def by_id(self, tenant_id: str) -> Tenant | None: ...

    async def control_plane(self) -> Tenant: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """The `Idempotency-Key` of a request: `made`, sealed, says what the request made before its answer is known."""

    digest: str
    request_digest: str
    expires_at: int
    made: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTenant:
    """What is asked for when a tenant is created. `most_of_creator`: with so many of their own they get no other."""

    id: str
    display_name: str
    backend: str | None = None
    region: str | None = None
    labels: frozenset[str] = frozenset()
    creator_user_id: str | None = None
    add_creator: bool = True
    most_of_creator: int | None = None
    request_key: RequestKey | None = None


class TenantLifecycle(Protocol):
    """Making, changing and ending tenants. Implemented by `provisioning/`; every call is safe to repeat.

    Each method returns when the tenant converged or the installation's time limit passed, whichever is first;
    what is left is done by the worker. Records are read from the registry afterwards, never returned from here.
    """

    async def create(self, new: NewTenant) -> str:
        """Insert the registry row and converge; answers the operation's id. `Conflict` when taken, `TooManyTenants` for
        who has enough."""

    async def has_made(self, key: RequestKey, tenant_id: str) -> bool:
        """Whether a request with this key began to make the tenant; waits for it as for one's own. `Conflict` when it
        is gone again."""

    async def refuse_id(self, tenant_id: str) -> None:
        """Raises what creating a tenant by this id would be refused with."""

    async def delete(self, tenant_id: str) -> str: ...

    async def suspend(self, tenant_id: str) -> None: ...

    async def resume(self, tenant_id: str) -> None: ...

    async def restore(self, tenant_id: str) -> str: ...

    async def retry(self, tenant_id: str) -> str: ...

    async def change(self, tenant_id: str, changes: Mapping[str, Any]) -> None:
        """Change the tenant's record; its database and its organization follow."""

    async def rename(self, tenant_id: str, display_name: str) -> None:
        """The display name changed in the registry: the tenant organization follows."""

    async def converge(self, tenant_id: str, *, dry_run: bool = False) -> Mapping[str, Any]: ...

    async def converge_all(self, *, dry_run: bool = False) -> Mapping[str, Any]: ...

    async def drift(self, tenant_id: str) -> Mapping[str, Any]: ...

    async def wait_synced(self) -> int:
        """Wait until every reachable tenant holds the present catalogue or the time limit passes; answers how
        many still lag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOrder:
    """From which backup (or file on this machine), and where to; the tenant's present back end unless it says so.
    `present_is_lost`: the present database is not waited for, and nothing that it would say is known."""

    backup_id: str | None = None
    file: Path | None = None
    backend: str | None = None
    region: str | None = None
    present_is_lost: bool = False


class TenantBackups(Protocol):
    """Copies of a tenant's database. Implemented by `provisioning/`; what is asked for is an operation, whose id is
    answered when it is done or the time limit of a request has passed."""

    async def take(self, tenant_id: str, actor: str | None = None, *, as_of: int | None = None) -> str:
        """`as_of`, in milliseconds: as the database was then. `InvalidInput` where its back end does not know."""

    async def restore(self, tenant_id: str, order: RestoreOrder, actor: str | None = None) -> str:
        """`Conflict` while the tenant is moved, restored or deleted."""

    async def delete(self, tenant_id: str, backup_id: str) -> None: ...


class Erasures(Protocol):
    """What remembers deleted users, so that no backup brings them back: digests, no personal data."""

    async def record(self, tenant_id: str, digest: str, erased_at: int) -> None: ...


class Operators(Protocol):
    """What the platform API asks of tenant one about the person who calls."""

    async def organization_ids(self, user_id: str) -> Sequence[str]:
        """The tenant organizations they belong to."""

    async def still_stand(
        self, subject: str, issued_at: float, jti: str | None, consent: str, organization_id: str | None
    ) -> bool:
        """Whether the person or machine that a token was issued to, then, may act now: not deleted, not blocked,
        with no new password since, a member of the organization that it is for, the token not revoked, and what it
        rests on (`core.given`) not withdrawn."""

    async def is_verified(self, user_id: str) -> bool:
        """Whether their address is verified and they are not blocked."""

    async def record(
        self, subject: str, description: str, details: Mapping[str, Any], now: int, request_id: str
    ) -> None:
        """What they do in somebody's name in a tenant, in tenant one's log; returns when it is written."""
