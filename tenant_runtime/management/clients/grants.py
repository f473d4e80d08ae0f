"""`/api/v2/client-grants`: which APIs a client may call in its own name, and with which scopes."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import ColumnElement, Connection, Row, bindparam, select

from core.clock import next_second
from core.errors import InvalidInput, NotFound
from core.given import grant_name
from core.http.paging import parse_boolean, parse_text
from core.ids import new_id
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.clients import resource as clients
from tenant_runtime.management.editing import Body, Id, Maybe, named
from tenant_runtime.management.entities import Entity
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.models import ClientGrant, ResourceServer, Scope
from tenant_runtime.oauth.tokens.families import withdraw

_table, _server, _scope = ClientGrant.__table__, ResourceServer.__table__, Scope.__table__
Scopes = Annotated[list[Id], Meta(max_length=1000)]
Usage = Literal["deny", "allow", "require"]

_API = select(_server.c.id, _server.c.is_management).where(_server.c.identifier == bindparam("of"))
_SCOPES = select(_scope.c.value).where(_scope.c.resource_server_id == bindparam("of"))


class ClientGrantIn(Body, kw_only=True):
    client_id: Id
    audience: Annotated[str, Meta(min_length=1, max_length=600)]
    scope: Scopes
    organization_usage: Maybe[Usage | None] = UNSET
    allow_any_organization: Maybe[bool] = UNSET
    subject_type: Literal["client"] = "client"


class ClientGrantPatch(Body):
    scope: Maybe[Scopes] = UNSET
    organization_usage: Maybe[Usage | None] = UNSET
    allow_any_organization: Maybe[bool] = UNSET


def shape(row: Row[Any]) -> dict[str, Any]:
    shown = {
        "id": row.id,
        "client_id": row.client_id,
        "audience": row.audience,
        "scope": row.scope,
        "allow_any_organization": row.allow_any_organization,
        "subject_type": "client",
    }
    return {**shown, "organization_usage": row.organization_usage} if row.organization_usage else shown


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


ENTITY = Entity("client_grant", _table, "id", shape)
LISTING = Listing("client_grants", select(_table), (_table.c.created_at, _table.c.id), shape_all)


@reading("/client-grants", "read:client_grants")
async def list_client_grants(call: CallOf) -> Any:
    query = call.request.query_params
    criteria: list[ColumnElement[bool]] = [
        _table.c[name] == text
        for name in ("client_id", "audience")
        if (text := parse_text(query, name)) is not None
    ]
    if parse_text(query, "allow_any_organization") is not None:
        flag = parse_boolean(query, "allow_any_organization", default=False)
        criteria.append(_table.c.allow_any_organization.is_(flag))
    return await answer(call, LISTING, *criteria)


@reading("/client-grants/{id:str}", "read:client_grants")
async def get_client_grant(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return shape(await call.read(ENTITY.load, id))


@creating("/client-grants", "create:client_grants")
async def create_client_grant(call: CallOf, data: JSONBody[ClientGrantIn]) -> dict[str, Any]:
    members = named(data)
    del members["subject_type"]
    return await call.write(_create, new_id("cgr"), members, call.actor, call.now)


@changing("/client-grants/{id:str}", "update:client_grants")
async def update_client_grant(
    call: CallOf, id: FromPath[str], data: JSONBody[ClientGrantPatch]
) -> dict[str, Any]:
    return await call.write(_update, id, named(data), call.actor, call.now)


@removing("/client-grants/{id:str}", "delete:client_grants")
async def delete_client_grant(call: CallOf, id: FromPath[str]) -> None:
    await call.write(_remove, id, call.now)


def _create(connection: Connection, id: str, members: Mapping[str, Any], actor: Actor, now: int) -> Written:
    if clients.ENTITY.find(connection, members["client_id"]) is None:
        raise NotFound("client")
    scope = _checked(connection, members["audience"], members["scope"], (), actor)
    values = {
        "allow_any_organization": False,
        "organization_usage": None,
        **members,
        "scope": scope,
        "id": id,
    }
    _check_organizations(connection, values, actor)
    return ENTITY.made(ENTITY.create(connection, {**values, "created_at": now, "updated_at": now}))


def _update(connection: Connection, id: str, members: dict[str, Any], actor: Actor, now: int) -> Written:
    row = ENTITY.load(connection, id)
    if "scope" in members:
        scope = _checked(connection, row.audience, members["scope"], row.scope, actor)
        members = {**members, "scope": scope}
    if any(row._mapping[name] != value for name, value in members.items()):
        _check_organizations(connection, {**row._mapping, **members}, actor)
    if not set(row.scope) <= set(members.get("scope", row.scope)):
        _end_tokens(connection, row, now)
    return ENTITY.changed(row, ENTITY.change(connection, row, members, now))


def _remove(connection: Connection, id: str, now: int) -> Written:
    row = ENTITY.find(connection, id)
    if row is not None:
        _end_tokens(connection, row, now)
    return ENTITY.remove(connection, id)


def _end_tokens(connection: Connection, row: Row[Any], now: int) -> None:
    """On the Management API no token outlives what it says."""
    api = connection.execute(_API, {"of": row.audience}).one_or_none()
    if api is None or not api.is_management:
        return
    withdraw(connection, grant_name(row.client_id), now_ms=next_second(now), reason="grant_taken")


def _checked(
    connection: Connection, audience: str, scope: Collection[str], before: Collection[str], actor: Actor
) -> list[str]:
    """Of what is new, each must exist, and on the Management API be the actor's own."""
    api = connection.execute(_API, {"of": audience}).one_or_none()
    if api is None:
        raise InvalidInput("`audience` names no API of this tenant.")
    new = set(scope) - set(before)
    unknown = new - set(connection.execute(_SCOPES, {"of": api.id}).scalars())
    if unknown:
        raise InvalidInput(f"`scope` names what the API does not define: {', '.join(sorted(unknown)[:5])}.")
    if api.is_management:
        escalation.check_permissions(actor, new)
    return list(dict.fromkeys(scope))


def _check_organizations(connection: Connection, grant: Mapping[str, Any], actor: Actor) -> None:
    """On the Management API of tenant one, a token of an organization is a token for that organization's tenant."""
    usage, allow_any = grant["organization_usage"], grant["allow_any_organization"]
    if not escalation.opens_organizations(connection, grant["id"], usage, allow_any):
        return
    if connection.execute(_API, {"of": grant["audience"]}).one().is_management:
        escalation.check_enters_tenants(connection, actor)


handlers = [
    list_client_grants,
    get_client_grant,
    create_client_grant,
    update_client_grant,
    delete_client_grant,
]
