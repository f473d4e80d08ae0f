"""One part of an import: its rows, what was wrong with them, and how far the job is, in one unit.

A user is known by the address. `upsert` changes what may change without anybody's knowing: the profile, the metadata,
whether the address is verified, whether the user is blocked. Never how somebody signs in: an address, a user name, an
id and a password stay, and operators of the platform are not touched at all. Nor is an address proved of somebody who
has permissions that whoever asked for the import had not.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, union, update

from core.crypto.sealing import DataKey
from core.errors import InvalidInput
from core.ids import new_user_id
from core.tenants import Tenant
from tenant_runtime.jobs import queue
from tenant_runtime.jobs.import_rows import Row, RowError, read_rows
from tenant_runtime.jobs.queue import Claimed, Step, advance, finish
from tenant_runtime.login.accounts import PROVIDER
from tenant_runtime.management.editing import merged
from tenant_runtime.management.endings import end_logins
from tenant_runtime.management.escalation import may_sign_in_as
from tenant_runtime.models import Connection as ConnectionRow
from tenant_runtime.models import Identity, Password, RolePermission, Scope, User, UserPermission, UserRole
from tenant_runtime.oauth.backchannel_logout import Initiator

_u, _i = User.__table__.c, Identity.__table__.c
_scope, _held, _role = Scope.__table__.c, RolePermission.__table__.c, UserRole.__table__.c
_direct = UserPermission.__table__.c
_BY_EMAIL = select(_i.email, _i.user_id).where(
    _i.connection_id == bindparam("of_connection"), _i.email.in_(bindparam("of", expanding=True))
)
_BY_ID = select(_u.user_id, _u.user_id).where(_u.user_id.in_(bindparam("of", expanding=True)))
_BY_IDENTITY = select(_i.provider_user_id, _i.user_id).where(
    _i.provider == PROVIDER, _i.provider_user_id.in_(bindparam("of", expanding=True))
)
_BY_NAME = select(_u.username, _u.user_id).where(_u.username.in_(bindparam("of", expanding=True)))
_HOLDERS = (
    select(_role.user_id)
    .join(RolePermission.__table__, _held.role_id == _role.role_id)
    .join(
        Scope.__table__,
        (_scope.resource_server_id == _held.resource_server_id) & (_scope.value == _held.permission),
    )
    .where(_scope.is_platform.is_(True), _role.user_id.in_(bindparam("of", expanding=True)))
)
_DIRECT_HOLDERS = (
    select(_direct.user_id)
    .join(
        Scope.__table__,
        (_scope.resource_server_id == _direct.resource_server_id) & (_scope.value == _direct.permission),
    )
    .where(_scope.is_platform.is_(True), _direct.user_id.in_(bindparam("of", expanding=True)))
)
_OPERATORS = union(_HOLDERS, _DIRECT_HOLDERS)
_USER = select(User.__table__).where(_u.user_id == bindparam("of"))
_CONNECTION = select(ConnectionRow.__table__.c.id).where(ConnectionRow.__table__.c.id == bindparam("of"))
_FIXED = ("email", "username", "user_id")
_METADATA = ("user_metadata", "app_metadata")
_FLAGS = ("email_verified", "phone_verified", "blocked")
_PROFILE = ("username", "phone_number", "name", "given_name", "family_name", "nickname", "picture")


async def do_part(tenant: Tenant, job: Claimed, now: int) -> Claimed | None:
    content = await tenant.database.read(queue.part, job.id, "input", job.part)
    if content is None:
        await tenant.database.write(finish, job, now)
        return None
    rows = await asyncio.to_thread(_opened, tenant.data_key, job, content)
    return await tenant.database.alone(_import, tenant.data_key, job, rows, now)


def _opened(data_key: DataKey, job: Claimed, content: bytes) -> list[Row]:
    return read_rows(queue.opened(data_key, job.id, "input", job.part, content))


@dataclass(slots=True)
class _Known:
    """Who is there, by everything that somebody is known by; grows with the rows of the part."""

    emails: dict[str, str]
    ids: dict[str, str]
    usernames: dict[str, str]
    operators: frozenset[str]
    made: set[str] = field(default_factory=set)
    """By this part."""


@dataclass(slots=True)
class _Done:
    users: list[dict[str, Any]] = field(default_factory=list)
    identities: list[dict[str, Any]] = field(default_factory=list)
    passwords: list[dict[str, Any]] = field(default_factory=list)
    updated: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)


def _import(
    connection: Connection, data_key: DataKey, job: Claimed, rows: Sequence[Row], now: int
) -> Claimed | None:
    if connection.execute(_CONNECTION, {"of": job.connection_id}).first() is None:
        finish(connection, job, now, "The connection does not exist any more.")
        return None
    known, done = _known(connection, str(job.connection_id), rows), _Done()
    for row in rows:
        error = _take(connection, data_key, job, row, known, done, now)
        if error:
            done.errors.append({"user": row.shown, "errors": [asdict(one) for one in error]})
    for model, values in ((User, done.users), (Identity, done.identities), (Password, done.passwords)):
        if values:
            connection.execute(insert(model.__table__), values)
    kept = {}
    if done.errors:
        told = msgspec.json.encode(done.errors)
        kept["errors"] = queue.sealed(data_key, job.id, "errors", job.part, told)
    step = Step(
        done=len(rows),
        inserted=len(done.users),
        updated=done.updated,
        failed=len(done.errors),
        part=kept,
    )
    return advance(connection, job, step)


def _known(connection: Connection, connection_id: str, rows: Sequence[Row]) -> _Known:
    emails = _pairs(connection, _BY_EMAIL, (row.email for row in rows), of_connection=connection_id)
    return _Known(
        emails,
        _ids(connection, rows),
        _pairs(connection, _BY_NAME, (row.members.get("username") for row in rows)),
        frozenset(connection.execute(_OPERATORS, {"of": list(emails.values())}).scalars()),
    )


def _ids(connection: Connection, rows: Sequence[Row]) -> dict[str, str]:
    """Of users, and of identities that were users before they were linked and may be again."""
    linked = _pairs(connection, _BY_IDENTITY, (row.members.get("user_id") for row in rows))
    ids = {f"{PROVIDER}|{id}": user_id for id, user_id in linked.items()}
    return ids | _pairs(connection, _BY_ID, (_id_of(row) for row in rows))


def _pairs(connection: Connection, query: Any, names: Iterable[str | None], **values: str) -> dict[str, str]:
    asked = [name for name in names if name]
    return {row[0]: row[1] for row in connection.execute(query, {"of": asked, **values})} if asked else {}


def _id_of(row: Row) -> str | None:
    return f"{PROVIDER}|{row.members['user_id']}" if "user_id" in row.members else None


def _take(
    connection: Connection,
    data_key: DataKey,
    job: Claimed,
    row: Row,
    known: _Known,
    done: _Done,
    now: int,
) -> tuple[RowError, ...]:
    if row.errors:
        return row.errors
    user_id, username = _id_of(row), row.members.get("username")
    there = known.emails.get(row.email)
    if there is None:
        if user_id in known.ids:
            return (RowError("CONFLICT", "The id belongs to a user with another address.", "user_id"),)
        if username in known.usernames:
            return (RowError("CONFLICT_USERNAME", "The user name is taken.", "username"),)
        _insert(job, row, user_id or new_user_id(PROVIDER), known, done, now)
        return ()
    if not job.parameters.get("upsert"):
        return (RowError("DUPLICATED_USER", "The user already exists.", "email"),)
    if user_id not in (None, there):
        return (RowError("CONFLICT", "The user has another id.", "user_id"),)
    if known.usernames.get(username or "", there) != there:
        return (RowError("CONFLICT_USERNAME", "The user name is taken.", "username"),)
    if there in known.operators:
        return (RowError("CONFLICT", "An import changes no operator of the platform.", "email"),)
    if there in known.made:
        return (RowError("DUPLICATED_USER", "The file names this user twice.", "email"),)
    if row.members.get("email_verified") and not _may_prove(connection, job, there):
        return (RowError("CONFLICT", "This user has more permissions than who imports.", "email_verified"),)
    try:
        _update(connection, data_key, there, row.members, now)
    except InvalidInput as error:
        return (RowError("MAX_LENGTH", error.description, "app_metadata"),)
    done.updated += 1
    return ()


def _may_prove(connection: Connection, job: Claimed, user_id: str) -> bool:
    if connection.execute(_USER, {"of": user_id}).one().email_verified:
        return True
    return may_sign_in_as(connection, frozenset(job.parameters.get("permissions", ())), user_id)


def _insert(job: Claimed, row: Row, user_id: str, known: _Known, done: _Done, now: int) -> None:
    members = row.members
    values = {name: members.get(name) for name in _PROFILE}
    values |= {name: members.get(name, False) for name in _FLAGS}
    values |= {name: merged({}, members.get(name)) for name in _METADATA}
    values["name"] = values["name"] or row.email
    values["nickname"] = values["nickname"] or row.email.partition("@")[0]
    done.users.append(
        {
            **values,
            "user_id": user_id,
            "email": row.email,
            "profile": {},
            "created_at": now,
            "updated_at": now,
            "sessions_valid_from": now if "user_id" in members else 0,  # the id may have been somebody's
        }
    )
    done.identities.append(
        {
            "connection_id": job.connection_id,
            "provider_user_id": user_id.partition("|")[2],
            "user_id": user_id,
            "provider": PROVIDER,
            "email": row.email,
            "profile_data": {},
        }
    )
    if row.hash is not None:
        done.passwords.append({"user_id": user_id, "hash": row.hash, "changed_at": now})
    known.emails[row.email] = known.ids[user_id] = user_id
    known.made.add(user_id)
    if members.get("username"):
        known.usernames[members["username"]] = user_id


def _update(
    connection: Connection, data_key: DataKey, user_id: str, members: Mapping[str, Any], now: int
) -> None:
    before = connection.execute(_USER, {"of": user_id}).one()
    values = {name: value for name, value in members.items() if name not in _FIXED}
    for name in _METADATA:
        if name in values:
            values[name] = merged(before._mapping[name], values[name])
    values["updated_at"] = now
    connection.execute(update(User.__table__).where(_u.user_id == user_id).values(values))
    if values.get("blocked") and not before.blocked:
        end_logins(connection, data_key, user_id, now, why=Initiator.ACCOUNT_DEACTIVATED)
