"""`/api/v2/fleet/migrations`: bringing every tenant to this release's schema, seen and steered.

The work is done by the servers, whichever of them are up: a call here says what is wanted and answers at once.
"""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection

from controlplane.access import needs
from controlplane.events import record
from controlplane.idempotency import answered_once
from controlplane.registry.migrations import (
    MigrationRun,
    count_runs,
    get_run,
    latest_run,
    list_runs,
    progress,
)
from controlplane.registry.schema_states import (
    SchemaState,
    count_states,
    list_states,
    state_of,
    versions_of_serving,
)
from controlplane.services import services_of
from core.clock import to_iso
from core.errors import InvalidQuery
from core.http.paging import offset_answer, parse_offset, parse_text
from keystead_sdk.litestar import principal_of

AnyRequest = Request[Any, Any, Any]
ONLY = ("behind", "failed", "held")

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class StartBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    dry_run: bool = False


class ResumeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    retry: bool = False


class ReasonBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


NOTHING_SAID = StartBody()
AS_IT_IS = ResumeBody()


@get("/fleet/schemas", operation_id="list_schema_states", tags=["migrations"], **needs("read:operations"))
async def list_schemas(request: AnyRequest) -> Response[Any]:
    """How many tenants are at each version, and the tenants. `?only=behind|failed|held` narrows the list."""
    services = services_of(request)
    only = parse_text(request.query_params, "only")
    if only is not None and only not in ONLY:
        raise InvalidQuery(f"The parameter 'only' must be one of {', '.join(ONLY)}.")
    asked, target = parse_offset(request.query_params), services.migrations.target
    states, total = await services.registry.read(_states, target, only, asked.offset, asked.limit)
    return Response(offset_answer([state_wire(state) for state in states], "tenants", asked, total))


@get("/fleet/migrations", operation_id="list_migrations", tags=["migrations"], **needs("read:operations"))
async def list_all(request: AnyRequest) -> Response[Any]:
    services = services_of(request)
    asked = parse_offset(request.query_params)
    runs, total = await services.registry.read(_runs, asked.offset, asked.limit)
    return Response(
        offset_answer([run_wire(run, counts) for run, counts in runs], "migrations", asked, total)
    )


@post(
    "/fleet/migrations",
    status_code=202,
    operation_id="start_migration",
    tags=["migrations"],
    **needs("update:operations"),
)
async def start(request: AnyRequest, data: JSONBody[StartBody] = NOTHING_SAID) -> Response[Any]:
    services = services_of(request)

    async def act() -> dict[str, Any]:
        planned = {**await services.migrations.planned()}
        if data.dry_run:
            return {"dry_run": True, **planned}
        run_id = await services.migrations.start(actor=_actor(request))
        if run_id is None:
            return {"dry_run": False, **planned, "migration": None}
        await record(request, f"Migrate the fleet to {services.migrations.target}", migration=run_id)
        return {"dry_run": False, **planned, "migration": await _described(request, run_id)}

    return await answered_once(request, act, status=202)


@get(
    "/fleet/migrations/{run_id:str}",
    operation_id="get_migration",
    tags=["migrations"],
    **needs("read:operations"),
)
async def read(request: AnyRequest, run_id: FromPath[str]) -> Response[Any]:
    return Response(await _described(request, run_id))


@post(
    "/fleet/migrations/{run_id:str}/resume",
    status_code=200,
    operation_id="resume_migration",
    tags=["migrations"],
    **needs("update:operations"),
)
async def resume(
    request: AnyRequest, run_id: FromPath[str], data: JSONBody[ResumeBody] = AS_IT_IS
) -> Response[Any]:
    """`retry` tries again what failed; otherwise that is left at the old schema."""

    async def act() -> dict[str, Any]:
        await services_of(request).migrations.resume(run_id, retry=data.retry)
        await record(request, "Resume the migration of the fleet", migration=run_id, retry=data.retry)
        return await _described(request, run_id)

    return await answered_once(request, act)


@post(
    "/fleet/migrations/{run_id:str}/stop",
    status_code=200,
    operation_id="stop_migration",
    tags=["migrations"],
    **needs("update:operations"),
)
async def stop(request: AnyRequest, run_id: FromPath[str], data: JSONBody[ReasonBody]) -> Response[Any]:
    async def act() -> dict[str, Any]:
        await services_of(request).migrations.stop(run_id, data.reason)
        await record(request, "Stop the migration of the fleet", migration=run_id, reason=data.reason)
        return await _described(request, run_id)

    return await answered_once(request, act)


