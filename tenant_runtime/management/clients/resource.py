"""`/api/v2/clients`: the applications of the tenant.

A secret is shown when it is made, and otherwise only to who holds `read:client_keys` and could grant what the client
is granted; it is stored as a digest to compare and sealed to be shown. A client that proves itself by a key has none.
Who says what a client's keys are could act as the client, and so must hold what it is granted.

A client that is described by a document has that document's address as its id, which no path can hold: in paths it is
named by the digest of its id (`path_id`). It can be read and deleted; what it is, its document says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from litestar.params import FromPath, JSONBody
from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, insert, select

from core.errors import InvalidInput
from core.http.paging import parse_boolean, parse_text
from core.ids import digest, new_client_id, new_id, new_secret
from core.tenants import Tenant
from tenant_runtime.configuration import FAPI
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.clients import bodies as client_bodies
from tenant_runtime.management.clients import keys as client_keys
from tenant_runtime.management.clients.bodies import COLUMNS, WITH_SECRET, ClientIn, ClientPatch
from tenant_runtime.management.clients.keys import KeyChange
from tenant_runtime.management.editing import merged
from tenant_runtime.management.entities import Entity
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.models import Client, ClientSecret, ResourceServer
from tenant_runtime.oauth.clients.assertions import BY_KEY
from tenant_runtime.oauth.clients.keys import FAPI_ALGORITHMS
from tenant_runtime.oauth.tokens.withdrawal import Given, end_given
from tenant_runtime.registration.clients import DOCUMENT

_table, _secrets = Client.__table__, ClientSecret.__table__
_MERGED = ("jwt_configuration", "refresh_token", "client_metadata", "signed_request_object", "oidc_logout")
_NAMED = "sha256-"
_DOCUMENTS = select(_table.c.client_id).where(_table.c.origin == DOCUMENT)
_API = select(ResourceServer.__table__.c.is_management).where(
    ResourceServer.__table__.c.identifier == bindparam("identifier")
)
_SECRETS_OF = (
    select(_secrets)
    .where(_secrets.c.client_id.in_(bindparam("ids", expanding=True)))
    .order_by(_secrets.c.created_at)
)


def shape(row: Row[Any]) -> dict[str, Any]:
    shown = {
        "client_id": row.client_id,
        "name": row.name,
        "description": row.description or "",
        "app_type": row.app_type,
        "global": row.is_global,
        "is_first_party": row.is_first_party,
        "token_endpoint_auth_method": row.token_endpoint_auth_method,
        "grant_types": row.grant_types,
        "callbacks": row.callbacks,
        "allowed_logout_urls": row.allowed_logout_urls,
        "web_origins": row.web_origins,
        "allowed_origins": row.allowed_origins,
        "organization_usage": row.organization_usage,
        "organization_require_behavior": row.organization_require_behavior,
        "require_pkce": row.require_pkce,
        "require_proof_of_possession": row.require_proof_of_possession,
        "require_pushed_authorization_requests": row.require_pushed_authorization_requests,
    }
    kept = {
        "logo_uri": row.logo_uri,
        "initiate_login_uri": row.initiate_login_uri,
        "jwt_configuration": row.jwt_configuration,
        "refresh_token": row.refresh_token,
        "client_metadata": row.client_metadata,
        "jwks_uri": row.jwks_uri,
        "compliance_level": row.compliance_level,
        "signed_request_object": row.signed_request_object,
        "oidc_logout": row.oidc_logout,
        "resource_server_identifier": row.resource_server_identifier,
        "path_id": path_id(row.client_id) if row.origin == DOCUMENT else None,
    }
    return {**row.attributes, **shown, **{name: value for name, value in kept.items() if value}}


def path_id(client_id: str) -> str:
    return f"{_NAMED}{digest(client_id)}"


def load(connection: Connection, named: str) -> Row[Any]:
    return ENTITY.load(connection, _meant(connection, named))


def _meant(connection: Connection, named: str) -> str:
    """The client's id, by how a path names it."""
    if not named.startswith(_NAMED):
        return named
    documents = connection.execute(_DOCUMENTS).scalars()
    return next((client_id for client_id in documents if path_id(client_id) == named), named)


def shape_all(connection: Connection, rows: Rows) -> Items:
    """With the ids of the keys; those that signed requests are named by, too, as far as they are still there."""
    ids = client_keys.ids_of_all(connection, (row.client_id for row in rows))
    return [_with_keys(shape(row), ids.get(row.client_id, [])) for row in rows]


def _with_keys(shown: dict[str, Any], ids: list[str]) -> dict[str, Any]:
    requests = shown.get("signed_request_object", {})
    if "credentials" in requests:
        there = [named for named in requests["credentials"] if named["id"] in ids]
        shown["signed_request_object"] = {**requests, "credentials": there}
    if ids and shown["token_endpoint_auth_method"] == BY_KEY:
        credentials = [{"id": id} for id in ids]
        shown["client_authentication_methods"] = {"private_key_jwt": {"credentials": credentials}}
    return shown


