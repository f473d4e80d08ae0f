"""One part of an export: so many users after the last one, as lines of JSON or CSV, packed.

Each part is a gzip member of its own, and members that follow each other are one file (RFC 1952 section 2.2). What is
written is what `/users` shows: nothing of a password. A cell that a spreadsheet would take for a formula has an
apostrophe before it.
"""

import asyncio
import csv
import gzip
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select

from core.crypto.sealing import DataKey
from core.tenants import Tenant
from tenant_runtime.jobs import queue
from tenant_runtime.jobs.queue import Claimed, Step, advance, finish
from tenant_runtime.management.users.resource import LISTING
from tenant_runtime.models import Identity, User

BATCH = 500
_u, _i = User.__table__.c, Identity.__table__.c

DEFAULT_COLUMNS: Mapping[str, str] = {
    "user_id": "Id",
    "email": "Email",
    "email_verified": "Email Verified",
    "username": "Username",
    "name": "Name",
    "given_name": "Given Name",
    "family_name": "Family Name",
    "nickname": "Nickname",
    "phone_number": "Phone Number",
    "identities[0].connection": "Connection",
    "blocked": "Blocked",
    "created_at": "Created At",
    "updated_at": "Updated At",
    "last_login": "Last Login",
    "logins_count": "Logins Count",
}
"""Of a CSV file, unless the caller names some."""

_STEP = re.compile(r"([^.\[\]]+)|\[([0-9]{1,3})\]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")


async def do_part(tenant: Tenant, job: Claimed, now: int) -> Claimed | None:
    total, users, position = await tenant.database.read(_page, job)
    if not users:
        await tenant.database.write(_end, tenant.data_key, job, now)
        return None
    content = await asyncio.to_thread(_packed, tenant.data_key, job, users)
    step = Step(done=len(users), position=position, total=total, part={"output": content})
    return await tenant.database.alone(advance, job, step)


def _page(connection: Connection, job: Claimed) -> tuple[int, list[dict[str, Any]], list[Any] | None]:
    criteria = [] if job.connection_id is None else [_in_connection(job.connection_id)]
    limit = job.parameters.get("limit")
    total = job.total if job.part else _total(connection, criteria, limit)
    if job.position is not None:
        criteria.append(LISTING.after(tuple(job.position)))
    wanted = min(BATCH, total - job.done) if limit is not None else BATCH
    page = LISTING.statement.where(*criteria).order_by(*LISTING.order()).limit(max(0, wanted))
    rows = connection.execute(page).all()
    users = msgspec.to_builtins(LISTING.shape(connection, rows))
    return total, users, [rows[-1].created_at, rows[-1].user_id] if rows else None


def _total(connection: Connection, criteria: Sequence[ColumnElement[bool]], limit: int | None) -> int:
    counted = connection.scalar(select(func.count()).select_from(User.__table__).where(*criteria)) or 0
    return counted if limit is None else min(counted, limit)


def _in_connection(connection_id: str) -> ColumnElement[bool]:
    return _u.user_id.in_(select(_i.user_id).where(_i.connection_id == connection_id))


def _end(connection: Connection, data_key: DataKey, job: Claimed, now: int) -> None:
    """An empty file is a file: with its headings, if it is one of columns."""
    if job.part == 0:
        queue.add_part(connection, job.id, "output", 0, _packed(data_key, job, []))
    finish(connection, job, now)


def _packed(data_key: DataKey, job: Claimed, users: Sequence[Mapping[str, Any]]) -> bytes:
    columns = {
        field["name"]: field.get("export_as") or field["name"] for field in job.parameters.get("fields") or ()
    }
    if job.parameters["format"] == "csv":
        text = _csv(users, columns or DEFAULT_COLUMNS, with_headings=job.part == 0)
    else:
        text = _json(users, columns)
    return queue.sealed(data_key, job.id, "output", job.part, gzip.compress(text, 6, mtime=0))


def _json(users: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> bytes:
    """A line for each user."""
    shown = [_chosen(user, columns) for user in users] if columns else users
    return msgspec.json.Encoder().encode_lines(shown)


def _chosen(user: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    found = {title: _at(user, name) for name, title in columns.items()}
    return {title: value for title, value in found.items() if value is not None}


def _csv(users: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, with_headings: bool) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file)
    if with_headings:
        writer.writerow([_cell(title) for title in columns.values()])
    writer.writerows([_cell(_at(user, name)) for name in columns] for user in users)
    return file.getvalue().encode()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool() | dict() | list():
            return msgspec.json.encode(value).decode()
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def _at(value: Any, path: str) -> Any:
    """`app_metadata.plan`, `identities[0].connection`; None where there is nothing."""
    for name, place in _STEP.findall(path):
        if place:
            value = value[int(place)] if isinstance(value, list) and int(place) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value
