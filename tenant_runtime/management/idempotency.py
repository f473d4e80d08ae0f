"""`Idempotency-Key`: a POST that is sent again has the first answer again, for 24 hours.

The key is claimed, the change is made and the answer is kept in one transaction, so there is no moment at which a
key is taken and its answer unknown: of two requests at once the second waits for the writer and finds the first
one's answer. A request that was refused has changed nothing and is not kept. Answers are sealed with the tenant's
data key.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, select, update

from core.crypto.sealing import DataKey
from core.database.sql import insert
from core.errors import Conflict, Unprocessable
from core.http.errors import AnyRequest
from core.http.idempotency import KEPT_MS, idempotent_request
from core.tenants import RequestKey
from tenant_runtime.management.access import Actor
from tenant_runtime.models import IdempotencyKey

_table = IdempotencyKey.__table__
_EXPIRE = delete(_table).where(_table.c.expires_at <= bindparam("now"))
_CLAIM = insert(_table).on_conflict_do_nothing()
_FIND = select(_table).where(_table.c.digest == bindparam("of"))
_KEEP = (
    update(_table)
    .where(_table.c.digest == bindparam("of"))
    .values(status=bindparam("s"), body=bindparam("b"))
)


@dataclass(frozen=True, slots=True)
class Claim:
    digest: str
    request_digest: str
    now: int
    data_key: DataKey


@dataclass(frozen=True, slots=True)
class Kept:
    answer: Any


def claim_of(request: AnyRequest, body: bytes, actor: Actor, data_key: DataKey, now: int) -> Claim | None:
    caller = (actor.issuer, actor.subject, actor.client_id, actor.org_id)
    sent = idempotent_request(request, body, caller)
    return Claim(sent.digest, sent.request_digest, now, data_key) if sent is not None else None


def begin(connection: Connection, claim: Claim) -> Kept | None:
    """None when the key is ours now; otherwise what was answered before."""
    connection.execute(_EXPIRE, {"now": claim.now})
    row = {
        "digest": claim.digest,
        "request_digest": claim.request_digest,
        "created_at": claim.now,
        "expires_at": claim.now + KEPT_MS,
    }
    if connection.execute(_CLAIM, row).rowcount == 1:
        return None
    return _kept(claim, connection.execute(_FIND, {"of": claim.digest}).one())


def _kept(claim: Claim, kept: Row[Any]) -> Kept:
    if kept.request_digest != claim.request_digest:
        raise Unprocessable("This Idempotency-Key was used with another request.")
    if kept.body is None:
        raise Conflict("A request with this Idempotency-Key is in progress.")
    return Kept(msgspec.json.decode(claim.data_key.open(kept.body, "idempotency_keys", "body", claim.digest)))


def find(connection: Connection, claim: Claim) -> Kept | None:
    """What was answered before, while nothing is claimed yet: asked before something outside this database is done."""
    row = connection.execute(_FIND, {"of": claim.digest}).first()
    if row is None or row.expires_at <= claim.now:
        return None
    return _kept(claim, row)


def made_elsewhere(claim: Claim, made: Any) -> RequestKey:
    """The key as it is written beside what the request makes outside this database."""
    return RequestKey(
        digest=claim.digest,
        request_digest=claim.request_digest,
        expires_at=claim.now + KEPT_MS,
        made=_sealed(claim, made),
    )


def keep(connection: Connection, claim: Claim, answer: Any) -> None:
    connection.execute(_KEEP, {"of": claim.digest, "s": 200, "b": _sealed(claim, answer)})


def _sealed(claim: Claim, value: Any) -> bytes:
    return claim.data_key.seal(msgspec.json.encode(value), "idempotency_keys", "body", claim.digest)
