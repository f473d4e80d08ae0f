"""`/api/v2/fleet`: the state of all tenants at once, the ledger of the catalogue, drift, and converge on demand.

Every number is a query over the registry; no tenant's database is opened to answer for the fleet.
"""

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from sqlalchemy import Connection

from controlplane.access import requires
from controlplane.registry.ledger import (
    SyncRecord,
    Wanted,
    count_ledger,
    list_ledger,
    oldest_lag,
)
from controlplane.registry.tenant_lists import failing_tenants, schema_versions_of_all, states_of_all
from controlplane.registry.tenants import get_tenant, refuse_tenant_one
from controlplane.services import services_of
from controlplane.tenants import sync_wire
from core.clock import now_ms
from core.errors import InvalidQuery
from core.http.paging import offset_answer, parse_offset, parse_text

AnyRequest = Request[Any, Any, Any]
ONLY = ("lagging", "failing", "conflicts")


class ConvergeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    dry_run: bool = False


@get("/fleet", guards=[requires("read:tenants")], operation_id="get_fleet", tags=["fleet"])
async def read(request: AnyRequest) -> Response[Any]:
    services = services_of(request)
    wanted = await services.wanted()
    return Response(await services.registry.read(_summary, wanted, now_ms(services.clock)))


@get("/fleet/sync", guards=[requires("read:sync")], operation_id="list_sync_states", tags=["fleet"])
async def list_sync(request: AnyRequest) -> Response[Any]:
    """The ledger. `?only=lagging|failing|conflicts` narrows it to what needs attention."""
    services = services_of(request)
    only = parse_text(request.query_params, "only")
    if only is not None and only not in ONLY:
        raise InvalidQuery(f"The parameter 'only' must be one of {', '.join(ONLY)}.")
    asked, wanted = parse_offset(request.query_params), await services.wanted()
    records, total = await services.registry.read(_ledger_page, wanted, only, asked.offset, asked.limit)
    items = [{"tenant_id": record.tenant_id, **(sync_wire(record, wanted) or {})} for record in records]
    return Response(offset_answer(items, "tenants", asked, total))


@get(
    "/tenants/{tenant_id:str}/drift",
    guards=[requires("read:sync")],
    operation_id="get_tenant_drift",
    tags=["fleet"],
)
async def drift(request: AnyRequest, tenant_id: str) -> Response[Any]:
    services = services_of(request)
    refuse_tenant_one(await services.registry.read(get_tenant, tenant_id))
    return Response(await services.lifecycle.drift(tenant_id))


@post(
    "/tenants/{tenant_id:str}/converge",
    guards=[requires("update:sync")],
    status_code=200,
    operation_id="converge_tenant",
    tags=["fleet"],
)
async def converge(request: AnyRequest, tenant_id: str, data: ConvergeBody | None = None) -> Response[Any]:
    services = services_of(request)
    refuse_tenant_one(await services.registry.read(get_tenant, tenant_id))
    dry_run = data is not None and data.dry_run
    return Response(await services.lifecycle.converge(tenant_id, dry_run=dry_run))


@post(
    "/fleet/converge",
    guards=[requires("update:sync")],
    status_code=202,
    operation_id="converge_fleet",
    tags=["fleet"],
)
async def converge_all(request: AnyRequest, data: ConvergeBody | None = None) -> Response[Any]:
    dry_run = data is not None and data.dry_run
    return Response(await services_of(request).lifecycle.converge_all(dry_run=dry_run), status_code=202)


handlers = [read, list_sync, drift, converge, converge_all]


def _summary(connection: Connection, wanted: Wanted | None, now: int) -> dict[str, Any]:
    oldest = oldest_lag(connection, wanted) if wanted is not None else None
    failing = failing_tenants(connection)
    return {
        "states": states_of_all(connection),
        "schema_versions": schema_versions_of_all(connection),
        "sync": {
            "wanted": wanted[1] if wanted is not None else None,
            "tenants": count_ledger(connection, wanted),
            **{name: count_ledger(connection, wanted, only=name) for name in ONLY},
        },
        "worst_lag_seconds": round((now - oldest) / 1000, 3) if oldest is not None else 0,
        "attention": [{"id": tenant.id, "state": tenant.state, "error": tenant.error} for tenant in failing]
        + [
            {"id": record.tenant_id, "state": "lagging", "error": record.last_error}
            for record in list_ledger(connection, wanted, only="failing", limit=20)
        ],
    }


def _ledger_page(
    connection: Connection, wanted: Wanted | None, only: str | None, offset: int, limit: int
) -> tuple[list[SyncRecord], int]:
    records = list_ledger(connection, wanted, only=only, offset=offset, limit=limit)
    return records, count_ledger(connection, wanted, only=only)