def _shown(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    shown: dict[str, Any] = shape_all(connection, [row])[0]
    return shown


ENTITY = Entity("client", _table, "client_id", shape)
LISTING = Listing("clients", select(_table), (_table.c.created_at, _table.c.client_id), shape_all)


@reading("/clients", "read:clients", "read:client_keys")
async def list_clients(call: CallOf) -> Any:
    return await answer(call, LISTING, *_filters(call))


@reading("/clients/{client_id:str}", "read:clients", "read:client_keys")
async def get_client(call: CallOf, client_id: FromPath[str]) -> dict[str, Any]:
    return await call.read(_get, client_id, call.actor, call.tenant)


@creating("/clients", "create:clients")
async def create_client(call: CallOf, data: JSONBody[ClientIn]) -> dict[str, Any]:
    said = _said(call, data)
    return await call.write(_create, said, new_client_id(), _new_secret(call), call.now)


@changing("/clients/{client_id:str}", "update:clients")
async def update_client(
    call: CallOf, client_id: FromPath[str], data: JSONBody[ClientPatch]
) -> dict[str, Any]:
    said = _said(call, data)
    return await call.write(_update, client_id, said, _new_secret(call), call.actor, call.now)


@removing("/clients/{client_id:str}", "delete:clients")
async def delete_client(call: CallOf, client_id: FromPath[str]) -> None:
    await call.write(_delete, client_id, call.now)


@creating("/clients/{client_id:str}/rotate-secret", "update:client_keys", status_code=200)
async def rotate_client_secret(call: CallOf, client_id: FromPath[str]) -> dict[str, Any]:
    return await call.write(_rotate, client_id, _new_secret(call), call.actor, call.now)


@dataclass(frozen=True, slots=True)
class _Said:
    """A body that was looked at: members by column or kept, and what it does to the keys."""

    members: Mapping[str, Any]
    keys: KeyChange | None


def _said(call: Call, data: ClientPatch) -> _Said:
    members = client_bodies.said_in(data)
    keys = client_bodies.key_change(data, members)
    client_bodies.check(members, call.services.outbound)
    if keys is not None and (keys.new or keys.named):
        members["jwks_uri"] = None
    return _Said(members, keys)


class _NewSecret:
    """A secret not yet anybody's. Sealed for its row, so that it opens nowhere else."""

    def __init__(self, tenant: Tenant) -> None:
        self.id, self.text = new_id("sec"), new_secret(48)
        self.sealed = tenant.data_key.seal(self.text.encode(), "client_secrets", "sealed", self.id)

    def row(self, client_id: str, now: int) -> dict[str, Any]:
        return {
            "id": self.id,
            "client_id": client_id,
            "digest": digest(self.text),
            "sealed": self.sealed,
            "created_at": now,
        }


def _new_secret(call: Call) -> _NewSecret:
    return _NewSecret(call.tenant)


def _filters(call: Call) -> list[ColumnElement[bool]]:
    query, found = call.request.query_params, list[ColumnElement[bool]]()
    for name in ("is_global", "is_first_party"):
        if parse_text(query, name) is not None:
            found.append(_table.c[name].is_(parse_boolean(query, name, default=False)))
    if app_types := parse_text(query, "app_type"):
        found.append(_table.c.app_type.in_(app_types.split(",")))
    return found


def _secret_of(connection: Connection, client_id: str, tenant: Tenant) -> str | None:
    """The newest one."""
    rows = connection.execute(_SECRETS_OF, {"ids": [client_id]}).all()
    if not rows:
        return None
    return tenant.data_key.open(rows[-1].sealed, "client_secrets", "sealed", rows[-1].id).decode()


def _get(connection: Connection, client_id: str, actor: Actor, tenant: Tenant) -> dict[str, Any]:
    client_id = _meant(connection, client_id)
    shown = _shown(connection, ENTITY.load(connection, client_id))
    if actor.holds("read:client_keys") and escalation.may_act_as(connection, actor, client_id):
        secret = _secret_of(connection, client_id, tenant)
        return shown if secret is None else {**shown, "client_secret": secret}
    return shown


def _create(connection: Connection, said: _Said, client_id: str, secret: _NewSecret, now: int) -> Written:
    members = said.members
    app_type, method = members.get("app_type", "regular_web"), members.get("token_endpoint_auth_method")
    values = {**client_bodies.defaults(app_type, method), **_columns({}, members)}
    values["attributes"] = merged({}, _kept(members))
    row = ENTITY.create(connection, {**values, "client_id": client_id, "created_at": now, "updated_at": now})
    if said.keys is not None:
        row = ENTITY.change(connection, row, _change_keys(connection, row, said, values, now), now)
    _check_whole(connection, row)
    shown = _shown(connection, row)
    if row.token_endpoint_auth_method not in WITH_SECRET:
        return Written(answer=shown, after=shown)
    connection.execute(insert(_secrets), secret.row(client_id, now))
    return Written(answer={**shown, "client_secret": secret.text}, after=shown)


def _update(
    connection: Connection, client_id: str, said: _Said, secret: _NewSecret, actor: Actor, now: int
) -> Written:
    row = ENTITY.load(connection, client_id)
    before, values = _shown(connection, row), _columns(row._asdict(), said.members)
    if kept := _kept(said.members):
        values["attributes"] = merged(row.attributes, kept)
    if said.keys is not None or values.get("jwks_uri") is not None:
        escalation.check_client(connection, actor, client_id)
        values |= _change_keys(connection, row, said, values, now)
    after = ENTITY.change(connection, row, values, now)
    _check_whole(connection, after)
    _keep_secret(connection, row, after, secret, now)
    shown = _shown(connection, after)
    return Written(answer=shown, before=before, after=shown)


def _change_keys(
    connection: Connection, row: Row[Any], said: _Said, values: Mapping[str, Any], now: int
) -> dict[str, Any]:
    """What follows for the row: when it changed, and the ids of keys for signed requests. Those stay unless they
    are named anew."""
    change, before = said.keys or KeyChange((), frozenset()), client_keys.keys_of(connection, row.client_id)
    if change.stays is not None and "signed_request_object" not in said.members:
        named = row.signed_request_object.get("credentials", ())
        change = replace(change, stays=change.stays | {credential["id"] for credential in named})
    after = client_keys.change_keys(connection, row.client_id, change, now)
    requests = values.get("signed_request_object", row.signed_request_object)
    follows = {"signed_request_object": client_keys.settled(requests, change, after)}
    return follows if before == after else {**follows, "updated_at": now}


def _check_whole(connection: Connection, row: Row[Any]) -> None:
    """In the unit, which is undone when it raises."""
    identifier = row.resource_server_identifier
    if identifier is not None:
        is_management = connection.execute(_API, {"identifier": identifier}).scalar_one_or_none()
        if is_management is None:
            raise InvalidInput("The API of `resource_server_identifier` does not exist.")
        if is_management:
            raise InvalidInput("The Management API is no client's to be.")
    client_bodies.check_whole(row._asdict(), has_keys=_has_strong_keys(connection, row))


def _has_strong_keys(connection: Connection, row: Row[Any]) -> bool:
    """Whether a key can sign with what FAPI 2.0 allows; what stands at an address is seen when it is read."""
    if row.compliance_level != FAPI:
        return False
    keys = client_keys.keys_of(connection, row.client_id)
    return row.jwks_uri is not None or any(key.alg in (None, *FAPI_ALGORITHMS) for key in keys)


def _keep_secret(
    connection: Connection, before: Row[Any], after: Row[Any], secret: _NewSecret, now: int
) -> None:
    """A client whose way needs a secret has one; one that turns to keys has none any more."""
    method = after.token_endpoint_auth_method
    if method in WITH_SECRET and not _has_secret(connection, after.client_id):
        connection.execute(insert(_secrets), secret.row(after.client_id, now))
    if method == BY_KEY != before.token_endpoint_auth_method:
        connection.execute(delete(_secrets).where(_secrets.c.client_id == after.client_id))


def _has_secret(connection: Connection, client_id: str) -> bool:
    return connection.execute(_SECRETS_OF, {"ids": [client_id]}).first() is not None


def _columns(before: Mapping[str, Any], members: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in members.items() if name in COLUMNS}
    for name in _MERGED:
        if name in values:
            values[name] = merged(before.get(name, {}), values[name])
    return values


def _kept(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in COLUMNS}


def _delete(connection: Connection, client_id: str, now: int) -> Written:
    """What people gave it ends with it: its access tokens name a family that is over."""
    client_id = _meant(connection, client_id)
    row = ENTITY.find(connection, client_id)
    if row is not None and row.is_global:
        raise InvalidInput("The global client cannot be deleted.", code="operation_not_supported", status=403)
    end_given(connection, Given(client_id=client_id), now_ms=now, reason="client_deleted")
    return ENTITY.remove(connection, client_id)


def _rotate(connection: Connection, client_id: str, secret: _NewSecret, actor: Actor, now: int) -> Written:
    """The old secrets stop working at once."""
    row = ENTITY.load(connection, client_id)
    escalation.check_client(connection, actor, client_id)
    if row.token_endpoint_auth_method not in WITH_SECRET:
        raise InvalidInput("A client has a secret if its `token_endpoint_auth_method` is one by secret.")
    connection.execute(delete(_secrets).where(_secrets.c.client_id == client_id))
    connection.execute(insert(_secrets), secret.row(client_id, now))
    told = {"client_id": client_id, "secret": secret.id}
    return Written(answer={**_shown(connection, row), "client_secret": secret.text}, after=told)


handlers: Sequence[Any] = [
    list_clients,
    get_client,
    create_client,
    update_client,
    delete_client,
    rotate_client_secret,
]
