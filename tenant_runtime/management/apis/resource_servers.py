"""`/api/v2/resource-servers`: the APIs that accept the tenant's tokens, with their scopes.

Ids hold no slash, identifiers do: an API is read by its id, by an identifier without slashes in the path, or by
`?identifier=` on the list. The tenant's own Management API is a system resource: its scopes are what this server
offers, and its enforcement is what keeps them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from litestar import Response
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import Connection, Row, bindparam, delete, insert, or_, select, update

from core.errors import Conflict, InvalidInput, ManagedByControlPlane, NotFound
from core.http.paging import parse_text
from core.ids import new_id
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.catalogue_sync import check_wait, waited
from tenant_runtime.management.editing import (
    Body,
    Labels,
    LongText,
    Maybe,
    Name,
    Object,
    Seconds,
    ShortText,
    check_labels,
    merged,
    named,
)
from tenant_runtime.management.entities import Entity
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.models import ResourceServer, Scope
from tenant_runtime.oauth.keys.signing import ALGORITHMS
from tenant_runtime.oauth.policy import PROTOCOL_SCOPES

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
Dialect = Literal["access_token", "access_token_authz", "rfc9068_profile", "rfc9068_profile_authz"]
Identifier = Annotated[str, Meta(min_length=1, max_length=600, pattern=r"^[\x21-\x7e]+$")]
ScopeValue = Annotated[str, Meta(min_length=1, max_length=280, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]

_table, _scopes = ResourceServer.__table__, Scope.__table__
COLUMNS = frozenset(_table.c.keys())
FIXED_ON_MANAGEMENT = frozenset(
    {"scopes", "name", "signing_alg", "enforce_policies", "token_dialect", "labels", "metadata"}
)
"""Who could change these could give themself every permission, or break every client."""


class ScopeBody(Body):
    value: ScopeValue
    description: LongText | None = None


Scopes = Annotated[list[ScopeBody], Meta(max_length=1000)]


class ProofOfPossession(Body):
    """`required`: the API's access tokens are bound to a key, whichever client asks (RFC 9449)."""

    mechanism: Literal["dpop"]
    required: bool


class ResourceServerPatch(Body):
    name: Maybe[Name] = UNSET
    scopes: Maybe[Scopes] = UNSET
    signing_alg: Maybe[Algorithm] = UNSET
    allow_offline_access: Maybe[bool] = UNSET
    skip_consent_for_verifiable_first_party_clients: Maybe[bool] = UNSET
    token_lifetime: Maybe[Seconds] = UNSET
    token_lifetime_for_web: Maybe[Seconds] = UNSET
    enforce_policies: Maybe[bool] = UNSET
    token_dialect: Maybe[Dialect] = UNSET
    metadata: Maybe[Object | None] = UNSET
    labels: Maybe[Labels] = UNSET
    proof_of_possession: Maybe[ProofOfPossession | None] = UNSET
    # what Auth0's clients write and this server keeps without acting on it
    token_encryption: Maybe[Object | None] = UNSET
    consent_policy: Maybe[ShortText | None] = UNSET
    authorization_details: Maybe[list[Object] | None] = UNSET
    subject_type_authorization: Maybe[Object | None] = UNSET
    allow_online_access: Maybe[bool] = UNSET


class ResourceServerIn(ResourceServerPatch, kw_only=True):
    identifier: Identifier


def shape(row: Row[Any], scopes: Sequence[Row[Any]] = ()) -> dict[str, Any]:
    shown = {
        "id": row.id,
        "name": row.name,
        "identifier": row.identifier,
        "scopes": [_scope(scope) for scope in scopes],
        "signing_alg": row.signing_alg,
        "allow_offline_access": row.allow_offline_access,
        "skip_consent_for_verifiable_first_party_clients": row.skip_consent_for_verifiable_first_party_clients,
        "token_lifetime": row.token_lifetime,
        "token_lifetime_for_web": row.token_lifetime_for_web,
        "enforce_policies": row.enforce_policies,
        "token_dialect": row.token_dialect,
        "is_system": bool(row.is_system or row.is_management),
    }
    kept = {"metadata": row.metadata, "labels": row.labels}
    return {**row.attributes, **shown, **{name: value for name, value in kept.items() if value}}


