"""`/api/v2/tenants` on the control-plane host: the tenants of the installation (`specs/tenancy.md` section 2)."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from sqlalchemy import Connection

from controlplane.access import outside_organizations, requires, signed_in_person
from controlplane.registry.hosts import hosts_of
from controlplane.registry.ledger import SyncRecord, Wanted, sync_record, sync_records
from controlplane.registry.tenant_lists import (
    SORTS,
    TenantQuery,
    count_tenants,
    list_tenants,
    list_tenants_after,
    position_of,
)
from controlplane.registry.tenants import (
    RegisteredTenant,
    change_tenant,
    get_tenant,
    refuse_tenant_one,
    tenant_by_organization,
    valid_tenant_id,
)
from controlplane.services import PlatformServices, services_of
from core.clock import now_ms, to_iso
from core.errors import Forbidden, InsufficientReach, InsufficientScope, InvalidInput, InvalidQuery, NotFound
from core.http.paging import (
    Offset,
    checkpoint_answer,
    decode_cursor,
    encode_cursor,
    offset_answer,
    parse_checkpoint,
    parse_offset,
    parse_sort,
    parse_text,
)
from core.settings import Settings
from core.tenants import NewTenant, TenantState
from keystead_sdk.litestar import principal_of
from keystead_sdk.principal import Principal

AnyRequest = Request[Any, Any, Any]

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Label = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$")]
Labels = Annotated[list[Label], msgspec.Meta(max_length=32)]
Limits = Annotated[dict[str, int], msgspec.Meta(max_length=32)]


class TenantBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant is created from. `friendly_name` is Auth0's word for `display_name`."""

    id: str
    display_name: Name | None = None
    friendly_name: Name | None = None
    backend: str | None = None
    region: str | None = None
    labels: Labels = []
    add_creator: bool = True


class TenantPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    display_name: Name | msgspec.UnsetType = msgspec.UNSET
    friendly_name: Name | msgspec.UnsetType = msgspec.UNSET
    labels: Labels | msgspec.UnsetType = msgspec.UNSET
    limits: Limits | msgspec.UnsetType = msgspec.UNSET


@get("/tenants", guards=[outside_organizations], operation_id="list_tenants", tags=["tenants"])
async def list_all(request: AnyRequest) -> Response[Any]:
    services, principal = services_of(request), principal_of(request)
    query = await _query(request, services, principal)
    wanted = await services.wanted()
    checkpoint = parse_checkpoint(request.query_params)
    if checkpoint is not None:
        cursor_key = services.key.derive("page tokens")
        name = f"tenants:{_fingerprint(query)}"
        after = decode_cursor(cursor_key, "registry", name, checkpoint.after) if checkpoint.after else None
        rows = await services.registry.read(_page_after, query, after, checkpoint.take + 1)
        items = [_wire(services.settings, *row, wanted) for row in rows[: checkpoint.take]]
        more = len(rows) > checkpoint.take
        last = position_of(rows[checkpoint.take - 1][0], query) if more else None
        token = encode_cursor(cursor_key, "registry", name, last) if last is not None else None
        return Response(checkpoint_answer(items, "tenants", token))
    asked = parse_offset(request.query_params)
    rows, total = await services.registry.read(_page, query, asked)
    items = [_wire(services.settings, *row, wanted) for row in rows]
    return Response(offset_answer(items, "tenants", asked, total))


@post("/tenants", guards=[outside_organizations], operation_id="create_tenant", tags=["tenants"])
async def create(request: AnyRequest, data: TenantBody) -> Response[Any]:
    services, principal = services_of(request), principal_of(request)
    await _may_create(services, principal)
    if not valid_tenant_id(data.id):
        raise InvalidInput(
            "A tenant id is a lower-case DNS label: letters, digits and inner hyphens, at most 63."
        )
    if services.settings.is_reserved(data.id):
        raise InvalidInput("This tenant id is reserved.")
    new = NewTenant(
        id=data.id,
        display_name=data.display_name or data.friendly_name or data.id,
        backend=data.backend,
        region=data.region,
        labels=frozenset(data.labels),
        creator_user_id=None if principal.is_machine else principal.subject,
        add_creator=data.add_creator,
    )
    await services.lifecycle.create(new)
    await _record(request, f"Create tenant {data.id}", {"tenant": data.id})
    return Response(await _described(services, data.id), status_code=201)


@get("/tenants/{tenant_id:str}", operation_id="get_tenant", tags=["tenants"])
async def read(request: AnyRequest, tenant_id: str) -> Response[Any]:
    services = services_of(request)
    await _check_may_read(services, principal_of(request), tenant_id)
    return Response(await _described(services, tenant_id))


