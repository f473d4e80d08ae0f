"""`/api/v2/tenants/{id}/backups`: copies of one tenant's database, taken, listed, deleted, put back."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection

from controlplane.access import needs
from controlplane.events import record
from controlplane.idempotency import answered_once
from controlplane.operations import operation_wire
from controlplane.registry.backups import BackupRecord, count_backups, list_backups
from controlplane.registry.operations import get_operation
from controlplane.registry.tenants import get_tenant
from controlplane.services import services_of
from core.clock import to_iso
from core.errors import Forbidden
from core.http.paging import Offset, offset_answer, parse_offset
from core.tenants import RestoreOrder
from keystead_sdk.litestar import principal_of

AnyRequest = Request[Any, Any, Any]

Region = Annotated[str, msgspec.Meta(max_length=63, pattern=r"^[^\x00-\x1f\x7f]*\Z")]


class RestoreBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tenant's present back end and region, unless others are named."""

    backend: str | None = None
    region: Region | None = None
    present_is_lost: bool = False


AS_IT_IS = RestoreBody()


@get(
    "/tenants/{tenant_id:str}/backups",
    operation_id="list_tenant_backups",
    tags=["backups"],
    **needs("read:tenants"),
)
async def list_all(request: AnyRequest, tenant_id: FromPath[str]) -> Response[Any]:
    services = services_of(request)
    asked = parse_offset(request.query_params)
    backups, total = await services.registry.read(_page, tenant_id, asked)
    return Response(offset_answer([backup_wire(backup) for backup in backups], "backups", asked, total))


@post(
    "/tenants/{tenant_id:str}/backups",
    status_code=202,
    operation_id="take_tenant_backup",
    tags=["backups"],
    **needs("update:tenants"),
)
async def take(request: AnyRequest, tenant_id: FromPath[str]) -> Response[Any]:
    services = services_of(request)

    async def act() -> dict[str, Any]:
        operation_id = await services.backups.take(tenant_id, principal_of(request).subject)
        await record(request, f"Back up tenant {tenant_id}", tenant=tenant_id, operation=operation_id)
        return operation_wire(await services.registry.read(get_operation, operation_id))

    return await answered_once(request, act, status=202)


@delete(
    "/tenants/{tenant_id:str}/backups/{backup_id:str}",
    operation_id="delete_tenant_backup",
    tags=["backups"],
    **needs("delete:tenants"),
)
async def remove(request: AnyRequest, tenant_id: FromPath[str], backup_id: FromPath[str]) -> None:
    await services_of(request).backups.delete(tenant_id, backup_id)
    await record(
        request, f"Delete backup {backup_id} of tenant {tenant_id}", tenant=tenant_id, backup=backup_id
    )


@post(
    "/tenants/{tenant_id:str}/backups/{backup_id:str}/restore",
    status_code=202,
    operation_id="restore_tenant_backup",
    tags=["backups"],
    **needs("delete:tenants"),
)
async def restore(
    request: AnyRequest,
    tenant_id: FromPath[str],
    backup_id: FromPath[str],
    data: JSONBody[RestoreBody] = AS_IT_IS,
) -> Response[Any]:
    """What was written since the backup is lost: as grave as a deletion."""
    services = services_of(request)
    await services.registry.read(_refuse_tenant_one, tenant_id)
    order = RestoreOrder(backup_id=backup_id, **msgspec.structs.asdict(data))

    async def act() -> dict[str, Any]:
        operation_id = await services.backups.restore(tenant_id, order, principal_of(request).subject)
        await record(
            request,
            f"Restore tenant {tenant_id} from backup {backup_id}",
            tenant=tenant_id,
            backup=backup_id,
            operation=operation_id,
        )
        return operation_wire(await services.registry.read(get_operation, operation_id))

    return await answered_once(request, act, status=202)


handlers = [list_all, take, remove, restore]


def backup_wire(backup: BackupRecord) -> dict[str, Any]:
    return {
        "id": backup.id,
        "tenant_id": backup.owner,
        "kind": backup.kind,
        "taken_at": to_iso(backup.taken_at),
        "verified_at": to_iso(backup.verified_at),
        "backend": backup.backend,
        "schema_version": backup.schema_version,
        "size": backup.size,
        "stored_size": backup.stored_size,
        "digest": backup.digest,
    }


def _refuse_tenant_one(connection: Connection, tenant_id: str) -> None:
    """It would bring back who was an operator then, whoever asks for it."""
    if get_tenant(connection, tenant_id).is_control_plane:
        raise Forbidden(
            "The control plane's own tenant is restored on the machine: `keystead tenant restore`.",
            code="operation_not_supported",
        )


def _page(connection: Connection, tenant_id: str, asked: Offset) -> tuple[list[BackupRecord], int | None]:
    get_tenant(connection, tenant_id)
    total = count_backups(connection, tenant_id) if asked.include_totals else None
    return list_backups(connection, tenant_id, offset=asked.offset, limit=asked.limit), total
