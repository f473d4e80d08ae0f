"""What is over is removed, a little at a time, by those who add to it: one new request of 256 sweeps,
also of those that nobody signs in for.

No timer visits idle tenants, so ten thousand of them cost nothing. Used codes stay a day, because a second use must
be recognised as one; ended sessions stay a month for whoever looks into what happened. A family of refresh tokens goes
a month after it was over for good and last used, what was revoked a month after: no access token lives longer.
Invitations stay three months after their time, answered or not, and requests to join as long after they were granted or
taken back; who was turned away is remembered (`organizations.joining.turned_away`).
"""

from collections.abc import Mapping
from typing import TypeAlias

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Delete,
    Table,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
)

from tenant_runtime.audit.retention import sweep_events
from tenant_runtime.deliveries.queue import sweep_deliveries
from tenant_runtime.jobs.queue import sweep_jobs
from tenant_runtime.models import (
    AccessToken,
    AuthorizationCode,
    AuthorizationRequest,
    Change,
    DeviceCode,
    Invitation,
    JoinRequest,
    LoginCode,
    PushedRequest,
    RefreshFamily,
    RevokedFamily,
    Session,
    Ticket,
)
from tenant_runtime.oauth.single_use import sweep_used_ids
from tenant_runtime.schema import has_organization_api

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


_f, _v, _c = RefreshFamily.__table__.c, RevokedFamily.__table__.c, Change.__table__.c
_before: BindParameter[int] = bindparam("before")
LONGEST_TOKEN_MS = 31 * _DAY_MS
"""Longer than any access token may live."""

CHANGES_KEPT_MS = 15 * _DAY_MS
"""Longer than deliveries that were given up can be sent again."""

_OVER: tuple[tuple[Table, ColumnElement[bool], int], ...] = (
    *((model.__table__, model.__table__.c.expires_at < _before, kept) for model, kept in _KEPT_MS.items()),
    (
        RefreshFamily.__table__,
        or_(_f.expires_at < _before, _f.revoked_at < _before) & (_f.used_at < _before),
        LONGEST_TOKEN_MS,
    ),
    (
        RevokedFamily.__table__,
        (_v.revoked_at < _before) & ~exists().where(_f.id == _v.family_id),
        LONGEST_TOKEN_MS,
    ),
    (
        Change.__table__,
        (_c.created_at < _before) & (_c.sequence < select(func.max(_c.sequence)).scalar_subquery()),
        CHANGES_KEPT_MS,
    ),
)
"""What is over, and for how long it is kept all the same."""

_i, _r = Invitation.__table__.c, JoinRequest.__table__.c
ASKED_KEPT_MS = 90 * _DAY_MS
_OVER_IN_ORGANIZATIONS: tuple[tuple[Table, ColumnElement[bool], int], ...] = (
    (Invitation.__table__, _i.expires_at < _before, ASKED_KEPT_MS),
    (
        JoinRequest.__table__,
        _r.status.in_(("approved", "canceled")) & (_r.decided_at < _before),
        ASKED_KEPT_MS,
    ),
)


def _removal(table: Table, condition: ColumnElement[bool]) -> Delete:
    (key,) = table.primary_key.columns
    return delete(table).where(key.in_(select(key).where(condition).limit(MOST)))


_REMOVALS = [(_removal(table, condition), kept) for table, condition, kept in _OVER]
_REMOVALS_IN_ORGANIZATIONS = [
    (_removal(table, condition), kept) for table, condition, kept in _OVER_IN_ORGANIZATIONS
]


def sweep(connection: Connection, now: int) -> None:
    more = _REMOVALS_IN_ORGANIZATIONS if has_organization_api(connection) else []
    for removal, kept in (*_REMOVALS, *more):
        connection.execute(removal, {"before": now - kept})
    sweep_jobs(connection, now)
    sweep_events(connection, now)
    sweep_deliveries(connection, now)
    sweep_used_ids(connection, now)
