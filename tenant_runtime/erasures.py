"""Deleted users, as what remembers them: a digest made with a key of the tenant's, which says nothing without it.

Told to the registry by the outbox, in the transaction that deletes the user: so that no backup restored later brings
them back.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, select

from core.crypto.sealing import DataKey
from core.ids import new_id
from core.tenants import Erasures, Tenant
from tenant_runtime.deliveries.queue import Outgoing, enqueue
from tenant_runtime.models import Delivery, User

KIND = "erasure"
PURPOSE = "erasures"

_delivery, _user = Delivery.__table__.c, User.__table__.c


def erasure_digest(data_key: DataKey, user_id: str) -> str:
    return hmac.new(data_key.derive(PURPOSE), user_id.encode(), sha256).hexdigest()


def tell_of_erasure(connection: Connection, data_key: DataKey, user_id: str, now: int) -> None:
    """`Deliveries.soon` after the commit. The recipient is the digest too: it can still be read when the delivery was
    given up."""
    digest = erasure_digest(data_key, user_id)
    enqueue(
        connection,
        data_key,
        Outgoing(id=new_id("dlv"), kind=KIND, recipient=digest, payload={"digest": digest, "erased_at": now}),
        now,
    )


def erasure_sender(erasures: Erasures) -> Callable[[Tenant, Mapping[str, Any]], Awaitable[None]]:
    async def send(tenant: Tenant, payload: Mapping[str, Any]) -> None:
        await erasures.record(tenant.id, payload["digest"], payload["erased_at"])

    return send


def erasures_in(connection: Connection) -> list[tuple[str, int]]:
    """Those that are still remembered here, told or not: digests and times."""
    rows = connection.execute(select(_delivery.recipient, _delivery.created_at).where(_delivery.kind == KIND))
    return [(row[0], row[1]) for row in rows]


def erased_users(connection: Connection, data_key: DataKey, erased: Mapping[str, int]) -> list[str]:
    """Who is here although they were deleted; not who was made anew since, under the same id."""
    if not erased:
        return []
    rows = connection.execute(select(_user.user_id, _user.created_at))
    return [
        user_id
        for user_id, created_at in rows
        if created_at <= erased.get(erasure_digest(data_key, user_id), -1)
    ]
