"""Asking somebody in: who may ask whom, as what. Everything is looked at in the unit that writes the invitation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from core.database.sql import insert
from tenant_runtime.audit import Event, record
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.models import Invitation, Membership, Team, TeamMember, User
from tenant_runtime.organizations.access import (
    GUEST,
    MEMBER,
    OWNER,
    built_in_names,
    missing,
    of_roles,
)
from tenant_runtime.organizations.acting import Acting, acting_member
from tenant_runtime.organizations.admission import NOBODY, check_room
from tenant_runtime.organizations.invitations.letters import Post, put_on_its_way
from tenant_runtime.organizations.invitations.tickets import CANCELED, PENDING
from tenant_runtime.organizations.members import (
    Member,
    defined_roles,
    in_wire_order,
    may,
    statements_of,
)
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.wire.errors import ApiError, refusal

HOUR_MS = 3_600_000
LONGEST_ROLE = 64

_i, _m, _u = Invitation.__table__.c, Membership.__table__.c, User.__table__.c
_t, _in_team = Team.__table__.c, TeamMember.__table__.c
_OF_ADDRESS = (_i.organization_id == bindparam("organization"), _i.email == bindparam("to"))
_PENDING = select(*_i).where(*_OF_ADDRESS, _i.status == PENDING)
_IS_MEMBER = (
    select(_m.id)
    .where(
        _m.organization_id == bindparam("organization"),
        _m.user_id.in_(select(_u.user_id).where(_u.email == bindparam("to"))),
    )
    .limit(1)
)
_LIVE = (
    select(func.count())
    .select_from(Invitation.__table__)
    .where(
        _i.organization_id == bindparam("organization"),
        _i.status == PENDING,
        _i.expires_at > bindparam("now"),
    )
)
_TAKE_BACK = (
    update(Invitation.__table__)
    .where(*_OF_ADDRESS, _i.status == PENDING)
    .values(status=CANCELED, updated_at=bindparam("now"))
)
_REFRESH = (
    update(Invitation.__table__)
    .where(_i.id == bindparam("of"), _i.status == PENDING)
    .values(expires_at=bindparam("until"), updated_at=bindparam("now"))
    .returning(*_i)
)
_NEW = insert(Invitation.__table__).on_conflict_do_nothing().returning(*_i)
_IN_TEAM = select(func.count()).select_from(TeamMember.__table__).where(_in_team.team_id == bindparam("of"))
_TEAM = select(_t.id).where(_t.id == bindparam("of"), _t.organization_id == bindparam("organization"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an inviter says. `id` becomes that of the invitation unless one is sent again."""

    id: str
    organization_id: str
    email: str
    roles: tuple[str, ...]
    team_ids: tuple[str, ...] = ()
    resend: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)


def as_a_hook_wants_it(asked: Asked, values: Mapping[str, Any]) -> Asked:
    return replace(
        asked,
        email=values["email"],
        roles=several(values["role"]),
        team_ids=each_once(values["team_id"]),
        fields=values["fields"],
    )


