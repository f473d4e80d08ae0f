"""`/api/v2/tenants` on the control-plane host: the tenants of the installation (`specs/tenancy.md` section 2)."""

from contextlib import suppress
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection

from controlplane.access import needs, outside_organizations, signed_in_person
from controlplane.events import record
from controlplane.idempotency import answer_of_creation, answered_once, is_used, of_creation, request_key
from controlplane.registry.idempotency_keys import KeyInUse
from controlplane.registry.tenant_lists import (
    SORTS,
    TenantQuery,
    count_tenants,
    list_tenants,
    list_tenants_after,
    position_of,
)
from controlplane.registry.tenants import (
    find_tenant,
    get_tenant,
    refuse_tenant_one,
    tenant_by_organization,
)
from controlplane.services import PlatformServices, services_of
from controlplane.wire import Described, describe_all, described, tenant_wire
from core.errors import Forbidden, InsufficientReach, InsufficientScope, InvalidQuery, NotFound
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
from core.http.refusals import RESPONSES
from core.tenants import NewTenant, RequestKey, TenantState
from keystead_sdk.litestar import principal_of
from keystead_sdk.principal import Principal

AnyRequest = Request[Any, Any, Any]

CREATE = "create:tenants"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Label = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?\Z")]
Labels = Annotated[list[Label], msgspec.Meta(max_length=32)]
Limit = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Limits = Annotated[dict[str, Limit], msgspec.Meta(max_length=32)]


class TenantBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant is created from. `friendly_name` is Auth0's word for `display_name`."""

    id: str
    display_name: Name | None = None
    friendly_name: Name | None = None
    backend: str | None = None
    region: Annotated[str, msgspec.Meta(max_length=63, pattern=r"^[^\x00-\x1f\x7f]*\Z")] | None = None
    labels: Labels = []
    add_creator: bool = True

    @property
    def is_placed(self) -> bool:
        """Says where the tenant goes, or what it shares in: the installation's to say."""
        return self.backend is not None or self.region is not None or bool(self.labels)


class TenantPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    display_name: Name | msgspec.UnsetType = msgspec.UNSET
    friendly_name: Name | msgspec.UnsetType = msgspec.UNSET
    labels: Labels | msgspec.UnsetType = msgspec.UNSET
    limits: Limits | msgspec.UnsetType = msgspec.UNSET


@get(
    "/tenants",
    guards=[outside_organizations],
    responses=RESPONSES,
    security=[{"bearer": ["read:tenants"]}, {"bearer": []}],
    operation_id="list_tenants",
    tags=["tenants"],
)
async def list_all(request: AnyRequest) -> Response[Any]:
    services = services_of(request)
    query = await _query(request, services, principal_of(request))
    wanted = await services.wanted()
    checkpoint = parse_checkpoint(request.query_params)
    if checkpoint is not None:
        key, name = services.key.derive("page tokens"), f"tenants:{query!r}"
        after = decode_cursor(key, "registry", name, checkpoint.after) if checkpoint.after else None
        found = await services.registry.read(_page_after, query, after, checkpoint.take + 1)
        page = found[: checkpoint.take]
        token = None
        if len(found) > checkpoint.take:
            token = encode_cursor(key, "registry", name, position_of(page[-1][0], query))
        items = [tenant_wire(services.settings, *row, wanted) for row in page]
        return Response(checkpoint_answer(items, "tenants", token))
    asked = parse_offset(request.query_params)
    rows, total = await services.registry.read(_page, query, asked)
    items = [tenant_wire(services.settings, *row, wanted) for row in rows]
    return Response(offset_answer(items, "tenants", asked, total))


@post(
    "/tenants",
    guards=[outside_organizations],
    responses=RESPONSES,
    security=[{"bearer": [CREATE]}, {"bearer": []}],
    operation_id="create_tenant",
    tags=["tenants"],
)
async def create(request: AnyRequest, data: JSONBody[TenantBody]) -> Response[Any]:
    services, principal = services_of(request), principal_of(request)
    await _check_may_create(services, principal, data)
    most = None if principal.has_permission(CREATE) else services.settings.tenants_per_user
    key = await request_key(request)
    if key is None:
        await _create(request, _new(data, principal, most))
        return Response(await described(services, data.id), status_code=201)
    if not await is_used(services, key):
        with suppress(KeyInUse):  # the same request, at the same moment: its tenant is ours
            await _create(request, _new(data, principal, most, of_creation(services, key, data.id)))
    return await answer_of_creation(services, key, lambda tenant_id: described(services, tenant_id))


@get(
    "/tenants/{tenant_id:str}",
    responses=RESPONSES,
    security=[{"bearer": ["read:tenants"]}, {"bearer": []}],
    operation_id="get_tenant",
    tags=["tenants"],
)
async def read(request: AnyRequest, tenant_id: FromPath[str]) -> Response[Any]:
    services = services_of(request)
    await _check_may_read(services, principal_of(request), tenant_id)
    return Response(await described(services, tenant_id))


@patch("/tenants/{tenant_id:str}", operation_id="update_tenant", tags=["tenants"], **needs("update:tenants"))
async def update(request: AnyRequest, tenant_id: FromPath[str], data: JSONBody[TenantPatch]) -> Response[Any]:
    services = services_of(request)
    before = await services.registry.read(get_tenant, tenant_id)
    if before.state == TenantState.DELETED:
        raise NotFound("tenant")
    changes = {
        name: value for name, value in _changes(data).items() if _plain(getattr(before, name)) != value
    }
    if changes:
        await services.lifecycle.change(tenant_id, changes)
        await record(request, f"Update tenant {tenant_id}", tenant=tenant_id, changed=changes)
    return Response(await described(services, tenant_id))


