"""The organizations' half of `/api/auth/organization/*` (`specs/organization-api.md` A.1)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import msgspec
from litestar import MediaType, Response
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection, Row

from core.ids import new_id
from tenant_runtime.audit import Event, record
from tenant_runtime.organizations import as_tenants
from tenant_runtime.organizations.access import OWNER
from tenant_runtime.organizations.acting import OF_STANDING, Acting
from tenant_runtime.organizations.active import clear_active
from tenant_runtime.organizations.fields import given_fields, kept_fields, kept_of_organizations
from tenant_runtime.organizations.lifecycle import full, rows, units
from tenant_runtime.organizations.lifecycle.shapes import organization_as_object, organization_as_text
from tenant_runtime.organizations.lifecycle.values import Changes, Logo, Name, Slug, checked, said
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.people.endpoints import page_size
from tenant_runtime.organizations.people.listing import LARGEST_PAGE
from tenant_runtime.organizations.people.shapes import member_shown
from tenant_runtime.organizations.teams.units import new_team_ids
from tenant_runtime.organizations.wire import (
    ApiCall,
    ApiError,
    ApiSession,
    CallOf,
    bare,
    read_endpoint,
    refusal,
    write_endpoint,
)
from tenant_runtime.organizations.wire.cookies import cookies_again
from tenant_runtime.organizations.wire.shapes import answer_null
from tenant_runtime.registration.rates import Rate

P = ParamSpec("P")
T = TypeVar("T")

AnySlug = Annotated[str, Meta(max_length=255)]
Id = Annotated[str, Meta(max_length=255)]
LOOKS = Rate(60, 60)


class NewBody(msgspec.Struct, rename="camel"):
    name: Name
    slug: Slug
    logo: Logo | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    keep_current_active_organization: bool = False


class SlugBody(msgspec.Struct, rename="camel"):
    slug: Slug


class Named(msgspec.Struct, rename="camel"):
    organization_id: Id | None = None
    organization_slug: AnySlug | None = None


class FullQuery(Named, rename="camel"):
    members_limit: Annotated[int, Meta(ge=0, le=LARGEST_PAGE)] | None = None


class ActiveBody(msgspec.Struct, rename="camel"):
    organization_id: Id | UnsetType | None = UNSET
    organization_slug: AnySlug | None = None


class UpdateBody(msgspec.Struct, rename="camel"):
    data: Changes
    organization_id: Id | None = None


class DeleteBody(msgspec.Struct, rename="camel"):
    organization_id: Id


@write_endpoint("/organization/create")
async def create_organization(call: CallOf) -> Any:
    session, body, options = await call.session(bare(401)), await call.body(NewBody), await call.options()
    fields = await given_fields(call, options.fields("organization"))
    asked = {"name": body.name, "slug": body.slug, "logo": body.logo, "metadata": body.metadata}
    new = _new(call, checked(asked), fields)
    unit = partial(
        _create,
        acting=Acting(session.user_id, options, call.now, session.id),
        event=call.event("organization_created", "An organization was made", by=session.user_id),
        session_id=None if body.keep_current_active_organization else session.id,
    )
    values = await call.before(
        "create_organization", {**asked, "fields": fields}, rehearsal=partial(unit, new=new)
    )
    new = _changed(call, new, values)
    first = {"user_id": session.user_id, "role": [OWNER], "fields": {}}
    await call.before("add_member", first, organization_id=new.id)
    if (lifecycle := as_tenants.lifecycle_for(call.tenant, call.services)) is not None:
        await call.rehearse(partial(unit, new=new))
        by = as_tenants.Founder(session.user_id, session.email_verified)
        await as_tenants.make_tenant(lifecycle, call.services, call.tenant, new, by)
        unit = partial(unit, make=as_tenants.found_organization)
    shown = await call.write(partial(unit, new=new))
    await call.after("create_organization", organization_id=shown["id"], organization=shown)
    await call.after("add_member", organization_id=shown["id"], member=shown["members"][0])
    return shown


@write_endpoint("/organization/check-slug")
async def check_slug(call: CallOf) -> Any:
    """Counted: it tells of organizations that are not one's own."""
    session, body = await call.session(), await call.body(SlugBody)
    call.services.rates.count(LOOKS, ("check-slug", call.tenant.id, session.user_id), call.now)
    await call.read(units.check_slug, body.slug, is_reserved=_is_reserved(call, body.slug))
    if (lifecycle := as_tenants.lifecycle_for(call.tenant, call.services)) is not None:
        await as_tenants.check_slug(lifecycle, body.slug)
    return {"status": True}


