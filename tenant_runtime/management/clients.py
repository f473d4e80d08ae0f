"""`/api/v2/clients`: the applications of the tenant.

A secret is shown when it is made, and otherwise only to who holds `read:client_keys` and could grant what the client
is granted; it is stored as a digest to compare and sealed to be shown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from litestar.params import FromPath, JSONBody
from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, insert, select

from core.clock import to_iso
from core.errors import InvalidInput
from core.http.paging import parse_boolean, parse_text
from core.ids import digest, new_client_id, new_id, new_secret
from core.tenants import Tenant
from tenant_runtime.management import client_bodies, escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.client_bodies import COLUMNS, ClientIn, ClientPatch
from tenant_runtime.management.editing import merged, named
from tenant_runtime.management.entities import Entity
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.models import Client, ClientSecret

_table, _secrets = Client.__table__, ClientSecret.__table__
_MERGED = ("jwt_configuration", "refresh_token", "client_metadata")
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
        "created_at": to_iso(row.created_at),
        "updated_at": to_iso(row.updated_at),
    }
    kept = {
        "logo_uri": row.logo_uri,
        "initiate_login_uri": row.initiate_login_uri,
        "jwt_configuration": row.jwt_configuration,
        "refresh_token": row.refresh_token,
        "client_metadata": row.client_metadata,
    }
    return {**row.attributes, **shown, **{name: value for name, value in kept.items() if value}}


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


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
    members = client_bodies.without_nulls(named(data))
    client_bodies.check(members)
    return await call.write(_create, members, new_client_id(), _new_secret(call), call.now)


@changing("/clients/{client_id:str}", "update:clients")
async def update_client(
    call: CallOf, client_id: FromPath[str], data: JSONBody[ClientPatch]
) -> dict[str, Any]:
    members = client_bodies.without_nulls(named(data))
    client_bodies.check(members)
    return await call.write(_update, client_id, members, _new_secret(call), call.now)


@removing("/clients/{client_id:str}", "delete:clients")
async def delete_client(call: CallOf, client_id: FromPath[str]) -> None:
    await call.write(_delete, client_id)


@creating("/clients/{client_id:str}/rotate-secret", "update:client_keys", status_code=200)
async def rotate_client_secret(call: CallOf, client_id: FromPath[str]) -> dict[str, Any]:
    return await call.write(_rotate, client_id, _new_secret(call), call.actor, call.now)


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
    shown = shape(ENTITY.load(connection, client_id))
    if actor.holds("read:client_keys") and escalation.may_act_as(connection, actor, client_id):
        secret = _secret_of(connection, client_id, tenant)
        return shown if secret is None else {**shown, "client_secret": secret}
    return shown


def _create(
    connection: Connection, members: Mapping[str, Any], client_id: str, secret: _NewSecret, now: int
) -> Written:
    app_type, method = members.get("app_type", "regular_web"), members.get("token_endpoint_auth_method")
    values = {**client_bodies.defaults(app_type, method), **_columns({}, members)}
    values["attributes"] = merged({}, _kept(members))
    client_bodies.check_whole(values)
    row = ENTITY.create(connection, {**values, "client_id": client_id, "created_at": now, "updated_at": now})
    shown = shape(row)
    if values["token_endpoint_auth_method"] == "none":
        return Written(answer=shown, after=shown)
    connection.execute(insert(_secrets), secret.row(client_id, now))
    return Written(answer={**shown, "client_secret": secret.text}, after=shown)


def _update(
    connection: Connection, client_id: str, members: Mapping[str, Any], secret: _NewSecret, now: int
) -> Written:
    row = ENTITY.load(connection, client_id)
    values = _columns(row._asdict(), members)
    if kept := _kept(members):
        values["attributes"] = merged(row.attributes, kept)
    client_bodies.check_whole({**row._mapping, **values})
    after = ENTITY.change(connection, row, values, now)
    if after.token_endpoint_auth_method != "none" and not _has_secret(connection, client_id):
        connection.execute(insert(_secrets), secret.row(client_id, now))
    return ENTITY.changed(row, after)


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


def _delete(connection: Connection, client_id: str) -> Written:
    row = ENTITY.find(connection, client_id)
    if row is not None and row.is_global:
        raise InvalidInput("The global client cannot be deleted.", code="operation_not_supported", status=403)
    return ENTITY.remove(connection, client_id)


def _rotate(connection: Connection, client_id: str, secret: _NewSecret, actor: Actor, now: int) -> Written:
    """The old secrets stop working at once."""
    row = ENTITY.load(connection, client_id)
    escalation.check_client(connection, actor, client_id)
    if row.token_endpoint_auth_method == "none":
        raise InvalidInput("A public client has no secret.")
    connection.execute(delete(_secrets).where(_secrets.c.client_id == client_id))
    connection.execute(insert(_secrets), secret.row(client_id, now))
    told = {"client_id": client_id, "secret": secret.id}
    return Written(answer={**shape(row), "client_secret": secret.text}, after=told)


handlers: Sequence[Any] = [
    list_clients,
    get_client,
    create_client,
    update_client,
    delete_client,
    rotate_client_secret,
]
