"""What a restored database must not bring back, and what it must not lose.

Gone, always: sessions, authorization requests, codes, refresh families, access tokens, pushed requests, device codes,
tickets, login codes, messages that were waiting; invitations that nobody had answered are canceled; and every user who
was deleted since is gone. What was issued before the
restore is refused: each user's sign-ins count from it on.

Taken over from the database that is replaced, as long as it can be read: the signing keys as they are now (so what
was revoked stays revoked, and what is published stays verifiable), revoked tokens and consents, ids that were used
up; whom organizations turned away or put out. Of the consents in the backup only those stay that hold today, as far as
they go today, and of its streams only those are on that tell the same receiver today. When it cannot be read, nobody
knows: then every signing key is revoked and new ones are made, and every consent is asked for again.

Domains that are an organization's by a record are looked for at once, and lost where it is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select, update
from sqlalchemy.sql.elements import ColumnElement

from core.crypto.sealing import DataKey
from core.database.sql import insert
from tenant_runtime.erasures import KIND as ERASURE
from tenant_runtime.erasures import erased_users, erasures_in
from tenant_runtime.management.endings import end_memberships
from tenant_runtime.models import (
    AccessToken,
    AuthorizationCode,
    AuthorizationRequest,
    Delivery,
    DeviceCode,
    Grant,
    LoginCode,
    PushedRequest,
    RefreshFamily,
    RefreshToken,
    RevokedFamily,
    Session,
    SessionClient,
    SigningKeyRow,
    Ticket,
    UsedId,
    User,
)
from tenant_runtime.oauth.keys.changes import Spare, load_all, revoke
from tenant_runtime.oauth.keys.life import PUBLISHED
from tenant_runtime.organizations.domains.rechecking import look_at_once
from tenant_runtime.organizations.joining.turned_away import bring_over, turned_away_in
from tenant_runtime.organizations.leaving import cancel_all_invitations
from tenant_runtime.schema import has_organization_api
from tenant_runtime.streams.receivers import receivers_in, switch_off_all_but

SHORT_LIVED: tuple[Table, ...] = tuple(
    model.__table__
    for model in (
        AccessToken,
        AuthorizationCode,
        AuthorizationRequest,
        DeviceCode,
        LoginCode,
        PushedRequest,
        RefreshToken,
        RefreshFamily,
        SessionClient,
        Session,
        Ticket,
    )
)
"""Children before parents."""

_delivery, _grant, _user = Delivery.__table__.c, Grant.__table__.c, User.__table__.c

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Present:
    """What the database that is being replaced says last, behind its fence."""

    signing_keys: Rows = field(repr=False)
    revoked: Rows
    used: Rows
    consents: Mapping[str, Sequence[str]]  # by id: the scope
    erased: Sequence[tuple[str, int]]
    turned_away: Rows
    receivers: Mapping[str, str]  # addresses, by id of the stream


def read_present(connection: Connection) -> Present:
    consents = connection.execute(select(_grant.id, _grant.scope))
    return Present(
        signing_keys=_rows(connection, SigningKeyRow.__table__),
        revoked=_rows(connection, RevokedFamily.__table__),
        used=_rows(connection, UsedId.__table__),
        consents={row.id: tuple(row.scope) for row in consents},
        erased=erasures_in(connection),
        turned_away=turned_away_in(connection) if has_organization_api(connection) else (),
        receivers=receivers_in(connection),
    )


def end_what_was_begun(connection: Connection, now: int) -> None:
    for table in SHORT_LIVED:
        connection.execute(delete(table))
    is_waiting = _delivery.due_at.is_not(None) & (_delivery.kind != ERASURE)
    connection.execute(delete(Delivery.__table__).where(is_waiting))
    connection.execute(update(User.__table__).values(sessions_valid_from=_later(now)))
    cancel_all_invitations(connection, now)
    if has_organization_api(connection):
        look_at_once(connection, now)


def _later(now: int) -> ColumnElement[int]:
    """Never back: one that was ended ahead of its time stays so."""
    return func.max(_user.sessions_valid_from, now)


def erase(connection: Connection, data_key: DataKey, erased: Mapping[str, int], now: int) -> int:
    """Everything of an erased user goes with the row; answers how many there were."""
    user_ids = erased_users(connection, data_key, erased)
    for user_id in user_ids:
        end_memberships(connection, user_id, now)
        connection.execute(delete(User.__table__).where(_user.user_id == user_id))
    return len(user_ids)


def take_over(connection: Connection, present: Present, now: int) -> None:
    connection.execute(delete(SigningKeyRow.__table__))
    _put(connection, SigningKeyRow.__table__, present.signing_keys)
    _put(connection, RevokedFamily.__table__, present.revoked)
    _put(connection, UsedId.__table__, present.used)
    switch_off_all_but(connection, present.receivers, now)
    if present.turned_away and has_organization_api(connection):
        bring_over(connection, present.turned_away)
    _keep_consents(connection, present)


def _keep_consents(connection: Connection, present: Present) -> None:
    for id, scope in connection.execute(select(_grant.id, _grant.scope)).all():
        held = present.consents.get(id)
        if held is None:
            connection.execute(delete(Grant.__table__).where(_grant.id == id))
        else:
            left = [value for value in scope if value in held]
            connection.execute(update(Grant.__table__).where(_grant.id == id).values(scope=left))


def trust_nothing(connection: Connection, data_key: DataKey, spare: Spare, now: int) -> None:
    """`spare` has a new key of each algorithm that signs in the backup."""
    for key in load_all(connection):
        if key.state in PUBLISHED and key.state != "current":
            revoke(connection, data_key, key.kid, now, spare)
    for key in load_all(connection):
        if key.state == "current":
            revoke(connection, data_key, key.kid, now, spare)
    connection.execute(delete(Grant.__table__))


def algorithms_in_use(connection: Connection) -> list[str]:
    return sorted({key.alg for key in load_all(connection) if key.state == "current"})


def _rows(connection: Connection, table: Table) -> Rows:
    return [dict(row._mapping) for row in connection.execute(select(table))]


def _put(connection: Connection, table: Table, rows: Rows) -> None:
    if rows:
        connection.execute(insert(table).on_conflict_do_nothing(), list(rows))
