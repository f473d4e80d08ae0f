"""`/api/v2/users` and `/users-by-email`: the people of the tenant, found, made and deleted.

A password is checked and hashed before the unit of work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from litestar.params import FromPath, JSONBody
from msgspec import to_builtins
from sqlalchemy import JSON, Connection, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from core.crypto.sealing import DataKey
from core.database import PreparedPage
from core.database.sql import insert as upsert
from core.database.sql import json_members
from core.errors import Conflict, InvalidInput, InvalidQuery
from core.http.paging import parse_boolean, parse_fields, parse_text
from core.http.search import search
from core.ids import new_user_id
from tenant_runtime.connections.options import DatabaseOptions
from tenant_runtime.erasures import tell_of_erasure
from tenant_runtime.login.email_verification import send_verification
from tenant_runtime.login.emails import normal_email
from tenant_runtime.mail.queue import require_mail
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.editing import merged, named
from tenant_runtime.management.endings import end_memberships, tell_of_logins
from tenant_runtime.management.entities import Entity, check_all_known
from tenant_runtime.management.listing import Listing, Rows, answer
from tenant_runtime.management.routing import creating, reading, removing
from tenant_runtime.management.users.bodies import (
    UserIn,
    UserOut,
    check,
    check_password,
    listed,
    shape,
)
from tenant_runtime.management.users.search import (
    DEFAULT,
    FIELDS,
    SORTABLE,
    check_not_too_many,
    in_connection,
    reads_all,
)
from tenant_runtime.models import Connection as ConnectionRow
from tenant_runtime.models import Identity, Password, User
from tenant_runtime.oauth.backchannel_logout import Initiator

_table, _identity, _connection, _password = (
    model.__table__ for model in (User, Identity, ConnectionRow, Password)
)
_SHOWN = [column for column in _table.c if column.name not in ("profile", "sessions_valid_from")]
METADATA = ("user_metadata", "app_metadata")
NOT_COLUMNS = ("client_id", "connection", "password", "verify_email", "verify_phone_number")
_of_page = json_members(bindparam("ids", type_=JSON))
_IDENTITIES_OF = PreparedPage(
    select(
        _identity.c.user_id,
        _identity.c.provider,
        _identity.c.provider_user_id,
        _identity.c.is_social,
        _identity.c.profile_data,
        _connection.c.name.label("connection"),
    )
    .join(_connection, _connection.c.id == _identity.c.connection_id)
    .where(_identity.c.user_id.in_(_of_page))
    .order_by(_connection.c.created_at)
)
_DATABASES = (
    select(_connection.c.id, _connection.c.name)
    .where(_connection.c.strategy == "auth0")
    .order_by(_connection.c.created_at, _connection.c.id)
)
_USERNAME = select(_table.c.user_id).where(_table.c.username == bindparam("of"))
_IDENTITY_OF = select(_identity).where(
    _identity.c.user_id == bindparam("of"), _identity.c.provider == "auth0"
)


@dataclass(frozen=True, slots=True)
class NewPassword:
    hash: str


def _with_identities(connection: Connection, rows: Rows) -> list[UserOut]:
    identities: dict[str, list[Any]] = {row.user_id: [] for row in rows}
    for identity in _IDENTITIES_OF.rows(connection, {"ids": list(identities)}):
        identities[identity.user_id].append(identity)
    return [listed(row, _own_first(row.user_id, identities[row.user_id])) for row in rows]


def _own_first(user_id: str, identities: list[Any]) -> list[Any]:
    if len(identities) > 1:
        identities.sort(key=lambda link: f"{link.provider}|{link.provider_user_id}" != user_id)
    return identities


ENTITY = Entity("user", _table, "user_id", shape)
LISTING = Listing(
    "users", select(*_SHOWN), (_table.c.created_at, _table.c.user_id), _with_identities, sortable=SORTABLE
)


@reading("/users", "read:users")
async def list_users(call: CallOf) -> Any:
    query, criteria = call.request.query_params, []
    if parse_text(query, "search_engine") not in (None, "v3"):
        raise InvalidQuery("The parameter 'search_engine' must be v3.")
    parse_boolean(query, "primary_order", default=True)  # the order is always the same
    if (text := parse_text(query, "q")) is not None:
        criteria.append(search(text, FIELDS, DEFAULT))
    if (connection := parse_text(query, "connection")) is not None:
        criteria.append(in_connection(connection))
    if reads_all(text, connection, parse_text(query, "sort")):
        await call.read(check_not_too_many)
    return await answer(call, LISTING, *criteria)


@reading("/users-by-email", "read:users")
async def list_users_by_email(call: CallOf) -> list[dict[str, Any]]:
    email = parse_text(call.request.query_params, "email")
    if not email:
        raise InvalidQuery("The parameter 'email' is required.")
    fields = parse_fields(call.request.query_params)
    return [fields.apply(to_builtins(item)) for item in await call.read(_by_email, normal_email(email))]


@reading("/users/{user_id:str}", "read:users")
async def get_user(call: CallOf, user_id: FromPath[str]) -> dict[str, Any]:
    fields = parse_fields(call.request.query_params)
    return fields.apply(await call.read(get, user_id))


@creating("/users", "create:users")
async def create_user(call: CallOf, data: JSONBody[UserIn]) -> dict[str, Any]:
    members = check(named(data))
    verifies = await _sends_verification(call, members)
    password = await hashed(call, members, members["email"], members.get("name"))
    made = await call.write(
        _create, new_user_id("auth0"), members, password, verifies, call.tenant.data_key, call.now
    )
    if verifies:
        call.services.deliveries.soon(call.tenant)
    return made


async def _sends_verification(call: Call, members: Mapping[str, Any]) -> bool:
    """As Auth0: unless the address is verified already, or `verify_email` says otherwise; where there is mail."""
    asked = members.get("verify_email")
    if asked:
        await require_mail(call.services, call.tenant)
        return True
    if asked is False or members.get("email_verified"):
        return False
    return call.services.mail.are_there(call.tenant, await call.configuration())


@removing("/users/{user_id:str}", "delete:users")
async def delete_user(call: CallOf, user_id: FromPath[str]) -> None:
    await call.write(remove, user_id, call.actor, call.tenant.data_key, call.now)
    call.services.deliveries.soon(call.tenant)


async def hashed(call: Call, members: Mapping[str, Any], *names: str | None) -> NewPassword | None:
    password = members.get("password")
    if password is None:
        return None
    check_password(password, await _rules(call, members.get("connection")), *names)
    return NewPassword(await call.services.passwords.hash(password, tenant=call.tenant.id))


async def _rules(call: Call, named: str | None) -> DatabaseOptions:
    """Of the connection that is named, else of the tenant's own database of users."""
    current = await call.configuration()
    found = next((each for each in current.connections.values() if each.name == named), None)
    connection = found or current.database_connection()
    return connection.database if connection is not None else DatabaseOptions()


