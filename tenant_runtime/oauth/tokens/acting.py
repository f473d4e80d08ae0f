"""Tokens that a person uses in somebody else's name (`management.users.impersonation`): known by `act`, which names the
actor with their issuer. Clients of this tenant, which act by token exchange, are named without one."""

from collections.abc import Mapping

from core.tenants import Tenant
from tenant_runtime.dependencies import Services
from tenant_runtime.oauth.tokens.access_tokens import Presented
from tenant_runtime.standing import still_stands


def is_impersonation(presented: Presented) -> bool:
    act = presented.claims.get("act")
    return isinstance(act, Mapping) and "iss" in act


async def actor_stands(tenant: Tenant, services: Services, presented: Presented) -> bool:
    """Whether whoever acts could still: asked of the tenant that they belong to."""
    if not is_impersonation(presented):
        return True
    act, issued_at = presented.claims["act"], presented.issued_at // 1000
    if act["iss"] in tenant.issuers:
        return await tenant.database.read(still_stands, act["sub"], issued_at, None)
    if services.operators is None or act["iss"] not in tenant.control_plane_issuers:
        return False
    return await services.operators.still_stand(act["sub"], issued_at, None, "", None)
