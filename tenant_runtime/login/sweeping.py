"""What is over is removed, a little at a time, by those who add to it: one new request of 256 sweeps,
also of those that nobody signs in for.

No timer visits idle tenants, so ten thousand of them cost nothing. Used codes stay a day, because a second use must
be recognised as one; ended sessions stay a month for whoever looks into what happened.
"""

from collections.abc import Mapping
from typing import TypeAlias

from sqlalchemy import Connection, Delete, bindparam, delete, select

from tenant_runtime.deliveries.queue import sweep_deliveries
from tenant_runtime.models import (
    AccessToken,
    AuthorizationCode,
    AuthorizationRequest,
    DeviceCode,
    LoginCode,
    PushedRequest,
    Session,
    Ticket,
)
from tenant_runtime.oauth.single_use import sweep_used_ids

SWEEP_WHEN = "00"
"""The first digits of the new code's digest: chance without a die, so that the unit stays pure."""

MOST = 1000
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
Swept: TypeAlias = type[
    AccessToken
    | AuthorizationRequest
    | AuthorizationCode
    | DeviceCode
    | LoginCode
    | PushedRequest
    | Session
    | Ticket
]
_KEPT_MS: Mapping[Swept, int] = {
    AccessToken: 0,
    AuthorizationRequest: 0,
    AuthorizationCode: _DAY_MS,
    DeviceCode: _DAY_MS,
    LoginCode: 0,
    PushedRequest: _HOUR_MS,  # a login that was begun with it goes on
    Session: 30 * _DAY_MS,
    Ticket: _DAY_MS,
}


def _removal(model: Swept) -> Delete:
    table = model.__table__
    (key,) = table.primary_key.columns
    over = select(key).where(table.c.expires_at < bindparam("before")).limit(MOST)
    return delete(table).where(key.in_(over))


_REMOVALS = [(_removal(model), kept) for model, kept in _KEPT_MS.items()]


def sweep(connection: Connection, now: int) -> None:
    for removal, kept in _REMOVALS:
        connection.execute(removal, {"before": now - kept})
    sweep_deliveries(connection, now)
    sweep_used_ids(connection, now)