@post(
    "/tenants/{tenant_id:str}/schema/hold",
    status_code=200,
    operation_id="hold_tenant_schema",
    tags=["migrations"],
    **needs("update:operations"),
)
async def hold(request: AnyRequest, tenant_id: FromPath[str], data: JSONBody[ReasonBody]) -> Response[Any]:
    """No migration and no request moves the tenant from its schema, until it is released."""

    async def act() -> dict[str, Any]:
        await services_of(request).migrations.hold(tenant_id, data.reason)
        await record(request, f"Hold back tenant {tenant_id}", tenant=tenant_id, reason=data.reason)
        return await _state(request, tenant_id)

    return await answered_once(request, act)


@post(
    "/tenants/{tenant_id:str}/schema/release",
    status_code=200,
    operation_id="release_tenant_schema",
    tags=["migrations"],
    **needs("update:operations"),
)
async def release(request: AnyRequest, tenant_id: FromPath[str]) -> Response[Any]:
    async def act() -> dict[str, Any]:
        await services_of(request).migrations.release(tenant_id)
        await record(request, f"Release tenant {tenant_id}", tenant=tenant_id)
        return await _state(request, tenant_id)

    return await answered_once(request, act)


@post(
    "/tenants/{tenant_id:str}/schema/rollback",
    status_code=200,
    operation_id="roll_back_tenant_schema",
    tags=["migrations"],
    **needs("update:operations"),
)
async def roll_back(request: AnyRequest, tenant_id: FromPath[str]) -> Response[Any]:
    """Its database as it was before its migration. What was written since is not in it."""

    async def act() -> dict[str, Any]:
        operation_id = await services_of(request).migrations.roll_back(tenant_id)
        await record(request, f"Roll back tenant {tenant_id}", tenant=tenant_id, operation=operation_id)
        return {**await _state(request, tenant_id), "operation_id": operation_id}

    return await answered_once(request, act)


handlers = [list_schemas, list_all, start, read, resume, stop, hold, release, roll_back]


def run_wire(run: MigrationRun, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "id": run.id,
        "target": run.target,
        "state": run.state,
        "reason": run.reason,
        "actor": run.actor,
        "wave": run.wave + 1,
        "waves": list(run.waves),
        "tenants": counts,
        "created_at": to_iso(run.created_at),
        "updated_at": to_iso(run.updated_at),
        "ended_at": to_iso(run.ended_at) if run.ended_at is not None else None,
    }


def state_wire(state: SchemaState) -> dict[str, Any]:
    """The snapshot is named by its age: where it lies is the machine's business."""
    return {
        "tenant_id": state.tenant_id,
        "schema_version": state.schema_version,
        "state": state.state,
        "attempts": state.attempts,
        "error": state.error,
        "held": state.hold_reason,
        "held_at": to_iso(state.held_at) if state.held_at is not None else None,
        "snapshot_version": state.snapshot_version,
        "snapshot_at": to_iso(state.snapshot_at) if state.snapshot_at is not None else None,
    }


def overview(connection: Connection, target: str) -> dict[str, Any]:
    """The newest run of this release's schema, and how many tenants are at each version."""
    run = latest_run(connection, target)
    return {
        "target": target,
        "versions": versions_of_serving(connection),
        "migration": run_wire(run, progress(connection, run)) if run is not None else None,
    }


def failing(connection: Connection, target: str, limit: int = 20) -> list[dict[str, Any]]:
    """For the list of what needs attention."""
    return [
        {"id": state.tenant_id, "state": "migration_failed", "error": state.error}
        for state in list_states(connection, target, "failed", limit=limit)
    ]


async def _described(request: AnyRequest, run_id: str) -> dict[str, Any]:
    return run_wire(*await services_of(request).registry.read(_run_and_progress, run_id))


async def _state(request: AnyRequest, tenant_id: str) -> dict[str, Any]:
    return state_wire(await services_of(request).registry.read(state_of, tenant_id))


def _run_and_progress(connection: Connection, run_id: str) -> tuple[MigrationRun, dict[str, int]]:
    run = get_run(connection, run_id)
    return run, progress(connection, run)


def _runs(
    connection: Connection, offset: int, limit: int
) -> tuple[list[tuple[MigrationRun, dict[str, int]]], int]:
    runs = list_runs(connection, offset, limit)
    return [(run, progress(connection, run)) for run in runs], count_runs(connection)


def _states(
    connection: Connection, target: str, only: str | None, offset: int, limit: int
) -> tuple[list[SchemaState], int]:
    states = list_states(connection, target, only, offset=offset, limit=limit)
    return states, count_states(connection, target, only)


def _actor(request: AnyRequest) -> str:
    return principal_of(request).subject