def _scope(row: Row[Any]) -> dict[str, Any]:
    described = {"value": row.value, "description": row.description}
    return described if row.description is not None else {"value": row.value}


ENTITY = Entity("resource_server", _table, "id", shape)
_BY_KEY = select(_table).where(or_(_table.c.id == bindparam("of"), _table.c.identifier == bindparam("of")))
_OF_NAME = select(_table.c.id).where(_table.c.name == bindparam("of"))
_SCOPES_OF = (
    select(_scopes)
    .where(_scopes.c.resource_server_id.in_(bindparam("ids", expanding=True)))
    .order_by(_scopes.c.position, _scopes.c.value)
)


def _scopes_of(connection: Connection, ids: Sequence[str]) -> Mapping[str, list[Row[Any]]]:
    found: dict[str, list[Row[Any]]] = {key: [] for key in ids}
    for row in connection.execute(_SCOPES_OF, {"ids": ids}):
        found[row.resource_server_id].append(row)
    return found


def _page(connection: Connection, rows: Rows) -> Items:
    scopes = _scopes_of(connection, [row.id for row in rows])
    return [shape(row, scopes[row.id]) for row in rows]


LISTING = Listing("resource_servers", select(_table), (_table.c.created_at, _table.c.id), _page)


@reading("/resource-servers", "read:resource_servers")
async def list_resource_servers(call: CallOf) -> Any:
    query = call.request.query_params
    wanted = [*query.getall("identifiers", []), *filter(None, [parse_text(query, "identifier")])]
    if not wanted:
        return await answer(call, LISTING)
    return await answer(
        call, LISTING, _table.c.identifier.in_([part for text in wanted for part in text.split(",")])
    )


@reading("/resource-servers/{key:str}", "read:resource_servers")
async def get_resource_server(call: CallOf, key: FromPath[str]) -> dict[str, Any]:
    return await call.read(_get, key)


@creating("/resource-servers", "create:resource_servers")
async def create_resource_server(call: CallOf, data: JSONBody[ResourceServerIn]) -> Response[dict[str, Any]]:
    _check(call, data)
    if is_of_issuer(data.identifier, call.tenant.issuers):
        raise InvalidInput("`identifier` must not be an address of the issuer itself.")
    is_waiting = check_wait(call)
    return await waited(call, is_waiting, await call.write(_create, new_id("api"), named(data), call.now))


@changing("/resource-servers/{key:str}", "update:resource_servers")
async def update_resource_server(
    call: CallOf, key: FromPath[str], data: JSONBody[ResourceServerPatch]
) -> Response[dict[str, Any]]:
    _check(call, data)
    is_waiting = check_wait(call)
    return await waited(call, is_waiting, await call.write(_update, key, named(data), call.now))


@removing("/resource-servers/{key:str}", "delete:resource_servers")
async def delete_resource_server(call: CallOf, key: FromPath[str]) -> Response[None]:
    is_waiting = check_wait(call)
    return await waited(call, is_waiting, await call.write(_delete, key))


def is_of_issuer(identifier: str, issuers: Iterable[str]) -> bool:
    """Whatever the scheme and the letter case: clients spell the issuer's own APIs with https on plain http too."""
    address = identifier.lower().partition("://")[2]
    return any(address.startswith(issuer.partition("://")[2]) for issuer in issuers)


def _check(call: Call, data: ResourceServerPatch) -> None:
    check_labels(call.tenant, data.labels)
    if data.scopes is not UNSET:
        _check_scopes(data.scopes)
    if data.signing_alg is not UNSET and data.signing_alg not in ALGORITHMS:
        raise InvalidInput(f"`signing_alg` must be one of {', '.join(ALGORITHMS)}.")


def _check_scopes(scopes: Sequence[ScopeBody]) -> None:
    values = [scope.value for scope in scopes]
    if len(set(values)) != len(values):
        raise InvalidInput("`scopes` names a value twice.")
    if not set(values).isdisjoint(PROTOCOL_SCOPES):
        raise InvalidInput(
            f"`scopes` must not define the scopes of the protocol: {', '.join(PROTOCOL_SCOPES)}."
        )


