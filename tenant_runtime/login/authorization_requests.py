"""What is stored between /authorize and the code, for requests that need the person.

Found by a secret (`state` of our own pages) of which only the digest is stored, and only for the browser that began
it (ASVS 7.2, login CSRF): opened elsewhere, on another issuer, when over or too old, there is no such request.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update

from core.database import Prepared
from core.errors import InvalidRequest
from tenant_runtime.expiry import is_current
from tenant_runtime.models import AuthorizationRequest

LIFETIME_MS = 3_600_000

_a = AuthorizationRequest.__table__.c
_INSERT = Prepared(insert(AuthorizationRequest.__table__))
_LOAD = select(_a.digest, _a.parameters, _a.progress, _a.created_at).where(
    _a.digest == bindparam("request"),
    _a.browser_digest == bindparam("browser"),
    _a.issuer == bindparam("issuer"),
    is_current(AuthorizationRequest.__table__),
    _a.completed_at.is_(None),
)
_SAVE = Prepared(
    update(AuthorizationRequest.__table__)
    .where(_a.digest == bindparam("request"))
    .values(progress=bindparam("new_progress"))
)
_COMPLETE = (
    update(AuthorizationRequest.__table__)
    .where(_a.digest == bindparam("request"), _a.completed_at.is_(None))
    .values(completed_at=bindparam("now"))
)


class RequestGone(InvalidRequest):
    """Shown, never sent to a client: it is not told of requests that may not be its own."""

    description = (
        "This sign-in has expired, was completed, or was begun in another browser. "
        "Go back to the application and try again."
    )


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the person has done so far. A login starts it anew: nothing that one person did counts for the next.
    `led_to`: the organization that owns the domain of `identifier`, if there is one."""

    identifier: str = ""
    attempts: int = 0
    session_id: str | None = None
    authenticated_at: int = 0
    led_to: str | None = None
    organization_id: str | None = None
    has_consented: bool = False
    has_refused: bool = False


@dataclass(frozen=True, slots=True)
class RequestKey:
    """How a browser names its request."""

    digest: str
    browser_digest: str
    issuer: str


@dataclass(frozen=True, slots=True)
class StoredRequest:
    digest: str
    parameters: Mapping[str, str]
    progress: Progress


def store_request(
    connection: Connection, key: RequestKey, client_id: str, parameters: Mapping[str, str], now: int
) -> None:
    values = {
        "digest": key.digest,
        "browser_digest": key.browser_digest,
        "issuer": key.issuer,
        "client_id": client_id,
        "parameters": dict(parameters),
        "progress": {},
        "created_at": now,
        "expires_at": now + LIFETIME_MS,
        "completed_at": None,
    }
    _INSERT.run(connection, values)


def load_request(connection: Connection, key: RequestKey, now: int) -> StoredRequest:
    values = {"request": key.digest, "browser": key.browser_digest, "issuer": key.issuer, "now": now}
    row = connection.execute(_LOAD, values).one_or_none()
    if row is None:
        raise RequestGone()
    return StoredRequest(row.digest, row.parameters, msgspec.convert(row.progress, Progress))


def save_progress(connection: Connection, digest: str, progress: Progress) -> None:
    _SAVE.run(connection, {"request": digest, "new_progress": msgspec.to_builtins(progress)})


def refuse_request(connection: Connection, key: RequestKey, now: int) -> None:
    """The person does not want to: the next arrival tells the client."""
    stored = load_request(connection, key, now)
    save_progress(connection, stored.digest, msgspec.structs.replace(stored.progress, has_refused=True))


def complete_request(connection: Connection, digest: str, now: int) -> None:
    """Claimed, not looked up: the second of two that arrive together finds nothing."""
    if connection.execute(_COMPLETE, {"request": digest, "now": now}).rowcount != 1:
        raise RequestGone()
