"""Requests to join an organization: asked by somebody with an address in a domain of its own, decided by whoever may
invite.

Whether the address is proved and the domain is the organization's is asked when somebody asks and when somebody
decides. To everybody else the organization does not exist.
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, select, update

from core.crypto.sealing import DataKey
from core.database.sql import insert
from tenant_runtime.audit import Event, record
from tenant_runtime.limits import Limit, take
from tenant_runtime.models import JoinRequest, Membership, Organization, OrganizationDomain, User
from tenant_runtime.organizations.acting import Acting, acting_member
from tenant_runtime.organizations.admission import NewMember, admit
from tenant_runtime.organizations.domains.addresses import VERIFIED, has_address_of, proved_domain_of
from tenant_runtime.organizations.joining.letters import Post, tell_approvers, tell_person
from tenant_runtime.organizations.joining.turned_away import (
    REJECTED,
    forget_earlier,
    remember_address,
    was_turned_away,
)
from tenant_runtime.organizations.members import Member, member_of
from tenant_runtime.organizations.policies import settings_of
from tenant_runtime.organizations.policies.letting_in import check_may_let_in
from tenant_runtime.organizations.wire.errors import ApiError, refusal

PENDING, APPROVED, CANCELED = "pending", "approved", "canceled"
BY_REQUEST = ("request", "approval")
AS_OFTEN = (Limit(3, 86_400_000),)
"""One person, of one organization."""

NOT_THIS_ROLE = "YOU_ARE_NOT_ALLOWED_TO_INVITE_USER_WITH_THIS_ROLE"
_INVITE = {"invitation": ("create",)}
_table = JoinRequest.__table__
_j, _o, _u, _d, _m = (
    model.__table__.c for model in (JoinRequest, Organization, User, OrganizationDomain, Membership)
)
_NEW = insert(_table).on_conflict_do_nothing()
_FIND = select(_table).where(_j.id == bindparam("request"))
_OF_USER = select(_table).where(
    _j.organization_id == bindparam("organization"),
    _j.user_id == bindparam("user"),
    _j.status == bindparam("state"),
)
_WAITING = (
    select(*_j, _u.name, _u.email, _u.picture)
    .join(User.__table__, _u.user_id == _j.user_id)
    .where(
        _j.organization_id == bindparam("organization"),
        _j.status == PENDING,
        ~exists().where(_m.organization_id == _j.organization_id, _m.user_id == _j.user_id),
    )
    .order_by(_j.created_at, _j.id)
    .limit(200)
)
_OWNER = (
    select(Organization.__table__)
    .join(OrganizationDomain.__table__, _d.organization_id == _o.id)
    .where(
        _d.domain == bindparam("domain"),
        _d.status == VERIFIED,
        _o.managed_by.is_(None),
        _o.suspended_at.is_(None),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """`event` says when, and who asks."""

    id: str
    organization_id: str
    user_id: str
    message: str | None
    event: Event


@dataclass(frozen=True, slots=True)
class Joinable:
    organization: Row[Any]
    joining: str
    request: Row[Any] | None


def require_proved(connection: Connection, user_id: str) -> None:
    if proved_domain_of(connection, user_id) is None:
        raise refusal(403, "EMAIL_VERIFICATION_REQUIRED", "Your address must be verified first")


def not_joinable() -> ApiError:
    """One answer for an organization that takes nobody, takes others, and is not there."""
    return refusal(
        403,
        "YOU_ARE_NOT_ALLOWED_TO_JOIN_THIS_ORGANIZATION",
        "You are not allowed to join this organization",
    )


def joinable_by(connection: Connection, data_key: DataKey, user_id: str, now: int) -> list[Joinable]:
    """Those that the person's address opens, of which they are no member yet."""
    domain = proved_domain_of(connection, user_id)
    found = connection.execute(_OWNER, {"domain": domain}).one_or_none() if domain is not None else None
    if found is None or member_of(connection, found.id, user_id) is not None:
        return []
    joining = settings_of(connection, found.id).domain_joining
    if joining == "off":
        return []
    if joining == "automatic" and was_turned_away(connection, data_key, found.id, user_id, now):
        joining = "request"
    return [Joinable(found, joining, _of_user(connection, found.id, user_id, PENDING))]


def require_joinable(
    connection: Connection, data_key: DataKey, organization_id: str, user_id: str, now: int, *ways: str
) -> Joinable:
    """By one of these ways."""
    require_proved(connection, user_id)
    if member_of(connection, organization_id, user_id) is not None:
        raise refusal(400, "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION")
    for joinable in joinable_by(connection, data_key, user_id, now):
        if joinable.organization.id == organization_id and joinable.joining in ways:
            return joinable
    raise not_joinable()


def ask(connection: Connection, asking: Asking, post: Post) -> Row[Any]:
    """Those who decide are written to. `Deliveries.soon` after the commit."""
    organization_id, user_id, now = asking.organization_id, asking.user_id, asking.event.created_at
    joinable = require_joinable(connection, post.data_key, organization_id, user_id, now, *BY_REQUEST)
    if joinable.request is not None:
        raise refusal(400, "JOIN_REQUEST_ALREADY_PENDING")
    return _ask(connection, asking, post)