@patch(
    "/tenants/{tenant_id:str}",
    guards=[requires("update:tenants")],
    operation_id="update_tenant",
    tags=["tenants"],
)
async def update(request: AnyRequest, tenant_id: str, data: TenantPatch) -> Response[Any]:
    services = services_of(request)
    changes = _changes(data)
    before = await services.registry.read(get_tenant, tenant_id)
    if before.state == TenantState.DELETED:
        raise NotFound("tenant")
    changed = {name: value for name, value in changes.items() if _plain(getattr(before, name)) != value}
    if changed:
        await services.registry.write(change_tenant, tenant_id, now_ms(services.clock), **changed)
    if "display_name" in changed and not before.is_control_plane:
        await services.lifecycle.rename(tenant_id, changed["display_name"])
    if "labels" in changed and before.state in (TenantState.ACTIVE, TenantState.SUSPENDED):
        await services.lifecycle.converge(tenant_id)
    await _record(request, f"Update tenant {tenant_id}", {"tenant": tenant_id, "changed": changed})
    return Response(await _described(services, tenant_id))


@delete(
    "/tenants/{tenant_id:str}",
    guards=[requires("delete:tenants")],
    status_code=202,
    operation_id="delete_tenant",
    tags=["tenants"],
)
async def remove(request: AnyRequest, tenant_id: str) -> Response[Any]:
    """`?confirm=<id>`, when given, must name the tenant: a second look for people and scripts."""
    services = services_of(request)
    confirm = parse_text(request.query_params, "confirm")
    if confirm is not None and confirm != tenant_id:
        raise Forbidden("The confirmation names another tenant.")
    refuse_tenant_one(await services.registry.read(get_tenant, tenant_id))
    operation_id = await services.lifecycle.delete(tenant_id)
    await _record(request, f"Delete tenant {tenant_id}", {"tenant": tenant_id, "operation": operation_id})
    body = await services.registry.read(_find, tenant_id)
    if body is None:
        return Response({"id": tenant_id, "state": "deleted"}, status_code=202)
    return Response(_wire(services.settings, *body, None), status_code=202)


async def _act(request: AnyRequest, tenant_id: str, verb: str) -> Response[Any]:
    services = services_of(request)
    refuse_tenant_one(await services.registry.read(get_tenant, tenant_id))
    await getattr(services.lifecycle, verb)(tenant_id)
    await _record(request, f"{verb.capitalize()} tenant {tenant_id}", {"tenant": tenant_id})
    return Response(await _described(services, tenant_id))


@post(
    "/tenants/{tenant_id:str}/suspend",
    guards=[requires("update:tenants")],
    status_code=200,
    operation_id="suspend_tenant",
    tags=["tenants"],
)
async def suspend(request: AnyRequest, tenant_id: str) -> Response[Any]:
    return await _act(request, tenant_id, "suspend")


@post(
    "/tenants/{tenant_id:str}/resume",
    guards=[requires("update:tenants")],
    status_code=200,
    operation_id="resume_tenant",
    tags=["tenants"],
)
async def resume(request: AnyRequest, tenant_id: str) -> Response[Any]:
    return await _act(request, tenant_id, "resume")


@post(
    "/tenants/{tenant_id:str}/restore",
    guards=[requires("delete:tenants")],
    status_code=200,
    operation_id="restore_tenant",
    tags=["tenants"],
)
async def restore(request: AnyRequest, tenant_id: str) -> Response[Any]:
    return await _act(request, tenant_id, "restore")


@post(
    "/tenants/{tenant_id:str}/retry",
    guards=[requires("update:operations")],
    status_code=200,
    operation_id="retry_tenant",
    tags=["tenants"],
)
async def retry(request: AnyRequest, tenant_id: str) -> Response[Any]:
    return await _act(request, tenant_id, "retry")


handlers = [list_all, create, read, update, remove, suspend, resume, restore, retry]

Described = tuple[RegisteredTenant, tuple[tuple[str, str], ...], SyncRecord | None]


def _find(connection: Connection, tenant_id: str) -> Described | None:
    try:
        return _describe(connection, tenant_id)
    except NotFound:
        return None


def _describe(connection: Connection, tenant_id: str) -> Described:
    tenant = get_tenant(connection, tenant_id)
    return tenant, hosts_of(connection, tenant_id), sync_record(connection, tenant_id)


def _page(connection: Connection, query: TenantQuery, asked: Offset) -> tuple[list[Described], int | None]:
    tenants = list_tenants(connection, query, offset=asked.offset, limit=asked.limit)
    total = count_tenants(connection, query) if asked.include_totals else None
    return _with_sync(connection, tenants), total


def _page_after(connection: Connection, query: TenantQuery, after: Any, limit: int) -> list[Described]:
    return _with_sync(connection, list_tenants_after(connection, query, after=after, limit=limit))


def _with_sync(connection: Connection, tenants: list[RegisteredTenant]) -> list[Described]:
    """Custom hosts are left out of lists: one query for each would be asked."""
    records = sync_records(connection, [tenant.id for tenant in tenants])
    return [(tenant, (), records.get(tenant.id)) for tenant in tenants]


