"""What holds for every call before its endpoint is reached: the tenant has the API, the body is one, the page may."""

from core.http.errors import AnyRequest
from tenant_runtime.configuration import configuration
from tenant_runtime.dependencies import tenant_of
from tenant_runtime.organizations.wire.bodies import check_media_type, has_body
from tenant_runtime.organizations.wire.origins import ENTRANCES, check_origin
from tenant_runtime.schema import to_be_migrated


async def at_the_door(request: AnyRequest) -> None:
    tenant, headers = tenant_of(request), request.scope["headers"]
    if not (await configuration(tenant)).has_organization_api:
        raise to_be_migrated()
    await check_origin(request, tenant)
    if request.method != "GET" and has_body(headers):
        check_media_type(headers, takes_forms=request.scope["path"] in ENTRANCES)