def ask_at_login(connection: Connection, asking: Asking, post: Post) -> None:
    """Unless a request waits. Nobody who was turned away asks again by signing in."""
    organization_id, user_id, now = asking.organization_id, asking.user_id, asking.event.created_at
    for joinable in joinable_by(connection, post.data_key, user_id, now):
        if joinable.organization.id != organization_id or joinable.joining != "approval":
            continue
        is_first = joinable.request is None
        if is_first and not was_turned_away(connection, post.data_key, organization_id, user_id, now):
            _ask(connection, asking, post)


def was_declined(connection: Connection, organization_id: str, user_id: str) -> bool:
    return _of_user(connection, organization_id, user_id, REJECTED) is not None


def _ask(connection: Connection, asking: Asking, post: Post) -> Row[Any]:
    now = asking.event.created_at
    take(connection, "join_request", f"{asking.organization_id} {asking.user_id}", now, AS_OFTEN)
    row = {
        "id": asking.id,
        "organization_id": asking.organization_id,
        "user_id": asking.user_id,
        "message": asking.message,
        "status": PENDING,
        "decided_by": None,
        "created_at": now,
        "decided_at": None,
    }
    if connection.execute(_NEW, row).rowcount == 0:
        raise refusal(400, "JOIN_REQUEST_ALREADY_PENDING")
    tell_approvers(connection, post, asking.organization_id, asking.id, now)
    record(connection, asking.event)
    return connection.execute(_FIND, {"request": asking.id}).one()


def cancel(connection: Connection, request_id: str, user_id: str, event: Event) -> Row[Any]:
    row = connection.execute(_FIND, {"request": request_id}).one_or_none()
    if row is None or row.user_id != user_id or row.status != PENDING:
        raise not_found()
    return _decide(connection, row, CANCELED, user_id, event)


def waiting(connection: Connection, acting: Acting, organization_id: str) -> list[Row[Any]]:
    _require_decider(connection, acting, organization_id)
    return list(connection.execute(_WAITING, {"organization": organization_id}))


def approve(
    connection: Connection, acting: Acting, request_id: str, member_id: str, event: Event, post: Post
) -> tuple[Row[Any], Member]:
    row, decider = _to_decide(connection, acting, request_id)
    organization_id, user_id = row.organization_id, row.user_id
    settings = settings_of(connection, organization_id)
    is_open = settings.domain_joining != "off" and has_address_of(connection, organization_id, user_id)
    if not is_open:
        raise refusal(
            400,
            "JOIN_REQUEST_NOT_ALLOWED",
            "The organization does not take people with this address any more",
        )
    role = settings.domain_joining_role
    check_may_let_in(connection, decider, role, acting.options, otherwise=NOT_THIS_ROLE)
    new = NewMember(
        id=member_id, organization_id=organization_id, user_id=user_id, roles=(role,), now=acting.now
    )
    member = admit(connection, new, acting.options)
    decided = _decide(connection, row, APPROVED, acting.user_id, event)
    tell_person(connection, post, row, acting.now, is_approved=True)
    return decided, member


def reject(connection: Connection, acting: Acting, request_id: str, event: Event, post: Post) -> Row[Any]:
    row, _ = _to_decide(connection, acting, request_id)
    remember_address(connection, post.data_key, row.organization_id, row.user_id, acting.now)
    forget_earlier(connection, row.organization_id, row.user_id)
    decided = _decide(connection, row, REJECTED, acting.user_id, event)
    tell_person(connection, post, row, acting.now, is_approved=False)
    return decided


def not_found() -> ApiError:
    return refusal(400, "JOIN_REQUEST_NOT_FOUND")


def _to_decide(connection: Connection, acting: Acting, request_id: str) -> tuple[Row[Any], Member]:
    """With who decides. A request of an organization in which the caller is nobody is not there."""
    row = connection.execute(_FIND, {"request": request_id}).one_or_none()
    if row is None or member_of(connection, row.organization_id, acting.user_id) is None:
        raise not_found()
    decider = _require_decider(connection, acting, row.organization_id)
    if row.status != PENDING:
        raise not_found()
    return row, decider


def _require_decider(connection: Connection, acting: Acting, organization_id: str) -> Member:
    return acting_member(
        connection,
        acting,
        organization_id,
        _INVITE,
        stranger=refusal(
            403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION", "You are not a member of this organization"
        ),
        otherwise=refusal(403, "YOU_ARE_NOT_ALLOWED_TO_INVITE_USERS_TO_THIS_ORGANIZATION"),
    )


def _decide(connection: Connection, row: Row[Any], status: str, user_id: str, event: Event) -> Row[Any]:
    """Claimed, not looked up: of two who decide at once, one does."""
    changed = (
        update(_table)
        .where(_j.id == row.id, _j.status == PENDING)
        .values(status=status, decided_by=user_id, decided_at=event.created_at)
    )
    if connection.execute(changed).rowcount == 0:
        raise not_found()
    about = {**event.details, "request_id": row.id, "joining_user_id": row.user_id}
    record(connection, replace(event, organization_id=row.organization_id, details=about))
    return connection.execute(_FIND, {"request": row.id}).one()


def _of_user(connection: Connection, organization_id: str, user_id: str, status: str) -> Row[Any] | None:
    latest = _OF_USER.order_by(_j.created_at.desc()).limit(1)
    values = {"organization": organization_id, "user": user_id, "state": status}
    return connection.execute(latest, values).one_or_none()
