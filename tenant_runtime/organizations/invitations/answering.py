"""An invitation is answered: accepted by the person it is for, rejected, or taken back.

Everything is asked before anything is written, the claim is the first write, and membership follows in the same unit:
nothing is left between the two that could be lost (`specs/bad-inputs.md` 88 to 90).
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from core.database.sql import insert
from core.ids import new_id
from tenant_runtime.audit import Event, record
from tenant_runtime.login.emails import normal_email
from tenant_runtime.models import Invitation, Role, TeamMember, User
from tenant_runtime.organizations.access import GUEST, MEMBER, OWNER
from tenant_runtime.organizations.acting import Acting, acting_member, suspended
from tenant_runtime.organizations.active import set_active
from tenant_runtime.organizations.admission import NewMember, admit, check_room
from tenant_runtime.organizations.invitations.inviting import about, check_teams
from tenant_runtime.organizations.invitations.tickets import (
    ACCEPTED,
    CANCELED,
    PENDING,
    REJECTED,
    Found,
    find,
)
from tenant_runtime.organizations.members import Member, in_wire_order, member_of
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.people.tenant_roles import tenant_roles_of_inviter
from tenant_runtime.organizations.wire.errors import ApiError, refusal

_i, _u, _r = Invitation.__table__.c, User.__table__.c, Role.__table__.c
_ANSWER = (
    update(Invitation.__table__)
    .where(_i.id == bindparam("of"), _i.status == PENDING)
    .values(status=bindparam("answer"), accepted_by=bindparam("by"), updated_at=bindparam("now"))
    .returning(*_i)
)
_VERIFY = (
    update(User.__table__)
    .where(_u.user_id == bindparam("user"), _u.email == bindparam("of"), _u.email_verified.is_(False))
    .values(email_verified=True, updated_at=bindparam("now"))
)
_PERSON = select(_u.user_id, _u.email, _u.email_verified).where(_u.user_id == bindparam("user"))
_METADATA = select(_u.user_metadata, _u.app_metadata).where(_u.user_id == bindparam("user"))
_ADD_METADATA = (
    update(User.__table__)
    .where(_u.user_id == bindparam("user"))
    .values(
        user_metadata=bindparam("new_user_metadata"),
        app_metadata=bindparam("new_app_metadata"),
        updated_at=bindparam("now"),
    )
)
_JOINS_TEAM = insert(TeamMember.__table__).on_conflict_do_nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who answers, as they are in the unit that asks."""

    user_id: str
    email: str | None
    email_verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What is fixed before the unit. `session_id`: of the session that is in the organization from then on.
    `default_roles`: names of those that a member of a tenant's organization has."""

    membership_id: str
    session_id: str | None
    event: Event
    default_roles: tuple[str, ...] = ()

    @property
    def now(self) -> int:
        return self.event.created_at


@dataclass(frozen=True, slots=True)
class Accepted:
    row: Row[Any]
    member: Member


def accept(
    connection: Connection,
    shown: str,
    user_id: str,
    how: Acceptance,
    options: OrganizationOptions,
) -> Accepted:
    """Raises, and nothing is written; a second one who comes at the same moment is told that there is no such
    invitation."""
    person = person_of(connection, user_id)
    found = acceptable(connection, shown, person, options, how.now)
    return accept_found(connection, found, person, how, options)


def person_of(connection: Connection, user_id: str) -> Person:
    """As they are now: an address may have changed hands since somebody signed in."""
    row = connection.execute(_PERSON, {"user": user_id}).one_or_none()
    return (
        Person(user_id=user_id, email=None, email_verified=False) if row is None else Person(**row._asdict())
    )


def acceptable(
    connection: Connection,
    shown: str,
    person: Person,
    options: OrganizationOptions,
    now: int,
    *,
    is_proved: bool = False,
) -> Found:
    found = find(connection, shown, is_proved=is_proved)
    if found is None or not found.is_live(now):
        raise _not_found("Invitation not found")
    row = found.row
    check_recipient(found, person, options, "ACCEPTING_OR_REJECTING_INVITATION")
    if row.suspended_at is not None:
        raise suspended()
    if member_of(connection, row.organization_id, person.user_id) is not None:
        raise refusal(400, "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION")
    check_room(connection, row.organization_id, options, now)
    check_teams(connection, row.organization_id, teams_of(row), options)
    return found


def accept_found(
    connection: Connection, found: Found, person: Person, how: Acceptance, options: OrganizationOptions
) -> Accepted:
    """Of one that was `acceptable` in this unit."""
    now = how.now
    row = settle(connection, found.row.id, ACCEPTED, now=now, by=person.user_id)
    roles = in_wire_order((row.role or MEMBER,))
    new = NewMember(
        id=how.membership_id,
        organization_id=row.organization_id,
        user_id=person.user_id,
        roles=roles,
        tenant_roles=_tenant_roles(connection, found, roles, how.default_roles),
        was_invited=True,
        now=now,
    )
    member = admit(connection, new, options)
    teams = teams_of(row)
    for place, team_id in enumerate(teams):
        values = {"id": f"tmm_{how.membership_id}{place}", "team_id": team_id, "user_id": person.user_id}
        connection.execute(_JOINS_TEAM, {**values, "created_at": now})
    if found.proves_address:
        connection.execute(_VERIFY, {"user": person.user_id, "of": row.email, "now": now})
    _add_metadata(connection, row, person.user_id, now)
    if how.session_id is not None:
        set_active(
            connection, how.session_id, row.organization_id, teams[0] if len(teams) == 1 else None, now
        )
    accepted = about(replace(how.event, user_id=person.user_id, user_name=person.email), row)
    added = replace(accepted, id=new_id("log"), type="organization_member_added", details={})
    record(connection, accepted, replace(added, description="Somebody accepted an invitation."))
    return Accepted(row, member)


