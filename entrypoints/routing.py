"""Which plane answers a request: host and path, decided before any tenant's database is asked.

On the control-plane host, platform paths go to `controlplane/`; everything else there is tenant one's ordinary
runtime, except that the header `tenant-id` selects a child for `/api/v2`. Whether the caller may act on what was
selected is decided from the token, by the guards (`DESIGN.md` section 5).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import IdentityError, Unavailable, UnknownTenant
from core.http.edge import AsgiApp, Destination, Refuse, Scope
from core.settings import Settings
from core.tenants import Directory, Tenant, TenantState
from entrypoints import certificates
from entrypoints.certificates import CertificateAsk
from provisioning.migrating.lazy import SchemaGate
from sync.gate import CatalogueGate, Freshness
from tenant_runtime.suspension import refusal

MANAGEMENT = "/api/v2/"
TENANT_HEADER = b"tenant-id"
PROCESS_PATHS = ("/health", "/ready")
_NEVER_STALE = ("/u/static/", "/oidc/logout", "/v2/logout", "/u/logout")
_ALWAYS_FRESH = (MANAGEMENT, "/oauth/token", "/authorize")
_PLATFORM = re.compile(
    r"/api/v2/(?:tenants(?:/(?!(?:settings|organizations)(?:/|$)).*)?|operations(?:/.*)?|fleet(?:/.*)?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    settings: Settings
    directory: Directory
    schema_gate: SchemaGate
    gate: CatalogueGate
    tenants: AsgiApp
    platform: AsgiApp
    process: AsgiApp
    certificates: CertificateAsk
    documents: Mapping[str, AsgiApp]
    refuse: Refuse

    async def __call__(self, host: str, path: str, scope: Scope) -> Destination:
        if path in PROCESS_PATHS:
            return Destination(None, self.process)
        if path == certificates.PATH and self.certificates.is_answered(host, scope):
            return Destination(None, self.certificates)
        tenant = await self.directory.by_host(host)
        if tenant is None:
            raise UnknownTenant()
        document = self.documents.get(path)
        if document is not None:
            refused = await self.schema_gate.refusal(tenant)
            return Destination(tenant, document if refused is None else self.refuse(scope, refused))
        if not tenant.is_control_plane:
            return await self._child(tenant, path, scope)
        if is_platform_path(path):
            return Destination(tenant, self.platform)
        selected = _selected(scope) if path.startswith(MANAGEMENT) else None
        if selected is None or selected == tenant.id:
            return Destination(tenant, self.tenants)
        return await self._selected_child(selected, path, scope)

    async def _selected_child(self, tenant_id: str, path: str, scope: Scope) -> Destination:
        tenant = await self.directory.by_id(tenant_id)
        if tenant is None:
            raise UnknownTenant()
        scope["state"]["selected_by_header"] = True
        return await self._child(tenant, path, scope)

    async def _child(self, tenant: Tenant, path: str, scope: Scope) -> Destination:
        refused = (
            _refused_by_state(tenant, path)
            or await self.schema_gate.refusal(tenant)
            or await self._refused_by_gate(tenant, path)
        )
        if refused is not None:
            return Destination(tenant, self.refuse(scope, refused))
        return Destination(tenant, self.tenants)

    async def _refused_by_gate(self, tenant: Tenant, path: str) -> IdentityError | None:
        """While a known change could not be applied, no token is issued and nothing administered by the old
        rules."""
        if path.startswith(_NEVER_STALE) or await self.gate.ensure(tenant) is Freshness.FRESH:
            return None
        if path.startswith(_ALWAYS_FRESH):
            return Unavailable("This tenant is taking over a change of the control plane.", retry_after=1)
        return None


def is_platform_path(path: str) -> bool:
    """`/api/v2/tenants/settings` and `/tenants/organizations` are none: they are of the host's own tenant."""
    return _PLATFORM.fullmatch(path) is not None


def _refused_by_state(tenant: Tenant, path: str) -> IdentityError | None:
    match tenant.state:
        case TenantState.ACTIVE:
            return None
        case TenantState.SUSPENDED:
            return refusal(path)
        case TenantState.PROVISIONING:
            return Unavailable("This tenant is being made.", retry_after=2)
    return UnknownTenant()


def _selected(scope: Scope) -> str | None:
    values = [value for name, value in scope["headers"] if name == TENANT_HEADER]
    if not values:
        return None
    if len(values) > 1:
        raise UnknownTenant()
    return bytes(values[0]).decode("latin-1")
