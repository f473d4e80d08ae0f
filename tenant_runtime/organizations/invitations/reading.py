"""Which invitations there are, for whoever invites and for whom they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select

from tenant_runtime.login.emails import normal_email
from tenant_runtime.models import Invitation, Organization, User
from tenant_runtime.organizations.access import OWNER
from tenant_runtime.organizations.acting import Acting, acting_member, suspended
from tenant_runtime.organizations.invitations.answering import Person, check_recipient, unverified
from tenant_runtime.organizations.invitations.tickets import PENDING, Found, find
from tenant_runtime.organizations.members import Member, member_of
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.wire.errors import refusal

MOST = 1000
"""Of one answer; more are asked for by `offset`."""

_i, _o, _u = Invitation.__table__.c, Organization.__table__.c, User.__table__.c
_OF_ORGANIZATION: Select[Any] = (
    select(*_i)
    .where(_i.organization_id == bindparam("organization"))
    .order_by(_i.created_at, _i.id)
    .limit(bindparam("most"))
    .offset(bindparam("start"))
)
_OF_ADDRESS: Select[Any] = (
    select(*_i, _o.name.label("organization_name"), _o.display_name.label("organization_display_name"))
    .join(Organization.__table__, _o.id == _i.organization_id)
    .where(_i.email == bindparam("to"), _i.status == PENDING, _o.suspended_at.is_(None))
    .order_by(_i.created_at, _i.id)
    .limit(MOST)
)
_ADDRESS = select(_u.email).where(_u.user_id == bindparam("user"))


@dataclass(frozen=True, slots=True)
class Shown:
    """An invitation to whom it is for."""

    found: Found
    inviter_email: str | None


def shown_to_recipient(
    connection: Connection, shown: str, person: Person, options: OrganizationOptions, now: int
) -> Shown:
    found = find(connection, shown)
    if found is None or not found.is_live(now):
        raise refusal(400, "INVITATION_NOT_FOUND")
    check_recipient(found, person, options, "VIEWING")
    if found.row.suspended_at is not None:
        raise suspended()
    inviter_id = found.row.inviter_id
    if inviter_id is None:  # invited by the tenant's own software
        return Shown(found, None)
    if member_of(connection, found.row.organization_id, inviter_id) is None:
        raise refusal(400, "INVITER_IS_NO_LONGER_A_MEMBER_OF_THE_ORGANIZATION")
    return Shown(found, connection.execute(_ADDRESS, {"user": inviter_id}).scalar_one())


def listed(
    connection: Connection,
    organization_id: str,
    acting: Acting,
    limit: int = MOST,
    offset: int = 0,
) -> Sequence[Row[Any]]:
    no_member = "You are not a member of this organization"
    may_not = "You are not allowed to list invitations for this organization"
    member = acting_member(
        connection,
        acting,
        organization_id,
        {"invitation": ["create"]},
        stranger=refusal(403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION", no_member, has_code=False),
        otherwise=refusal(403, "YOU_ARE_NOT_ALLOWED_TO_LIST_INVITATIONS", may_not),
    )
    return visible_to(connection, member, limit, offset)


def visible_to(connection: Connection, member: Member, limit: int = MOST, offset: int = 0) -> list[Row[Any]]:
    """Of every status, the oldest first, to a member who may invite: an invitation to be an owner is the owners'."""
    values = {"organization": member.organization_id, "most": limit, "start": offset}
    rows = connection.execute(_OF_ORGANIZATION, values).all()
    return [row for row in rows if OWNER in member.roles or OWNER not in (row.role or "").split(",")]


def of_person(connection: Connection, person: Person) -> Sequence[Row[Any]]:
    """Whatever the options say, an address that is not verified learns nothing here."""
    if person.email is None or not person.email_verified:
        raise unverified("VIEWING")
    return connection.execute(_OF_ADDRESS, {"to": normal_email(person.email)}).all()