def reject(
    connection: Connection, shown: str, user_id: str, options: OrganizationOptions, event: Event
) -> Row[Any]:
    """Also one that has run its time."""
    person = person_of(connection, user_id)
    found = find(connection, shown)
    if found is None or found.row.status != PENDING:
        raise _not_found("Invitation not found!")
    check_recipient(found, person, options, "ACCEPTING_OR_REJECTING_INVITATION")
    return _over(connection, found, REJECTED, event)


def decline(connection: Connection, invitation_id: str, event: Event) -> Row[Any]:
    """By whoever reads the mail of the invited address, which the caller has seen: nothing more is asked of them to be
    left alone."""
    found = find(connection, invitation_id)
    if found is None or found.row.status != PENDING:
        raise _not_found("Invitation not found")
    return _over(connection, found, REJECTED, event)


def cancel(connection: Connection, invitation_id: str, acting: Acting, event: Event) -> Row[Any]:
    """Only one that still waits (`specs/organization-api.md` section 0)."""
    found = find(connection, invitation_id)
    if found is None or found.proves_address:
        raise _not_found("Invitation not found")
    acting_member(
        connection,
        acting,
        found.row.organization_id,
        {"invitation": ["cancel"]},
        stranger=refusal(400, "MEMBER_NOT_FOUND"),
        otherwise=refusal(403, "YOU_ARE_NOT_ALLOWED_TO_CANCEL_THIS_INVITATION"),
    )
    return _over(connection, found, CANCELED, event)


def check_recipient(found: Found, person: Person, options: OrganizationOptions, to_what: str) -> None:
    """The address is the same but for its letter case; nothing else makes two addresses one."""
    if not is_recipient(found, person):
        raise refusal(403, "YOU_ARE_NOT_THE_RECIPIENT_OF_THE_INVITATION")
    if needs_verification(found, person, options):
        raise unverified(to_what)


def is_recipient(found: Found, person: Person) -> bool:
    return person.email is not None and normal_email(person.email) == found.row.email


def needs_verification(found: Found, person: Person, options: OrganizationOptions) -> bool:
    is_asked = options.require_email_verification_on_invitation
    return is_asked and not person.email_verified and not found.proves_address


def unverified(to_what: str) -> ApiError:
    if to_what == "ACCEPTING_OR_REJECTING_INVITATION":
        return refusal(403, f"EMAIL_VERIFICATION_REQUIRED_BEFORE_{to_what}")
    message = "Email verification required to view or list invitations for the session email"
    return refusal(403, "EMAIL_VERIFICATION_REQUIRED_FOR_INVITATION", message)


def teams_of(row: Row[Any]) -> list[str]:
    return row.team_ids.split(",") if row.team_ids else []


def _over(connection: Connection, found: Found, answer: str, event: Event) -> Row[Any]:
    row = settle(connection, found.row.id, answer, now=event.created_at)
    record(connection, about(event, row))
    return row


def settle(
    connection: Connection, invitation_id: str, answer: str, *, now: int, by: str | None = None
) -> Row[Any]:
    """Claimed, not looked up: of two answers the first counts."""
    values = {"of": invitation_id, "answer": answer, "by": by, "now": now}
    row = connection.execute(_ANSWER, values).one_or_none()
    if row is None:
        raise _not_found("Invitation not found")
    return row


def _add_metadata(connection: Connection, row: Row[Any], user_id: str, now: int) -> None:
    """What the person has of it already stays as it is."""
    if not row.user_metadata and not row.app_metadata:
        return
    held = connection.execute(_METADATA, {"user": user_id}).one()
    new = {
        "new_user_metadata": {**row.user_metadata, **held.user_metadata},
        "new_app_metadata": {**row.app_metadata, **held.app_metadata},
    }
    connection.execute(_ADD_METADATA, {"user": user_id, "now": now, **new})


def _tenant_roles(
    connection: Connection, found: Found, roles: tuple[str, ...], default_roles: tuple[str, ...]
) -> tuple[str, ...]:
    """Those that the invitation names, as far as they still exist, and in the organization of a tenant those of every
    member: of whom is a guest there and nothing else, none. An owner there has those of who invited them, too."""
    row, names = found.row, default_roles
    ids: tuple[str, ...] = tuple(row.tenant_roles)
    if row.managed_by is None or roles == (GUEST,):
        names = ()
    elif OWNER in roles:
        ids += tenant_roles_of_inviter(connection, row.organization_id, row.inviter_id)
    if not names and not ids:
        return ()
    return tuple(connection.execute(select(_r.id).where(or_(_r.id.in_(ids), _r.name.in_(names)))).scalars())


def _not_found(message: str) -> ApiError:
    return refusal(400, "INVITATION_NOT_FOUND", message)
