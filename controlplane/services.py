"""What the platform API works with. One value, made by `entrypoints/` and put on each request."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection

from controlplane.registry.ledger import Wanted
from core.clock import Clock
from core.crypto.sealing import InstallationKey
from core.database import Database
from core.fleet import FleetMigrations, TenantMoves
from core.http.allowances import Allowances
from core.settings import Settings
from core.tenants import Operators, TenantBackups, TenantLifecycle
from keystead_sdk.verifier import TokenVerifier


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformServices:
    """`wanted` reads what tenant one wants now, None while it cannot be read; `record` writes an event to tenant
    one's log: (description, actor, details, request id)."""

    settings: Settings
    clock: Clock
    registry: Database
    key: InstallationKey
    lifecycle: TenantLifecycle
    migrations: FleetMigrations
    backups: TenantBackups
    moves: TenantMoves
    operators: Operators
    allowances: Allowances
    verifier: TokenVerifier
    wanted: Callable[[], Awaitable[Wanted | None]]
    record: Callable[[str, str, dict[str, Any], str], Awaitable[None]]


def services_of(connection: ASGIConnection[Any, Any, Any, Any]) -> PlatformServices:
    services: PlatformServices = connection.scope["state"]["services"]
    return services
