"""In which of several databases of users somebody logs in: where the organization they are on their way to takes only
some connections, in one of those."""

from dataclasses import replace

from core.tenants import Tenant
from tenant_runtime.configuration import Configuration
from tenant_runtime.oauth.authorization.acceptance import AcceptedRequest, databases_of
from tenant_runtime.organizations.membership import connections_of


async def by_organization(
    tenant: Tenant, held: Configuration, request: AcceptedRequest, led_to: str | None
) -> AcceptedRequest:
    """Asked only where there is a choice. That the organization takes none of them is said to who has signed in."""
    named = request.parameters.organization or led_to
    enabled = databases_of(request.client, held)
    if named is None or request.parameters.connection is not None or len(enabled) < 2:
        return request
    taken = await tenant.database.read(connections_of, named, held.organization_rules)
    chosen = next((each for each in enabled if each.id in taken), None)
    return request if chosen is None else replace(request, connection=chosen)
