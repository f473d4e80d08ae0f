"""What a handler may ask for: the request's tenant, and the services of the process.

Both are found on the connection, where the edge and `entrypoints/` put them; a handler takes at most one dependency
(`specs/stack.md` section 2).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from litestar.connection import ASGIConnection

from core.clock import Clock
from core.crypto.keys import PublicKeys
from core.crypto.keystock import KeyStock
from core.crypto.passwords import PasswordHasher
from core.dns import NameServers
from core.domains import CustomDomains
from core.http.allowances import Allowances
from core.outbound import Outbound
from core.settings import Settings
from core.tenants import Operators, Tenant, TenantLifecycle
from tenant_runtime.attack_protection.leaked_passwords import LeakedPasswords
from tenant_runtime.audit import AuditLog
from tenant_runtime.deliveries import Deliveries
from tenant_runtime.login.devices.guesses import Guesses
from tenant_runtime.mail.mailers import Mailers
from tenant_runtime.oauth.clients.remote_keys import RemoteKeys
from tenant_runtime.organizations.hooks import Hooks, NoHooks
from tenant_runtime.registration.document_memory import DocumentMemory
from tenant_runtime.registration.rates import Rates
from tenant_runtime.streams import Streams

AnyConnection = ASGIConnection[Any, Any, Any, Any]
ControlPlaneKeys: TypeAlias = Callable[[], Awaitable[PublicKeys]]


def _nobody_waits() -> None:
    """No worker of this process follows tenant one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What one process has for all tenants: no tenant's data, no tenant's connection.

    `control_plane_keys` answers tenant one's public keys, which may have signed a token for this tenant, and
    `operators` whether its holder still stands; without them only a tenant's own tokens are accepted. `lifecycle` is
    handed to tenant one's application only; without `custom_domains` a tenant has none. `jobs` does what is long to do:
    a few at once, apart from what is delivered, so that no letter waits for an import.
    Keys of clients that came on their own are read and remembered apart, so that they displace nobody else's.
    """

    settings: Settings
    clock: Clock
    passwords: PasswordHasher
    keys: KeyStock
    audit: AuditLog
    outbound: Outbound
    deliveries: Deliveries
    jobs: Deliveries
    mail: Mailers
    control_plane_keys: ControlPlaneKeys | None = None
    remote_keys: RemoteKeys = field(default_factory=RemoteKeys)
    strangers_keys: RemoteKeys = field(default_factory=lambda: RemoteKeys(at_once=8))
    operators: Operators | None = None
    lifecycle: TenantLifecycle | None = None
    custom_domains: CustomDomains | None = None
    streams: Streams | None = None
    on_control_plane_write: Callable[[], None] = _nobody_waits
    rates: Rates = field(default_factory=Rates)
    allowances: Allowances = field(default_factory=Allowances)
    documents: DocumentMemory = field(default_factory=DocumentMemory)
    leaked_passwords: LeakedPasswords = field(default_factory=LeakedPasswords)
    device_guesses: Guesses = field(default_factory=Guesses)
    organization_hooks: Hooks = field(default_factory=NoHooks)
    names: NameServers = field(default_factory=NameServers)


def services_of(connection: AnyConnection) -> Services:
    services: Services = connection.scope["state"]["services"]
    return services


def tenant_of(connection: AnyConnection) -> Tenant:
    tenant: Tenant = connection.scope["state"]["tenant"]
    return tenant


def request_id_of(connection: AnyConnection) -> str:
    return str(connection.scope["state"]["request_id"])


def client_ip_of(connection: AnyConnection) -> str:
    return str(connection.scope["state"]["client_ip"])
