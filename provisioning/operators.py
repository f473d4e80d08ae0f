"""Who runs the installation, seen and changed from the machine itself (`keystead operator`).

For when nobody can sign in any more, or nobody who should: it takes the registry and tenant one, and no server. What
is written is what the Management API would write, so that servers that run see it at their next request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from core.crypto.sealing import DataKey
from core.database.sql import insert
from core.errors import InvalidInput, NotFound
from tenant_runtime.audit import Event, record
from tenant_runtime.login.accounts import NewAccount, create_account, find_account, set_password
from tenant_runtime.management.endings import end_logins
from tenant_runtime.management.operators import end_power
from tenant_runtime.models import TenantBase
from tenant_runtime.oauth.backchannel_logout import Initiator

_TABLES = TenantBase.metadata.tables
_USERS, _ROLES, _HELD = _TABLES["users"], _TABLES["roles"], _TABLES["user_roles"]
_GRANTED, _SCOPES, _CONNECTIONS = _TABLES["role_permissions"], _TABLES["scopes"], _TABLES["connections"]
_DIRECT = _TABLES["user_permissions"]

_PLATFORM = (
    select(_GRANTED.c.role_id)
    .join(
        _SCOPES,
        (_SCOPES.c.resource_server_id == _GRANTED.c.resource_server_id)
        & (_SCOPES.c.value == _GRANTED.c.permission),
    )
    .where(_SCOPES.c.is_platform)
)
_OPERATORS = (
    select(_USERS.c.email, _USERS.c.user_id, _USERS.c.blocked, _USERS.c.last_login_at, _ROLES.c.name)
    .join(_HELD, _HELD.c.user_id == _USERS.c.user_id)
    .join(_ROLES, _ROLES.c.id == _HELD.c.role_id)
    .where(_ROLES.c.id.in_(_PLATFORM))
    .order_by(_USERS.c.email, _USERS.c.user_id, _ROLES.c.name)
)
_PLATFORM_SCOPES = select(_SCOPES.c.value).where(
    _SCOPES.c.is_platform, _SCOPES.c.resource_server_id == _DIRECT.c.resource_server_id
)
_DIRECTLY = (
    select(
        _USERS.c.email,
        _USERS.c.user_id,
        _USERS.c.blocked,
        _USERS.c.last_login_at,
        _DIRECT.c.permission.label("name"),
    )
    .join(_DIRECT, _DIRECT.c.user_id == _USERS.c.user_id)
    .where(_DIRECT.c.permission.in_(_PLATFORM_SCOPES))
    .order_by(_USERS.c.email, _USERS.c.user_id, _DIRECT.c.permission)
)
_TAKE_DIRECT = delete(_DIRECT).where(
    _DIRECT.c.user_id == bindparam("user"), _DIRECT.c.permission.in_(_PLATFORM_SCOPES)
)
_ROLE = select(_ROLES.c.id).where(_ROLES.c.name == bindparam("name"), _ROLES.c.id.in_(_PLATFORM))
_DATABASE = select(_CONNECTIONS.c.id).where(_CONNECTIONS.c.strategy == "auth0").order_by(_CONNECTIONS.c.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRow:
    email: str | None
    user_id: str
    roles: tuple[str, ...]
    permissions: tuple[str, ...]  # of the platform, held without a role
    blocked: bool
    last_login_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Granting:
    """`user_id` and `password_hash` are for an account that is made; a hash alone is a new password."""

    email: str
    role: str
    user_id: str
    password_hash: str | None
    chosen: bool  # the password: given, not made up for a new account


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    made_account: bool
    unblocked: bool
    gave_role: bool
    set_password: bool


def list_operators(connection: Connection) -> list[OperatorRow]:
    people: dict[str, Any] = {}
    roles: dict[str, list[str]] = {}
    permissions: dict[str, list[str]] = {}
    for statement, held in ((_OPERATORS, roles), (_DIRECTLY, permissions)):
        for row in connection.execute(statement):
            people.setdefault(row.user_id, row)
            held.setdefault(row.user_id, []).append(row.name)
    return [
        OperatorRow(
            email=row.email,
            user_id=user_id,
            roles=tuple(roles.get(user_id, ())),
            permissions=tuple(permissions.get(user_id, ())),
            blocked=row.blocked,
            last_login_at=row.last_login_at,
        )
        for user_id, row in people.items()
    ]


def has_account(connection: Connection, email: str) -> bool:
    return find_account(connection, _database(connection), email) is not None


def grant(connection: Connection, data_key: DataKey, asked: Granting, now: int) -> Granted:
    """They can sign in and hold the role afterwards. A new password ends what was begun with the old one, as
    everywhere; nothing of anybody else ends."""
    role_id = _platform_role(connection, asked.role)
    connection_id = _database(connection)
    account = find_account(connection, connection_id, asked.email)
    made, unblocked, changed = account is None, False, False
    if account is None:
        _make_account(connection, connection_id, asked, now)
        user_id = asked.user_id
    else:
        user_id = account.user_id
        unblocked = account.blocked
        verified = update(_USERS).where(_USERS.c.user_id == user_id)
        connection.execute(verified.values(blocked=False, email_verified=True))
        if asked.chosen and asked.password_hash is not None:
            set_password(connection, user_id, asked.password_hash, now)
            end_logins(connection, data_key, user_id, now, why=Initiator.PASSWORD_CHANGED)
            changed = True
    held = {"user_id": user_id, "role_id": role_id, "created_at": now}
    gave = connection.execute(insert(_HELD).on_conflict_do_nothing(), held).rowcount == 1
    told = {"role": asked.role, "made_account": made, "unblocked": unblocked, "new_password": made or changed}
    _tell(connection, f"Grant {asked.role} by command", user_id, asked.email, told, now)
    return Granted(made_account=made, unblocked=unblocked, gave_role=gave, set_password=made or changed)


def revoke(
    connection: Connection, data_key: DataKey, email: str, role: str | None, now: int
) -> Sequence[str]:
    """Every role with a platform permission and each such permission, or the one role that is named; answers what was
    taken. What the person has open ends, so that no token outlives it."""
    taken: list[str] = []
    for person in list_operators(connection):
        if (person.email or "").lower() == email:
            taken += _take(connection, data_key, person, role, now)
    if not taken:
        raise NotFound("operator", f"{email} holds no such role.")
    return taken


def _take(
    connection: Connection, data_key: DataKey, person: OperatorRow, role: str | None, now: int
) -> Sequence[str]:
    taken = [name for name in person.roles if role in (None, name)]
    for name in taken:
        role_id = _platform_role(connection, name)
        gone = delete(_HELD).where(_HELD.c.user_id == person.user_id, _HELD.c.role_id == role_id)
        connection.execute(gone)
    if role is None and person.permissions:
        connection.execute(_TAKE_DIRECT, {"user": person.user_id})
        taken += person.permissions
    if taken:
        end_power(connection, data_key, person.user_id, now)
        told = {"taken": taken}
        _tell(connection, "Revoke operator by command", person.user_id, person.email or "", told, now)
    return taken


def _make_account(connection: Connection, connection_id: str, asked: Granting, now: int) -> None:
    if asked.password_hash is None:
        raise NotFound("user")
    new = NewAccount(
        user_id=asked.user_id,
        connection_id=connection_id,
        email=asked.email,
        name=asked.email,
        hash=asked.password_hash,
        now=now,
    )
    create_account(connection, new)
    verified = update(_USERS).where(_USERS.c.user_id == asked.user_id).values(email_verified=True)
    connection.execute(verified)


def _platform_role(connection: Connection, name: str) -> str:
    """Any other role is given by whoever is an operator then."""
    role_id: str | None = connection.execute(_ROLE, {"name": name}).scalar_one_or_none()
    if role_id is None:
        raise InvalidInput(f"There is no role '{name}' with a platform permission.")
    return role_id


def _database(connection: Connection) -> str:
    connection_id: str | None = connection.execute(_DATABASE.limit(1)).scalar_one_or_none()
    if connection_id is None:
        raise InvalidInput(
            "Tenant one has no database of users: there is nobody who could sign in by a password."
        )
    return connection_id


def _tell(
    connection: Connection, description: str, user_id: str, email: str, details: dict[str, Any], now: int
) -> None:
    event = Event(
        type="sapi",
        created_at=now,
        description=description,
        user_id=user_id,
        user_name=email,
        details={"command": "keystead operator", **details},
    )
    record(connection, event)