@delete(
    "/tenants/{tenant_id:str}",
    status_code=202,
    operation_id="delete_tenant",
    tags=["tenants"],
    **needs("delete:tenants"),
)
async def remove(request: AnyRequest, tenant_id: FromPath[str]) -> Response[Any]:
    """`?confirm=<id>`, when given, must name the tenant: a second look for people and scripts."""
    services = services_of(request)
    confirm = parse_text(request.query_params, "confirm")
    if confirm is not None and confirm != tenant_id:
        raise Forbidden("The confirmation names another tenant.")
    tenant = await services.registry.read(get_tenant, tenant_id)
    refuse_tenant_one(tenant)
    if tenant.state != TenantState.DELETED:
        operation_id = await services.lifecycle.delete(tenant_id)
        await record(request, f"Delete tenant {tenant_id}", tenant=tenant_id, operation=operation_id)
    try:
        return Response(await described(services, tenant_id), status_code=202)
    except NotFound:  # it never served, so nothing of it stays, not even its id
        return Response({"id": tenant_id, "state": TenantState.DELETED}, status_code=202)


async def _act(request: AnyRequest, tenant_id: str, verb: str) -> Response[Any]:
    services = services_of(request)

    async def act() -> dict[str, Any]:
        refuse_tenant_one(await services.registry.read(get_tenant, tenant_id))
        await getattr(services.lifecycle, verb)(tenant_id)
        await record(request, f"{verb.capitalize()} tenant {tenant_id}", tenant=tenant_id)
        return await described(services, tenant_id)

    return await answered_once(request, act)


@post(
    "/tenants/{tenant_id:str}/suspend",
    status_code=200,
    operation_id="suspend_tenant",
    tags=["tenants"],
    **needs("update:tenants"),
)
async def suspend(request: AnyRequest, tenant_id: FromPath[str]) -> Response[Any]:
    return await _act(request, tenant_id, "suspend")


@post(
    "/tenants/{tenant_id:str}/resume",
    status_code=200,
    operation_id="resume_tenant",
    tags=["tenants"],
    **needs("update:tenants"),
)
async def resume(request: AnyRequest, tenant_id: FromPath[str]) -> Response[Any]:
    return await _act(request, tenant_id, "resume")


@post(
    "/tenants/{tenant_id:str}/restore",
    status_code=200,
    operation_id="restore_tenant",
    tags=["tenants"],
    **needs("delete:tenants"),
)
async def restore(request: AnyRequest, tenant_id: FromPath[str]) -> Response[Any]:
    return await _act(request, tenant_id, "restore")


@post(
    "/tenants/{tenant_id:str}/retry",
    status_code=200,
    operation_id="retry_tenant",
    tags=["tenants"],
    **needs("update:operations"),
)
async def retry(request: AnyRequest, tenant_id: FromPath[str]) -> Response[Any]:
    return await _act(request, tenant_id, "retry")


handlers = [list_all, create, read, update, remove, suspend, resume, restore, retry]


def _page(connection: Connection, query: TenantQuery, asked: Offset) -> tuple[list[Described], int | None]:
    tenants = list_tenants(connection, query, offset=asked.offset, limit=asked.limit)
    total = count_tenants(connection, query) if asked.include_totals else None
    return describe_all(connection, tenants), total


def _page_after(connection: Connection, query: TenantQuery, after: Any, limit: int) -> list[Described]:
    return describe_all(connection, list_tenants_after(connection, query, after=after, limit=limit))


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
    tenant = await services.registry.read(find_tenant, tenant_id)
    if tenant is None or tenant.organization_id not in visible:
        raise InsufficientReach()


async def _check_may_create(services: PlatformServices, principal: Principal, data: TenantBody) -> None:
    if principal.has_permission(CREATE):
        return
    if not services.settings.tenant_signup or principal.is_machine:
        raise InsufficientScope(CREATE)
    if not await services.operators.is_verified(principal.subject):
        raise Forbidden("Verify your address before you create a tenant.")
    if data.is_placed:
        raise Forbidden("Only an operator chooses back end, region and labels.")


def _new(
    data: TenantBody, principal: Principal, most: int | None, key: RequestKey | None = None
) -> NewTenant:
    return NewTenant(
        id=data.id,
        display_name=data.display_name or data.friendly_name or data.id,
        backend=data.backend,
        region=data.region,
        labels=frozenset(data.labels),
        creator_user_id=None if principal.is_machine else principal.subject,
        add_creator=data.add_creator,
        most_of_creator=most,
        request_key=key,
    )


async def _create(request: AnyRequest, new: NewTenant) -> None:
    await services_of(request).lifecycle.create(new)
    await record(request, f"Create tenant {new.id}", tenant=new.id)


def _changes(data: TenantPatch) -> dict[str, Any]:
    named = {
        name: value for name, value in msgspec.structs.asdict(data).items() if value is not msgspec.UNSET
    }
    if "friendly_name" in named:
        named.setdefault("display_name", named.pop("friendly_name"))
        named.pop("friendly_name", None)
    if "labels" in named:
        named["labels"] = sorted(set(named["labels"]))
    return named


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
