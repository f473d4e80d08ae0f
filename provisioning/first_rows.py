"""The rows a tenant starts with, which are its own from the first moment: key, connection, Management API, clients.

Everything random is chosen before the unit runs (`prepare`), and nothing of it comes from the template.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select

from core.crypto.keys import SigningKey
from core.crypto.sealing import DataKey
from core.ids import digest, new_client_id, new_id, new_secret
from provisioning.plain_rows import statement
from sync.statements import Statement
from tenant_runtime.management.permissions import MANAGEMENT_API_NAME, PLATFORM, TENANT
from tenant_runtime.models import TenantBase

_TABLES = TenantBase.metadata.tables
_SERVERS = _TABLES["resource_servers"]

DATABASE_CONNECTION = "Username-Password-Authentication"
EMAIL_CONNECTION = "email"
GLOBAL_CLIENT = "All Applications"
DEFAULT_CLIENT = "Default App"

MANAGEMENT_LIFETIME = 86_400
MANAGEMENT_LIFETIME_FOR_WEB = 7_200


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRows:
    """In an order that foreign keys allow."""

    plain: tuple[Statement, ...]
    with_platform: bool
    management_id: str
    connection_id: str

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All of it for SQLite, which takes the scopes as one value instead of hundreds of rows."""
        return *self.plain, (_INSERT_SCOPES, [(self.management_id, _management_scopes(self.with_platform))])


def prepare(
    data_key: DataKey,
    key: SigningKey,
    *,
    management_audience: str,
    now: int,
    is_control_plane: bool = False,
) -> FirstRows:
    management_id, connection_id = new_id("rs"), new_id("con")
    connections = [
        _connection(connection_id, DATABASE_CONNECTION, "auth0", now),
        _connection(new_id("con"), EMAIL_CONNECTION, "email", now),
    ]
    default = client_row(DEFAULT_CLIENT, now)
    rows = {
        "signing_keys": [_signing_key(data_key, key, now)],
        "connections": connections,
        "resource_servers": [_management_api(management_id, management_audience, now)],
        "clients": [client_row(GLOBAL_CLIENT, now, grant_types=[], is_global=True), default],
        "client_secrets": [secret_row(data_key, default["client_id"], new_secret(), now)],
    }
    return FirstRows(
        plain=tuple(statement(_TABLES[table], content) for table, content in rows.items()),
        with_platform=is_control_plane,
        management_id=management_id,
        connection_id=connection_id,
    )


def put_first_rows(connection: Connection, first: FirstRows) -> bool:
    """All of them or, when they are there already, none."""
    if connection.execute(_MANAGEMENT).first() is not None:
        return False
    for sql, rows in first.plain:
        connection.exec_driver_sql(sql, rows)
    names = ("value", "description", "position", "is_platform")
    scopes = (dict(zip(names, row, strict=True)) for row in _scope_rows(first.with_platform))
    connection.execute(
        insert(_TABLES["scopes"]), [{"resource_server_id": first.management_id, **row} for row in scopes]
    )
    return True


_MANAGEMENT = select(_SERVERS.c.id).where(_SERVERS.c.is_management)


def _signing_key(data_key: DataKey, key: SigningKey, now: int) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "alg": key.alg,
        "state": "current",
        "public_jwk": dict(key.public_jwk),
        "private_key": data_key.seal(key.to_der(), "signing_keys", "private_key", key.kid),
        "created_at": now,
        "activated_at": now,
    }


def _connection(connection_id: str, name: str, strategy: str, now: int) -> dict[str, Any]:
    """A client may use either; codes by mail only once it is registered for the grant that redeems them."""
    return {
        "id": connection_id,
        "name": name,
        "strategy": strategy,
        "created_at": now,
        "updated_at": now,
    }


def _management_api(id: str, audience: str, now: int) -> dict[str, Any]:
    return {
        "id": id,
        "identifier": audience,
        "name": MANAGEMENT_API_NAME,
        "token_lifetime": MANAGEMENT_LIFETIME,
        "token_lifetime_for_web": MANAGEMENT_LIFETIME_FOR_WEB,
        "enforce_policies": True,
        "allow_offline_access": True,  # an operator switches tenants by refresh (`specs/tenancy.md` section 7)
        "token_dialect": "access_token_authz",
        "is_management": True,
        "created_at": now,
        "updated_at": now,
    }


@cache
def _management_scopes(with_platform: bool) -> str:
    """As one JSON text: handed over row by row, they would cost more than all else that a tenant starts with."""
    return msgspec.json.encode(_scope_rows(with_platform)).decode()


def _scope_rows(with_platform: bool) -> list[tuple[str, str, int, bool]]:
    named = [*TENANT.items(), *(PLATFORM.items() if with_platform else ())]
    return [
        (value, description, position, value in PLATFORM)
        for position, (value, description) in enumerate(named)
    ]


_INSERT_SCOPES = (
    "INSERT INTO scopes (resource_server_id, value, description, position, is_platform)"
    " SELECT ?, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),"
    " json_extract(value, '$[3]') FROM json_each(?)"
)


def client_row(
    name: str,
    now: int,
    *,
    app_type: str = "regular_web",
    auth_method: str = "client_secret_post",
    grant_types: list[str] | None = None,
    **values: Any,
) -> dict[str, Any]:
    common = ["authorization_code", "refresh_token", "client_credentials"]
    return {
        "client_id": new_client_id(),
        "name": name,
        "app_type": app_type,
        "token_endpoint_auth_method": auth_method,
        "grant_types": common if grant_types is None else grant_types,
        "is_global": False,
        "created_at": now,
        "updated_at": now,
        **values,
    }


def secret_row(data_key: DataKey, client_id: str, secret: str, now: int) -> dict[str, Any]:
    id = new_id("sec")
    return {
        "id": id,
        "client_id": client_id,
        "digest": digest(secret),
        "sealed": data_key.seal(secret.encode(), "client_secrets", "sealed", id),
        "created_at": now,
    }