async def _described(services: PlatformServices, tenant_id: str) -> dict[str, Any]:
    return _wire(
        services.settings, *await services.registry.read(_describe, tenant_id), await services.wanted()
    )


async def _query(request: AnyRequest, services: PlatformServices, principal: Principal) -> TenantQuery:
    sort = parse_sort(request.query_params, SORTS)
    state = parse_text(request.query_params, "state")
    if state is not None and state not in set(TenantState):
        raise InvalidQuery(f"The parameter 'state' must be one of {', '.join(TenantState)}.")
    return TenantQuery(
        q=parse_text(request.query_params, "q"),
        states=(state,) if state is not None else (),
        label=parse_text(request.query_params, "label"),
        organization_ids=await _visible(services, principal),
        sort=sort.field if sort is not None else "created_at",
        descending=sort.descending if sort is not None else False,
    )


async def _visible(services: PlatformServices, principal: Principal) -> tuple[str, ...] | None:
    """All tenants with `read:tenants`; otherwise those of the organizations the person belongs to."""
    if principal.has_permission("read:tenants"):
        return None
    return tuple(await services.operators.organization_ids(signed_in_person(principal)))


async def _check_may_read(services: PlatformServices, principal: Principal, tenant_id: str) -> None:
    if principal.org_id is not None:
        bound = await services.registry.read(tenant_by_organization, principal.org_id)
        if bound is None or bound.id != tenant_id:
            raise InsufficientReach()
        return
    visible = await _visible(services, principal)
    if visible is None:
        return
    tenant = await services.registry.read(_find, tenant_id)
    if tenant is None or tenant[0].organization_id not in visible:
        raise InsufficientReach()


async def _may_create(services: PlatformServices, principal: Principal) -> None:
    if principal.has_permission("create:tenants"):
        return
    if not services.settings.tenant_signup or principal.is_machine:
        raise InsufficientScope("create:tenants")
    if not await services.operators.is_verified(principal.subject):
        raise Forbidden("Verify your address before you create a tenant.")


def _changes(data: TenantPatch) -> dict[str, Any]:
    named = {
        name: value for name, value in msgspec.structs.asdict(data).items() if value is not msgspec.UNSET
    }
    if "friendly_name" in named:
        named.setdefault("display_name", named.pop("friendly_name"))
        named.pop("friendly_name", None)
    return named


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _fingerprint(query: TenantQuery) -> str:
    """A page token belongs to the query it was made for."""
    return repr(query)


async def _record(request: AnyRequest, description: str, details: dict[str, Any]) -> None:
    principal = principal_of(request)
    await services_of(request).record(
        description, principal.subject, details, str(request.scope["state"].get("request_id"))
    )


def _wire(
    settings: Settings,
    tenant: RegisteredTenant,
    hosts: tuple[tuple[str, str], ...],
    sync: SyncRecord | None,
    wanted: Wanted | None,
) -> dict[str, Any]:
    own = settings.control_plane_host if tenant.is_control_plane else settings.tenant_host(tenant.id)
    issuer = settings.control_plane_issuer if tenant.is_control_plane else settings.tenant_issuer(tenant.id)
    return {
        "id": tenant.id,
        "display_name": tenant.display_name,
        "friendly_name": tenant.display_name,
        "state": tenant.state,
        "issuer": issuer,
        "hosts": [own, *(host for host, _ in hosts)],
        "backend": tenant.backend,
        "region": tenant.region,
        "labels": list(tenant.labels),
        "limits": dict(tenant.limits),
        "organization_id": tenant.organization_id,
        "schema_version": tenant.schema_version,
        "sync": None if tenant.is_control_plane else sync_wire(sync, wanted),
        "error": tenant.error,
        "is_control_plane": tenant.is_control_plane,
        **{
            name: to_iso(value) if (value := getattr(tenant, name)) is not None else None
            for name in ("created_at", "updated_at", "suspended_at", "deleted_at", "purge_after")
        },
    }


def sync_wire(sync: SyncRecord | None, wanted: Wanted | None) -> dict[str, Any] | None:
    """How far one tenant follows. `lag` counts versions of tenant one; null when either side is not known."""
    if sync is None:
        return None
    same_life = wanted is not None and sync.applied_incarnation == wanted[0]
    lag = (
        wanted[1] - sync.applied_version
        if same_life and wanted and sync.applied_version is not None
        else None
    )
    return {
        "wanted": wanted[1] if wanted is not None else None,
        "applied": sync.applied_version,
        "applied_at": to_iso(sync.applied_at) if sync.applied_at is not None else None,
        "lag": lag,
        "converged": wanted is not None and not sync.lags(wanted),
        "attempts": sync.attempts,
        "last_error": sync.last_error,
        "conflicts": list(sync.conflicts),
        "dangling": list(sync.dangling),
    }