@read_endpoint("/organization/list")
async def list_organizations(call: CallOf) -> Any:
    session, options = await call.session(), await call.options()
    return await call.read(_list, session.user_id, options)


@read_endpoint("/organization/get-organization")
async def get_organization(call: CallOf) -> Any:
    session, query, options = await call.session(), call.query(Named), await call.options()
    named = (query.organization_id or session.active_organization_id, query.organization_slug)
    acting = Acting(session.user_id, options, call.now, session.id)
    shown = await _stands_there(call, session, _get, acting, *named)
    return answer_null() if shown is None else shown


@read_endpoint("/organization/get-full-organization")
async def get_full_organization(call: CallOf) -> Any:
    session, query, options = await call.session(), call.query(FullQuery), await call.options()
    limit = page_size(options) if query.members_limit is None else query.members_limit
    named = (query.organization_id or session.active_organization_id, query.organization_slug)
    acting = Acting(session.user_id, options, call.now, session.id)
    shown = await _stands_there(call, session, full.full_organization, acting, *named, limit)
    return answer_null() if shown is None else shown


@write_endpoint("/organization/set-active")
async def set_active_organization(call: CallOf) -> Any:
    session, body, options = await call.session(), await call.body(ActiveBody), await call.options()
    if body.organization_id is None:
        await call.write(clear_active, session.id, call.now)
        return Response(b"null", media_type=MediaType.JSON, cookies=cookies_again(call, session))
    by_id = None if body.organization_id is UNSET else body.organization_id or None
    slug = None if by_id is not None else body.organization_slug or None
    known = by_id or ("" if slug is not None else session.active_organization_id)
    if known is None:
        return answer_null()
    acting = Acting(session.user_id, options, call.now, session.id)
    shown = await call.write(_choose, acting, session.id, known, slug)
    if isinstance(shown, ApiError):
        raise shown
    return Response(shown, cookies=cookies_again(call, session))


@write_endpoint("/organization/update")
async def update_organization(call: CallOf) -> Any:
    session = await call.session(refusal(401, "UNAUTHORIZED", "User not found", has_code=False))
    body, options = await call.body(UpdateBody), await call.options()
    asked = checked(said(body.data))
    if fields := await given_fields(call, options.fields("organization"), under="data", is_new=False):
        asked["fields"] = fields
    if not asked:
        raise refusal(400, "VALIDATION_ERROR", "[body.data] Expected something to change")
    organization_id = body.organization_id or session.active_organization_id
    if organization_id is None:
        raise rows.not_found()
    unit = partial(
        _update,
        acting=Acting(session.user_id, options, call.now, session.id),
        organization_id=organization_id,
        event=call.event(
            "organization_updated",
            "An organization was changed",
            organization_id=organization_id,
            changed=sorted(asked),
        ),
    )
    values = await call.before(
        "update_organization",
        asked,
        rehearsal=partial(unit, changes=_with_reserve(call, asked)),
        organization_id=organization_id,
    )
    shown = await call.write(partial(unit, changes=_with_reserve(call, checked(values))))
    await call.after("update_organization", organization_id=organization_id, organization=shown)
    return shown


@write_endpoint("/organization/delete")
async def delete_organization(call: CallOf) -> Any:
    options = await call.options()
    if options.disable_organization_deletion:
        raise refusal(404, "ORGANIZATION_DELETION_DISABLED", "Organization deletion is disabled")
    session, body = await call.session(bare(401)), await call.body(DeleteBody)
    organization_id, acting = body.organization_id, Acting(session.user_id, options, call.now, session.id)
    event = call.event("organization_deleted", "An organization was deleted", organization_id=organization_id)
    lifecycle, tenant_id = as_tenants.lifecycle_for(call.tenant, call.services), None
    if lifecycle is not None:
        tenant_id = await call.read(as_tenants.tenant_to_delete, acting, organization_id)
    unit = partial(_delete, acting=acting, organization_id=organization_id, event=event)
    if tenant_id is not None:
        unit = partial(_shown_to_owner, acting=acting, organization_id=organization_id)
    await call.before("delete_organization", {}, rehearsal=unit, organization_id=organization_id)
    shown = await call.write(unit)
    if lifecycle is not None and tenant_id is not None:
        await lifecycle.delete(tenant_id)
        await call.tenant.database.write(record, event)  # it is done, whoever's session has ended meanwhile
    await call.after("delete_organization", organization_id=organization_id, organization=shown)
    return shown


