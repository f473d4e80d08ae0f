"""Invitations that another change takes back: whoever sent them may not invite any more, or not as much.

One event for each, with the reason. No hook is asked, for nothing could be refused; webhooks tell of them as of others.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, update

from tenant_runtime.audit import Event, record
from tenant_runtime.audit.codes import CODES
from tenant_runtime.models import Invitation
from tenant_runtime.organizations.invitations.tickets import CANCELED, PENDING

TAKEN_BACK = "organization_invitation_canceled"

_i = Invitation.__table__.c
_TOLD = (_i.organization_id, _i.email, _i.role, _i.inviter_id)


class Reason(StrEnum):
    """About the inviter: no member any more; blocked; deleted; with other roles. About a role that changed: they have
    it, or ask somebody to it, and may not ask as much now."""

    GONE = "inviter_gone"
    BLOCKED = "inviter_blocked"
    DELETED = "inviter_deleted"
    ROLES_CHANGED = "inviter_roles_changed"
    ROLE_CHANGED = "role_changed"


def take_back_for(connection: Connection, reason: Reason, now: int, *which: ColumnElement[bool]) -> None:
    pending = update(Invitation.__table__).where(_i.status == PENDING, *which)
    taken = pending.values(status=CANCELED, updated_at=now).returning(*_TOLD)
    record(connection, *(_event(row, reason, now) for row in connection.execute(taken).all()))


def _event(row: Row[Any], reason: Reason, now: int) -> Event:
    """Whom, as what, and never by which id."""
    return Event(
        type=TAKEN_BACK,
        created_at=now,
        description=CODES[TAKEN_BACK].description,
        user_id=row.inviter_id,
        organization_id=row.organization_id,
        details={"email": row.email, "role": row.role, "reason": reason.value},
    )
