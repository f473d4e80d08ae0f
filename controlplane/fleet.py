"""`/api/v2/fleet`: the state of all tenants at once, the ledger of the catalogue, drift, and converge on demand.

Every number is a query over the registry; no tenant's database is opened to answer for the fleet.
"""

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection

from controlplane.access import needs
from controlplane.events import record
from controlplane.idempotency import answered_once
from controlplane.migrations import failing as failing_migrations
from controlplane.migrations import overview
from controlplane.registry.backups import failing_backups
from controlplane.registry.failing import failing_operations
from controlplane.registry.ledger import (
    SyncRecord,
    Wanted,
    count_ledger,
    list_ledger,
    oldest_lag,
    sync_record,
)
from controlplane.registry.nodes import list_nodes
from controlplane.registry.tenant_lists import failing_tenants, schema_versions_of_all, states_of_all
from controlplane.registry.tenants import SERVING, get_tenant
from controlplane.services import PlatformServices, services_of
from controlplane.wire import sync_wire
from core.clock import now_ms, to_iso
from core.errors import Conflict, Forbidden, InvalidQuery
from core.http.paging import offset_answer, parse_offset, parse_text

AnyRequest = Request[Any, Any, Any]
ONLY = ("lagging", "failing", "conflicts")


class ConvergeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    dry_run: bool = False


NOTHING_SAID = ConvergeBody()


@get("/fleet", operation_id="get_fleet", tags=["fleet"], **needs("read:tenants"))
async def read(request: AnyRequest) -> Response[Any]:
    services = services_of(request)
    wanted = await services.wanted()
    target, now = services.migrations.target, now_ms(services.clock)
    return Response(await services.registry.read(_summary, wanted, now, target))


@get("/fleet/sync", operation_id="list_sync_states", tags=["fleet"], **needs("read:sync"))
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


@get("/tenants/{tenant_id:str}/drift", operation_id="get_tenant_drift", tags=["fleet"], **needs("read:sync"))
async def drift(request: AnyRequest, tenant_id: FromPath[str]) -> Response[Any]:
    services = services_of(request)
    await _check_follows(services, tenant_id)
    return Response(await services.lifecycle.drift(tenant_id))


@post(
    "/tenants/{tenant_id:str}/converge",
    status_code=200,
    operation_id="converge_tenant",
    tags=["fleet"],
    **needs("update:sync"),
)
async def converge(
    request: AnyRequest, tenant_id: FromPath[str], data: JSONBody[ConvergeBody] = NOTHING_SAID
) -> Response[Any]:
    services = services_of(request)

    async def act() -> dict[str, Any]:
        await _check_follows(services, tenant_id)
        if data.dry_run:
            return {**await services.lifecycle.converge(tenant_id, dry_run=True)}
        done = await services.lifecycle.converge(tenant_id)
        await record(request, f"Converge tenant {tenant_id}", tenant=tenant_id)
        row, wanted = await services.registry.read(sync_record, tenant_id), await services.wanted()
        return {"dry_run": False, "operation_id": done["operation_id"], "sync": sync_wire(row, wanted)}

    return await answered_once(request, act)


@post(
    "/fleet/converge",
    status_code=202,
    operation_id="converge_fleet",
    tags=["fleet"],
    **needs("update:sync"),
)
async def converge_all(request: AnyRequest, data: JSONBody[ConvergeBody] = NOTHING_SAID) -> Response[Any]:
    services = services_of(request)

    async def act() -> dict[str, Any]:
        dry_run = data.dry_run
        done = await services.lifecycle.converge_all(dry_run=dry_run)
        if not dry_run:
            await record(request, "Converge all tenants")
        return {**done}

    return await answered_once(request, act, status=202)


handlers = [read, list_sync, drift, converge, converge_all]


async def _check_follows(services: PlatformServices, tenant_id: str) -> None:
    """Only a child that serves holds a copy of the catalogue."""
    tenant = await services.registry.read(get_tenant, tenant_id)
    if tenant.is_control_plane:
        raise Forbidden("The control plane's own tenant follows nobody.", code="operation_not_supported")
    if tenant.state not in SERVING:
        raise Conflict(f"The tenant is {tenant.state}.", code="invalid_tenant_state")


def _summary(connection: Connection, wanted: Wanted | None, now: int, target: str) -> dict[str, Any]:
    oldest = oldest_lag(connection, wanted) if wanted is not None else None
    failing = failing_tenants(connection)
    return {
        "states": states_of_all(connection),
        "schema_versions": schema_versions_of_all(connection),
        "schema": overview(connection, target),
        "sync": {
            "wanted": wanted[1] if wanted is not None else None,
            "tenants": count_ledger(connection, wanted),
            **{name: count_ledger(connection, wanted, only=name) for name in ONLY},
        },
        "worst_lag_seconds": round((now - oldest) / 1000, 3) if oldest is not None else 0,
        "nodes": [
            {
                "name": node.name,
                "version": node.version,
                "last_heartbeat_at": to_iso(node.heartbeat_at),
                "alive": node.is_alive(now),
            }
            for node in list_nodes(connection)
        ],
        "attention": [{"id": tenant.id, "state": tenant.state, "error": tenant.error} for tenant in failing]
        + [
            {"id": record.tenant_id, "state": "lagging", "error": record.last_error}
            for record in list_ledger(connection, wanted, only="failing", limit=20)
        ]
        + failing_migrations(connection, target)
        + [
            {"id": schedule.owner, "state": "backup_failing", "error": schedule.last_error}
            for schedule in failing_backups(connection)
        ]
        + failing_operations(connection, now),
    }


def _ledger_page(
    connection: Connection, wanted: Wanted | None, only: str | None, offset: int, limit: int
) -> tuple[list[SyncRecord], int]:
    records = list_ledger(connection, wanted, only=only, offset=offset, limit=limit)
    return records, count_ledger(connection, wanted, only=only)