# --- What a body says ------------------------------------------------------------------------------------------------


def _new(call: ApiCall, values: Mapping[str, Any], fields: Mapping[str, Any]) -> units.NewOrganization:
    return units.NewOrganization(
        id=new_id("org"),
        member_id=new_id("mem"),
        team=new_team_ids(),
        is_reserved=_is_reserved(call, values["slug"]),
        fields=fields,
        **values,
    )


def _changed(call: ApiCall, new: units.NewOrganization, values: dict[str, Any]) -> units.NewOrganization:
    """As a hook wants it."""
    return replace(new, **checked(values), is_reserved=_is_reserved(call, values["slug"]))


def _with_reserve(call: ApiCall, values: Mapping[str, Any]) -> dict[str, Any]:
    slug = values.get("slug")
    return {**values, "is_reserved": slug is not None and _is_reserved(call, slug)}


def _is_reserved(call: ApiCall, slug: str) -> bool:
    return call.services.settings.is_reserved(slug)


async def _stands_there(
    call: ApiCall,
    session: ApiSession,
    unit: Callable[Concatenate[Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Whoever asks about an organization that is not theirs is in none afterwards (A.1)."""
    try:
        return await call.read(unit, *args, **kwargs)
    except ApiError as error:
        is_theirs = error.code in OF_STANDING
        if error.status == 403 and not is_theirs and session.active_organization_id is not None:
            await call.write(clear_active, session.id, call.now)
        raise


# --- Units that also shape their answer ------------------------------------------------------------------------------


def _create(
    connection: Connection,
    *,
    acting: Acting,
    make: Callable[..., units.Created] = units.create_organization,
    **about: Any,
) -> dict[str, Any]:
    made = make(connection, acting, **about)
    shown = _as_object(connection, made.organization, acting.options)
    creator = member_shown(made.creator, acting.options.fields("member"), {})
    return {**shown, "members": [creator]}


def _list(connection: Connection, user_id: str, options: OrganizationOptions) -> list[dict[str, Any]]:
    found, declared = rows.organizations_of(connection, user_id), options.fields("organization")
    kept = kept_of_organizations(connection, [row.id for row in found]) if declared else {}
    return [organization_as_text(row, declared, kept.get(row.id, {})) for row in found]


def _get(
    connection: Connection, acting: Acting, organization_id: str | None, slug: str | None
) -> dict[str, Any] | None:
    known = rows.id_of_named(connection, organization_id, slug)
    if known is None:
        return None
    return _as_text(connection, rows.of_member(connection, known, acting), acting.options)


def _choose(
    connection: Connection, acting: Acting, session_id: str, organization_id: str, slug: str | None
) -> dict[str, Any] | ApiError:
    chosen = units.choose_organization(connection, acting, session_id, organization_id, slug)
    return chosen if isinstance(chosen, ApiError) else _as_text(connection, chosen, acting.options)


def _update(connection: Connection, *, acting: Acting, **about: Any) -> dict[str, Any]:
    return _as_object(connection, units.update_organization(connection, acting, **about), acting.options)


def _delete(connection: Connection, *, acting: Acting, organization_id: str, event: Event) -> dict[str, Any]:
    kept = _kept(connection, organization_id, acting.options)
    row = units.delete_organization(connection, acting, organization_id, event)
    return organization_as_text(row, acting.options.fields("organization"), kept)


def _shown_to_owner(connection: Connection, *, acting: Acting, organization_id: str) -> dict[str, Any]:
    """Of one whose tenant is about to be deleted."""
    as_tenants.tenant_to_delete(connection, acting, organization_id)
    return _as_text(connection, rows.of_member(connection, organization_id, acting), acting.options)


def _as_object(connection: Connection, row: Row[Any], options: OrganizationOptions) -> dict[str, Any]:
    return organization_as_object(row, options.fields("organization"), _kept(connection, row.id, options))


def _as_text(connection: Connection, row: Row[Any], options: OrganizationOptions) -> dict[str, Any]:
    return organization_as_text(row, options.fields("organization"), _kept(connection, row.id, options))


def _kept(connection: Connection, organization_id: str, options: OrganizationOptions) -> dict[str, Any]:
    if not options.fields("organization"):
        return {}
    return kept_fields(connection, "organization", organization_id, [organization_id]).get(
        organization_id, {}
    )


handlers: Sequence[Any] = [
    create_organization,
    check_slug,
    list_organizations,
    get_organization,
    get_full_organization,
    set_active_organization,
    update_organization,
    delete_organization,
]
