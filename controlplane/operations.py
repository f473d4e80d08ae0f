"""`/api/v2/operations` and a tenant's own: what was done to tenants, step by step, and what stands still."""

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath
from sqlalchemy import Connection

from controlplane.access import needs
from controlplane.registry.operations import (
    OperationRecord,
    count_operations,
    get_operation,
    list_operations,
    list_operations_after,
)
from controlplane.registry.tenants import get_tenant
from controlplane.services import services_of
from core.clock import to_iso
from core.errors import InvalidQuery
from core.http.paging import (
    checkpoint_answer,
    decode_cursor,
    encode_cursor,
    offset_answer,
    parse_checkpoint,
    parse_offset,
    parse_text,
)

AnyRequest = Request[Any, Any, Any]
STATES = ("pending", "running", "succeeded", "failed", "cancelled")


@get("/operations", operation_id="list_operations", tags=["operations"], **needs("read:operations"))
async def list_all(request: AnyRequest) -> Response[Any]:
    return await _list(request, parse_text(request.query_params, "tenant_id"))


@get(
    "/operations/{operation_id:str}",
    operation_id="get_operation",
    tags=["operations"],
    **needs("read:operations"),
)
async def read(request: AnyRequest, operation_id: FromPath[str]) -> Response[Any]:
    return Response(operation_wire(await services_of(request).registry.read(get_operation, operation_id)))


@get(
    "/tenants/{tenant_id:str}/operations",
    operation_id="list_tenant_operations",
    tags=["operations"],
    **needs("read:operations"),
)
async def list_of_tenant(request: AnyRequest, tenant_id: FromPath[str]) -> Response[Any]:
    await services_of(request).registry.read(get_tenant, tenant_id)
    return await _list(request, tenant_id)


handlers = [list_all, read, list_of_tenant]


async def _list(request: AnyRequest, tenant_id: str | None) -> Response[Any]:
    services, states = services_of(request), _states(request)
    checkpoint = parse_checkpoint(request.query_params)
    if checkpoint is not None:
        key, name = services.key.derive("page tokens"), f"operations:{tenant_id}:{states}"
        after: Any = decode_cursor(key, "registry", name, checkpoint.after) if checkpoint.after else None
        found = await services.registry.read(_page_after, tenant_id, states, after, checkpoint.take + 1)
        page = found[: checkpoint.take]
        more = len(found) > checkpoint.take
        token = encode_cursor(key, "registry", name, (page[-1].created_at, page[-1].id)) if more else None
        return Response(checkpoint_answer([operation_wire(item) for item in page], "operations", token))
    asked = parse_offset(request.query_params)
    rows = await services.registry.read(_page, tenant_id, states, asked.offset, asked.limit)
    total = await services.registry.read(_count, tenant_id, states) if asked.include_totals else None
    return Response(offset_answer([operation_wire(item) for item in rows], "operations", asked, total))


def _states(request: AnyRequest) -> tuple[str, ...]:
    state = parse_text(request.query_params, "state")
    if state is not None and state not in STATES:
        raise InvalidQuery(f"The parameter 'state' must be one of {', '.join(STATES)}.")
    return (state,) if state is not None else ()


def _page(
    connection: Connection, tenant_id: str | None, states: tuple[str, ...], offset: int, limit: int
) -> list[OperationRecord]:
    return list_operations(connection, tenant_id=tenant_id, states=states, offset=offset, limit=limit)


def _page_after(
    connection: Connection,
    tenant_id: str | None,
    states: tuple[str, ...],
    after: tuple[int, str] | None,
    limit: int,
) -> list[OperationRecord]:
    return list_operations_after(connection, tenant_id=tenant_id, states=states, after=after, limit=limit)


def _count(connection: Connection, tenant_id: str | None, states: tuple[str, ...]) -> int:
    return count_operations(connection, tenant_id=tenant_id, states=states)


_HIDDEN = ("parameters", "lease_owner", "lease_expires_at", "fencing", "creator_added")
_TIMES = ("created_at", "updated_at", "ended_at", "next_attempt_at")


def operation_wire(operation: OperationRecord) -> dict[str, Any]:
    body = {name: value for name, value in msgspec.structs.asdict(operation).items() if name not in _HIDDEN}
    for name in _TIMES:
        body[name] = to_iso(body[name]) if body[name] else None
    body["steps"] = [_step(step) for step in operation.steps]
    return body


def _step(step: Any) -> dict[str, Any]:
    times = {name: to_iso(step[name]) for name in ("started_at", "ended_at") if step.get(name)}
    return {**step, **times}
