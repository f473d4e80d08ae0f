"""`/api/v2/tenants/{id}/move`: a tenant's database goes to another back end or region while the tenant serves."""

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.params import FromPath, JSONBody

from controlplane.access import needs
from controlplane.backups import Region
from controlplane.events import record
from controlplane.idempotency import answered_once
from controlplane.operations import operation_wire
from controlplane.registry.operations import get_operation
from controlplane.services import services_of
from keystead_sdk.litestar import principal_of


class MoveBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without a region: where that back end puts what names none."""

    backend: str
    region: Region | None = None


@post(
    "/tenants/{tenant_id:str}/move",
    status_code=202,
    operation_id="move_tenant",
    tags=["tenants"],
    **needs("update:tenants"),
)
async def move(
    request: Request[Any, Any, Any], tenant_id: FromPath[str], data: JSONBody[MoveBody]
) -> Response[Any]:
    services = services_of(request)

    async def act() -> dict[str, Any]:
        operation_id = await services.moves.move(
            tenant_id, data.backend, data.region, actor=principal_of(request).subject
        )
        await record(
            request,
            f"Move tenant {tenant_id} to {data.backend}",
            tenant=tenant_id,
            backend=data.backend,
            region=data.region,
            operation=operation_id,
        )
        return operation_wire(await services.registry.read(get_operation, operation_id))

    return await answered_once(request, act, status=202)


handlers = [move]