def get(connection: Connection, user_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = to_builtins(_with_identities(connection, [ENTITY.load(connection, user_id)])[0])
    return shown


def _by_email(connection: Connection, email: str) -> list[UserOut]:
    rows = connection.execute(
        select(_table).where(_table.c.email == email).order_by(_table.c.created_at)
    ).all()
    return _with_identities(connection, rows)


def _create(
    connection: Connection,
    user_id: str,
    members: Mapping[str, Any],
    password: NewPassword | None,
    verifies: bool,
    data_key: DataKey,
    now: int,
) -> Written:
    database = _database(connection, members.get("connection"))
    check_username(connection, members.get("username"), user_id)
    values = {name: value for name, value in members.items() if name not in NOT_COLUMNS and value is not None}
    for name in METADATA:
        values[name] = merged({}, values.get(name))
    values = {"name": values["email"], "nickname": values["email"].partition("@")[0], "profile": {}, **values}
    ENTITY.create(connection, {**values, "user_id": user_id, "created_at": now, "updated_at": now})
    identity = {
        "connection_id": database,
        "provider_user_id": user_id.partition("|")[2],
        "user_id": user_id,
        "provider": "auth0",
        "email": values["email"],
        "profile_data": {},
    }
    _insert_identity(connection, identity)
    if password is not None:
        set_password(connection, user_id, password, now)
    if verifies:
        send_verification(connection, data_key, user_id, now)
    shown = get(connection, user_id)
    return Written(answer=shown, after=shown)


def _database(connection: Connection, name: str | None) -> str:
    databases = connection.execute(_DATABASES).all()
    found = next((row.id for row in databases if name in (None, row.name)), None)
    if found is None:
        raise InvalidInput("`connection` names no database of users of this tenant.")
    return str(found)


def check_username(connection: Connection, username: str | None, user_id: str) -> None:
    if username and set(connection.execute(_USERNAME, {"of": username}).scalars()) - {user_id}:
        raise Conflict("The user name is taken.")


def _insert_identity(connection: Connection, identity: dict[str, Any]) -> None:
    try:
        connection.execute(insert(_identity), identity)
    except IntegrityError as error:
        raise Conflict("The user already exists.") from error


def set_password(connection: Connection, user_id: str, password: NewPassword, now: int) -> None:
    if connection.execute(_IDENTITY_OF, {"of": user_id}).first() is None:
        raise InvalidInput("This user has no password here.")
    values = {"hash": password.hash, "changed_at": now, "failures": 0, "blocked_until": 0}
    statement = upsert(_password).values(user_id=user_id, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))


def remove(connection: Connection, user_id: str, actor: Actor, data_key: DataKey, now: int) -> Written:
    """Everything of the user's goes with the row: identities, password, sessions, tokens, memberships, roles."""
    escalation.check_platform_user(connection, actor, user_id)
    tell_of_logins(connection, data_key, user_id, now, why=Initiator.ACCOUNT_DELETED)
    end_memberships(connection, user_id, now)
    removed = ENTITY.remove(connection, user_id)
    if not removed.changed:
        return removed
    tell_of_erasure(connection, data_key, user_id, now)
    of_user = {"user_id": user_id, "user_name": removed.before.get("email")}
    return replace(removed, told=[("sdu", of_user)])


def check_all_exist(connection: Connection, user_ids: Sequence[str]) -> None:
    known = connection.execute(select(_table.c.user_id).where(_table.c.user_id.in_(user_ids))).scalars().all()
    check_all_known("user", user_ids, known)


handlers = [list_users, list_users_by_email, get_user, create_user, delete_user]
