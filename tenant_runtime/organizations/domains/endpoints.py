"""`/api/auth/organization/*-domain*`: an organization's own domains, by whoever may update it."""

from collections.abc import Callable
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from core.ids import new_id, new_secret
from tenant_runtime.audit import Event, record
from tenant_runtime.audit.codes import CODES
from tenant_runtime.organizations.acting import Acting, chosen_organization
from tenant_runtime.organizations.domains import proving, units
from tenant_runtime.organizations.domains.names import claimable, place_of
from tenant_runtime.organizations.domains.shapes import domain_shown
from tenant_runtime.organizations.policies.letting_in import check_may_let_in
from tenant_runtime.organizations.policies.rights import require_update
from tenant_runtime.organizations.policies.settings import settings_of
from tenant_runtime.organizations.wire import ApiCall, CallOf, read_endpoint, refusal, write_endpoint

P = ParamSpec("P")
T = TypeVar("T")
Id = Annotated[str, Meta(min_length=1, max_length=255)]
Domain = Annotated[str, Meta(min_length=1, max_length=253)]


class OrganizationQuery(msgspec.Struct, rename="camel"):
    organization_id: Id | None = None


class NewDomainBody(msgspec.Struct, rename="camel"):
    domain: Domain
    use_for_discovery: bool = True
    organization_id: Id | None = None


class DomainBody(msgspec.Struct, rename="camel"):
    domain_id: Id
    organization_id: Id | None = None


class DomainUpdateBody(msgspec.Struct, rename="camel"):
    domain_id: Id
    use_for_discovery: bool | UnsetType = UNSET
    organization_id: Id | None = None


@write_endpoint("/organization/add-domain")
async def add_domain(call: CallOf) -> Any:
    session, body = await call.session(), await call.body(NewDomainBody)
    organization_id = chosen_organization(session, body.organization_id)
    id, domain, token = new_id("dom"), claimable(body.domain), new_secret(24)
    event = _event(call, "organization_domain_added", organization_id, domain=domain)
    row = await call.write(
        _act,
        await _acting(call),
        organization_id,
        event,
        units.add_domain,
        id,
        domain,
        token,
        call.now,
        is_for_discovery=body.use_for_discovery,
    )
    return domain_shown(row)


@read_endpoint("/organization/list-domains")
async def list_domains(call: CallOf) -> Any:
    session = await call.session()
    organization_id = chosen_organization(session, call.query(OrganizationQuery).organization_id)
    rows = await call.read(_act, await _acting(call), organization_id, None, units.domains_of)
    return [domain_shown(row) for row in rows]


@write_endpoint("/organization/verify-domain")
async def verify_domain(call: CallOf) -> Any:
    session, body = await call.session(), await call.body(DomainBody)
    organization_id, acting = chosen_organization(session, body.organization_id), await _acting(call)
    id = body.domain_id
    domain = await call.write(_act, acting, organization_id, None, proving.begin_look, id, call.now)
    texts = await proving.texts_of(call.services.names, domain)
    event = _event(call, "organization_domain_verified", organization_id, domain=domain)
    looked = await call.write(_act, acting, organization_id, None, proving.finish_look, id, texts, event)
    if not looked.is_there:
        place = place_of(looked.row.domain)
        raise refusal(400, "DOMAIN_NOT_VERIFIED", f"{place} has no TXT record with the domain's text yet")
    return domain_shown(looked.row)


@write_endpoint("/organization/update-domain")
async def update_domain(call: CallOf) -> Any:
    session, body = await call.session(), await call.body(DomainUpdateBody)
    organization_id = chosen_organization(session, body.organization_id)
    if body.use_for_discovery is UNSET:
        raise refusal(400, "VALIDATION_ERROR", "[body.useForDiscovery] Required")
    row = await call.write(
        _act,
        await _acting(call),
        organization_id,
        _event(call, "organization_domain_updated", organization_id, domain_id=body.domain_id),
        units.change_domain,
        body.domain_id,
        call.now,
        is_for_discovery=body.use_for_discovery,
    )
    return domain_shown(row)


@write_endpoint("/organization/remove-domain")
async def remove_domain(call: CallOf) -> Any:
    session, body = await call.session(), await call.body(DomainBody)
    organization_id = chosen_organization(session, body.organization_id)
    event = _event(call, "organization_domain_removed", organization_id, domain_id=body.domain_id)
    acting = await _acting(call)
    row = await call.write(_act, acting, organization_id, event, units.remove_domain, body.domain_id)
    return domain_shown(row)


handlers = [add_domain, list_domains, verify_domain, update_domain, remove_domain]

_LETTING_IN = (proving.begin_look, proving.finish_look)
"""Units that let people in who have an address there."""


def _act(
    connection: Connection,
    acting: Acting,
    organization_id: str,
    event: Event | None,
    unit: Callable[Concatenate[Connection, str, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    member = require_update(connection, acting, organization_id)
    if unit in _LETTING_IN:
        settings = settings_of(connection, organization_id)
        if settings.domain_joining != "off":
            check_may_let_in(connection, member, settings.domain_joining_role, acting.options)
    done = unit(connection, organization_id, *args, **kwargs)
    if event is not None:
        record(connection, event)
    return done


async def _acting(call: ApiCall) -> Acting:
    session = await call.session()
    return Acting(session.user_id, await call.options(), call.now, session.id)


def _event(call: ApiCall, type: str, organization_id: str, **about: str) -> Event:
    return call.event(type, CODES[type].description, organization_id=organization_id, **about)