def several(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def each_once(names: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(several(names)))


def invite(connection: Connection, acting: Acting, asked: Asked, post: Post | None, event: Event) -> Row[Any]:
    """Refuses in the order of `specs/organization-api.md` A.3. `Deliveries.soon` after the commit."""
    row = _invited(connection, acting, asked)
    if post is not None:
        put_on_its_way(connection, post, row, acting.now, inviter=acting.user_id)
    record(connection, about(event, row))
    return row


def about(event: Event, row: Row[Any], **more: Any) -> Event:
    """An event of an invitation: whom, as what, and never by which id."""
    told = {"email": row.email, "role": row.role, **more}
    return replace(event, organization_id=row.organization_id, details={**event.details, **told})


def _invited(connection: Connection, acting: Acting, asked: Asked) -> Row[Any]:
    options, now, email = acting.options, acting.now, normal_email(asked.email)
    if not is_email(email):
        raise refusal(400, "INVALID_EMAIL", "Invalid email")
    inviter = acting_member(
        connection,
        acting,
        asked.organization_id,
        {"invitation": ["create"]},
        stranger=refusal(400, "MEMBER_NOT_FOUND"),
        otherwise=refusal(403, "YOU_ARE_NOT_ALLOWED_TO_INVITE_USERS_TO_THIS_ORGANIZATION"),
    )
    roles = in_wire_order(asked.roles)
    check_roles(connection, inviter, roles, options)
    check_not_member(connection, asked.organization_id, email)
    pending = pending_of(connection, asked.organization_id, email, now)
    if pending is not None and asked.resend:
        return _again(connection, inviter, pending, options, now)
    if pending is not None and not _may_replace(connection, inviter, pending, options):
        raise _invited_already()
    take_back(connection, asked.organization_id, email, now)
    check_number(connection, asked.organization_id, options, now)
    check_teams(connection, asked.organization_id, asked.team_ids, options)
    values = {
        "id": asked.id,
        "organization_id": asked.organization_id,
        "email": email,
        "role": ",".join(roles),
        "team_ids": ",".join(asked.team_ids) or None,
        "inviter_id": acting.user_id,
        "fields": dict(asked.fields),
        "expires_at": now + lifetime_ms(options),
    }
    row = keep(connection, values, now)
    if row is None:
        raise _invited_already()
    return row


def keep(connection: Connection, values: Mapping[str, Any], now: int) -> Row[Any] | None:
    """None: somebody else has just invited the same address."""
    unsaid = dict.fromkeys(
        ("team_ids", "inviter_id", "inviter_name", "client_id", "connection_id", "link_digest", "accepted_by")
    )
    objects: dict[str, Any] = {"tenant_roles": [], "user_metadata": {}, "app_metadata": {}, "fields": {}}
    times = {"status": PENDING, "created_at": now, "updated_at": now}
    return connection.execute(_NEW, {**unsaid, **objects, **times, **values}).one_or_none()


def lifetime_ms(options: OrganizationOptions) -> int:
    return int(options.invitation_expires_in * HOUR_MS)


def check_roles(
    connection: Connection, inviter: Member, roles: tuple[str, ...], options: OrganizationOptions
) -> None:
    """Nobody gives what they do not hold, `member` and `guest` apart: those are what a stranger becomes."""
    if not roles:
        raise refusal(400, "ROLE_NOT_FOUND")
    defined = defined_roles(connection, inviter.organization_id)
    unknown = [role for role in roles if role not in defined and role not in built_in_names(options)]
    if unknown:
        named = ", ".join(unknown)[:LONGEST_ROLE]
        raise refusal(400, "ROLE_NOT_FOUND", f"ROLE_NOT_FOUND: {named}", has_code=False)
    if OWNER in roles and OWNER not in inviter.roles:
        raise _not_this_role()
    given = of_roles((role for role in roles if role not in (MEMBER, GUEST)), options, defined)
    held = statements_of(connection, inviter, options)
    lacking = {pair for role in given for pair in missing(held, {name: sorted(role[name]) for name in role})}
    if lacking:
        raise _not_this_role(extra={"missingPermissions": sorted(lacking)})


def check_not_member(connection: Connection, organization_id: str, email: str) -> None:
    if connection.execute(_IS_MEMBER, {"organization": organization_id, "to": email}).first() is not None:
        raise refusal(400, "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION")


def check_number(
    connection: Connection, organization_id: str, options: OrganizationOptions, now: int
) -> None:
    limit = options.invitation_limit
    live = connection.execute(_LIVE, {"organization": organization_id, "now": now}).scalar_one()
    if limit is not None and live >= limit:
        raise refusal(403, "INVITATION_LIMIT_REACHED")
    check_room(connection, organization_id, options, now, beside=NOBODY)


def check_teams(
    connection: Connection, organization_id: str, team_ids: Iterable[str], options: OrganizationOptions
) -> None:
    limit = options.teams.maximum_members_per_team
    for team_id in team_ids:
        if "," in team_id:
            raise refusal(400, "INVALID_TEAM_ID", "Team id contains a reserved character")
        if connection.execute(_TEAM, {"of": team_id, "organization": organization_id}).first() is None:
            raise refusal(400, "TEAM_NOT_FOUND")
        if limit is not None and connection.execute(_IN_TEAM, {"of": team_id}).scalar_one() >= limit:
            raise refusal(403, "TEAM_MEMBER_LIMIT_REACHED")


def take_back(connection: Connection, organization_id: str, email: str, now: int) -> None:
    """Also what has run its time: one invitation of an address waits at a time."""
    connection.execute(_TAKE_BACK, {"organization": organization_id, "to": email, "now": now})


def pending_of(connection: Connection, organization_id: str, email: str, now: int) -> Row[Any] | None:
    row = connection.execute(_PENDING, {"organization": organization_id, "to": email}).one_or_none()
    return row if row is not None and row.expires_at > now else None


def _again(
    connection: Connection, inviter: Member, pending: Row[Any], options: OrganizationOptions, now: int
) -> Row[Any]:
    """Same id, role as it was, a new time. Whoever may not give that role does not renew it."""
    check_roles(connection, inviter, in_wire_order((pending.role or MEMBER,)), options)
    values = {"of": pending.id, "until": now + lifetime_ms(options), "now": now}
    return connection.execute(_REFRESH, values).one()


def _may_replace(
    connection: Connection, inviter: Member, pending: Row[Any], options: OrganizationOptions
) -> bool:
    """Somebody else's is taken back by whoever may cancel it."""
    if not options.cancel_pending_invitations_on_re_invite:
        return False
    is_own = pending.inviter_id == inviter.user_id
    return is_own or may(connection, inviter, options, {"invitation": ["cancel"]})


def _invited_already() -> ApiError:
    return refusal(400, "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION")


def _not_this_role(**more: Any) -> ApiError:
    code = "YOU_ARE_NOT_ALLOWED_TO_INVITE_USER_WITH_THIS_ROLE"
    return refusal(403, code, "You are not allowed to invite a user with this role", **more)
