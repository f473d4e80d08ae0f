"""Becoming a member: the one way, whoever lets somebody in, with the limits that hold for all of them.

In the transaction that decides: limits are counted there, so that two at once do not both fit into the last place.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, exists, func, or_, select

from core.database import Prepared
from core.database.sql import insert
from core.given import membership_name
from tenant_runtime.models import (
    Invitation,
    Membership,
    MembershipOrganizationRole,
    MembershipRole,
    Role,
    User,
)
from tenant_runtime.oauth.tokens.families import give_again
from tenant_runtime.organizations.members import Member, in_wire_order
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.seats import seats_of
from tenant_runtime.organizations.wire.errors import ApiError, refusal

_m, _i, _u = Membership.__table__.c, Invitation.__table__.c, User.__table__.c
_MEMBERS = Prepared(
    select(func.count().label("number")).where(_m.organization_id == bindparam("organization"))
)
_IN = exists().where(_m.user_id == _u.user_id, _m.organization_id == bindparam("organization"))
_INVITED = Prepared(
    select(func.count().label("number")).where(
        _i.organization_id == bindparam("organization"),
        _i.status == "pending",
        _i.expires_at > bindparam("now"),
        ~exists().where(_u.email == _i.email, or_(_u.user_id == bindparam("comes"), _IN)),
    )
)
"""Who may still come, beside whoever comes just now or is there by another way."""
NOBODY = ""

_NEW = insert(Membership.__table__).on_conflict_do_nothing()
_HOLDS = insert(MembershipOrganizationRole.__table__)
_HOLDS_TENANT_ROLE = insert(MembershipRole.__table__).on_conflict_do_nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMember:
    """`roles`: of the organization. `tenant_roles`: ids of the tenant's, held in the organization. `was_invited`: a
    seat is kept for them; who comes in another way leaves those alone."""

    id: str
    organization_id: str
    user_id: str
    roles: tuple[str, ...]
    tenant_roles: tuple[str, ...] = ()
    was_invited: bool = False
    now: int


def admit(connection: Connection, new: NewMember, options: OrganizationOptions) -> Member:
    """Raises the wire's refusal for whom there is no place, or who is there already."""
    others = None if new.was_invited else new.user_id
    check_room(connection, new.organization_id, options, new.now, beside=others)
    values = {
        "id": new.id,
        "organization_id": new.organization_id,
        "user_id": new.user_id,
        "created_at": new.now,
    }
    if connection.execute(_NEW, values).rowcount == 0:
        raise refusal(400, "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION")
    give_again(connection, membership_name(new.user_id, new.organization_id), now_ms=new.now)
    roles = in_wire_order(new.roles)
    connection.execute(_HOLDS, [{"membership_id": new.id, "role": role} for role in roles])
    _give(connection, new.id, _ids(connection, options.default_tenant_roles))
    _give(connection, new.id, new.tenant_roles)
    return Member(new.id, new.organization_id, new.user_id, roles, new.now)


def check_room(
    connection: Connection,
    organization_id: str,
    options: OrganizationOptions,
    now: int,
    *,
    beside: str | None = None,
) -> None:
    """`beside`: whoever has been asked, and may still come, takes a seat as well, this user apart (`NOBODY`: none)."""
    limit, seats = options.membership_limit, seats_of(connection, organization_id, now)
    if limit is None and seats is None:
        return
    taken = _number_of_members(connection, organization_id)
    if limit is not None and taken >= limit:
        raise refusal(403, "ORGANIZATION_MEMBERSHIP_LIMIT_REACHED")
    if seats is None:
        return
    if beside is not None:
        taken += _number_of_invited(connection, organization_id, now, beside)
    if taken >= seats:
        raise no_seat_left()


def has_seats(connection: Connection, organization_id: str, now: int) -> bool:
    """Whether there is one for each who is a member by now or may still come."""
    seats = seats_of(connection, organization_id, now)
    if seats is None:
        return True
    invited = _number_of_invited(connection, organization_id, now, NOBODY)
    return _number_of_members(connection, organization_id) + invited <= seats


def no_seat_left() -> ApiError:
    return refusal(403, "NO_SEATS_LEFT", "All seats of the organization's subscriptions are taken")


def _number_of_members(connection: Connection, organization_id: str) -> int:
    return int(_MEMBERS.rows(connection, {"organization": organization_id})[0].number)


def _number_of_invited(connection: Connection, organization_id: str, now: int, comes: str) -> int:
    values = {"organization": organization_id, "now": now, "comes": comes}
    return int(_INVITED.rows(connection, values)[0].number)


def _ids(connection: Connection, names: Iterable[str]) -> tuple[str, ...]:
    _r = Role.__table__.c
    return tuple(connection.execute(select(_r.id).where(_r.name.in_(list(names)))).scalars()) if names else ()


def _give(connection: Connection, membership_id: str, role_ids: Iterable[str]) -> None:
    rows = [{"membership_id": membership_id, "role_id": role_id} for role_id in role_ids]
    if rows:
        connection.execute(_HOLDS_TENANT_ROLE, rows)