def _find(connection: Connection, key: str) -> Row[Any]:
    """By id, else by identifier: of two that match, the one whose id it is."""
    rows = connection.execute(_BY_KEY, {"of": key}).all()
    if not rows:
        raise NotFound("resource_server")
    return max(rows, key=lambda row: row.id == key)


def _shown(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    return shape(row, _scopes_of(connection, [row.id])[row.id])


def _get(connection: Connection, key: str) -> dict[str, Any]:
    return _shown(connection, _find(connection, key))


def _check_name(connection: Connection, name: str, own_id: str | None) -> None:
    others = connection.execute(_OF_NAME, {"of": name}).scalars().all()
    if any(other != own_id for other in others):
        raise Conflict("A resource server with this name already exists.")


def _create(connection: Connection, id: str, members: dict[str, Any], now: int) -> Written:
    scopes, members = members.get("scopes", []), {k: v for k, v in members.items() if k != "scopes"}
    members.setdefault("name", members["identifier"][:200])
    _check_name(connection, members["name"], None)
    kept = {name: value for name, value in members.items() if name not in COLUMNS and value is not None}
    values = {name: value for name, value in members.items() if name in COLUMNS}
    values["metadata"] = merged({}, values.get("metadata"))
    row = ENTITY.create(
        connection, {**values, "id": id, "attributes": kept, "created_at": now, "updated_at": now}
    )
    _write_scopes(connection, id, [], scopes)
    shown = _shown(connection, row)
    return Written(answer=shown, after=shown)


def _update(connection: Connection, key: str, members: dict[str, Any], now: int) -> Written:
    row = _find(connection, key)
    before = _shown(connection, row)
    if "name" in members:
        _check_name(connection, members["name"], row.id)
    if row.is_management:
        _check_management(before, members)
    values = {name: value for name, value in members.items() if name in COLUMNS}
    kept = {name: value for name, value in members.items() if name not in COLUMNS and name != "scopes"}
    if "metadata" in values:
        values["metadata"] = merged(row.metadata, values["metadata"])
    if kept:
        values["attributes"] = merged(row.attributes, kept)
    after = ENTITY.change(connection, row, values, now)
    if "scopes" in members and _write_scopes(connection, row.id, before["scopes"], members["scopes"]):
        connection.execute(update(_table).where(_table.c.id == row.id).values(updated_at=now))
    shown = _get(connection, after.id)
    return Written(answer=shown, before=before, after=shown)


def _check_management(before: Mapping[str, Any], members: Mapping[str, Any]) -> None:
    if any(before.get(name) != members[name] for name in FIXED_ON_MANAGEMENT & members.keys()):
        raise ManagedByControlPlane("resource_server")


def _delete(connection: Connection, key: str) -> Written:
    row = connection.execute(_BY_KEY, {"of": key}).first()
    if row is None:
        return Written()
    if row.is_management:
        raise ManagedByControlPlane("resource_server")
    before = _shown(connection, row)
    connection.execute(delete(_table).where(_table.c.id == row.id))
    return Written(before=before)


def _write_scopes(
    connection: Connection, id: str, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> bool:
    """Only what differs is written: what a scope was granted to goes away with its row, so a kept one is kept."""
    old = {scope["value"]: (place, scope.get("description")) for place, scope in enumerate(before)}
    new = {scope["value"]: (place, scope.get("description")) for place, scope in enumerate(after)}
    of_server = _scopes.c.resource_server_id == id
    gone = [value for value in old if value not in new]
    if gone:
        connection.execute(delete(_scopes).where(of_server, _scopes.c.value.in_(gone)))
    for value, (place, description) in new.items():
        if value in old and old[value] != new[value]:
            changed = update(_scopes).where(of_server, _scopes.c.value == value)
            connection.execute(changed.values(position=place, description=description))
    added = [
        {"resource_server_id": id, "value": value, "description": description, "position": place}
        for value, (place, description) in new.items()
        if value not in old
    ]
    if added:
        connection.execute(insert(_scopes), added)
    return old != new


handlers = [
    list_resource_servers,
    get_resource_server,
    create_resource_server,
    update_resource_server,
    delete_resource_server,
]
