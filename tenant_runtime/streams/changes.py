"""Changes, from the outbox to one delivery for each stream that asked for them, and what such a message says.

`fan_out` is one unit: the place of a stream and the deliveries up to it are written together, so nothing is left out
and nothing is enqueued twice, whoever else is at it. The message is made when it is sent; its `id` is the change's.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Boolean, Connection, Table, bindparam, func, insert, select, update

from core.clock import to_iso
from core.crypto.sealing import DataKey
from core.ids import new_id
from core.tenants import Tenant
from tenant_runtime.deliveries import Outgoing, enqueue
from tenant_runtime.models import (
    Change,
    EventStream,
    Identity,
    Invitation,
    Membership,
    MembershipOrganizationRole,
    Organization,
    OrganizationDomain,
    OrganizationRole,
    Subscription,
    Team,
    User,
)
from tenant_runtime.models import Connection as ConnectionRow
from tenant_runtime.models.telling import told

KIND = "event"
ADDED, ROLE_CHANGED = "organization.member.added", "organization.member.updated"
TYPES: Final[tuple[str, ...]] = (
    "organization.created",
    "organization.deleted",
    "organization.domain.verified",
    "organization.invitation.accepted",
    "organization.invitation.canceled",
    "organization.invitation.created",
    "organization.invitation.rejected",
    ADDED,
    "organization.member.deleted",
    "organization.member.role.assigned",
    "organization.member.role.deleted",
    ROLE_CHANGED,
    "organization.role.created",
    "organization.role.deleted",
    "organization.role.updated",
    "organization.subscription.created",
    "organization.subscription.deleted",
    "organization.subscription.updated",
    "organization.team.created",
    "organization.team.deleted",
    "organization.team.member.added",
    "organization.team.member.deleted",
    "organization.team.updated",
    "organization.updated",
    "user.created",
    "user.deleted",
    "user.updated",
)
SUSPENDED, RESUMED = "tenant.suspended", "tenant.resumed"
PLATFORM_TYPES: Final[tuple[str, ...]] = (
    "tenant.created",
    "tenant.deleted",
    RESUMED,
    SUSPENDED,
    "tenant.updated",
)
"""On tenant one, of the organizations that stand for tenants."""

_WITHIN: Final[Mapping[str, Table]] = {
    "domain": OrganizationDomain.__table__,
    "invitation": Invitation.__table__,
    "role": OrganizationRole.__table__,
    "subscription": Subscription.__table__,
    "team": Team.__table__,
}
"""What an organization has, by its name in a type and in the message."""

_TIMES = frozenset({"created_at", "updated_at", "expires_at", "starts_at", "ends_at", "verified_at"})
TEST_SUFFIX = ".test"
AT_ONCE = 200
_table, _streams = Change.__table__, EventStream.__table__
_c, _s, _i, _n = _table.c, _streams.c, Identity.__table__.c, ConnectionRow.__table__.c
NEWEST = select(func.coalesce(func.max(_c.sequence), 0))
NEXT = select(func.coalesce(func.max(_c.sequence), 0) + 1)
_ENABLED = select(_s.id, _s.position, _s.subscriptions).where(_s.status == "enabled").order_by(_s.id)
_NEXT = (
    select(_c.id, _c.sequence, _c.type)
    .where(_c.sequence > bindparam("after"))
    .order_by(_c.sequence)
    .limit(AT_ONCE)
)
_MOVE = update(_streams).where(_s.id == bindparam("of")).values(position=bindparam("place"))
_IDENTITIES = (
    select(_i.provider, _i.provider_user_id, _i.is_social, _n.name.label("connection"))
    .join(ConnectionRow.__table__, _n.id == _i.connection_id)
    .where(_i.user_id == bindparam("of"))
    .order_by(_n.created_at, _n.id)
)


_m, _held = Membership.__table__.c, MembershipOrganizationRole.__table__.c
_STANDING = (
    select(_held.role)
    .join(Membership.__table__, _m.id == _held.membership_id)
    .where(_m.organization_id == bindparam("organization"), _m.user_id == bindparam("user"))
)
_ORGANIZATION = select(*told(Organization.__table__)).where(Organization.__table__.c.id == bindparam("of"))


def are_any(connection: Connection) -> tuple[bool, bool]:
    """Whether streams listen, and whether there is something for them to look at."""
    places = [row.position for row in connection.execute(_ENABLED)]
    if not places:
        return False, False
    return True, min(places) < connection.execute(NEWEST).scalar_one()


def fan_out(connection: Connection, data_key: DataKey, now: int) -> bool:
    """Answers whether there is more."""
    is_more = False
    for stream in connection.execute(_ENABLED).all():
        rows = connection.execute(_NEXT, {"after": stream.position}).all()
        if not rows:
            continue
        wanted = {item["event_type"] for item in stream.subscriptions}
        for row in rows:
            if row.type in wanted:
                enqueue(connection, data_key, outgoing(stream.id, row.id), now)
        connection.execute(_MOVE, {"of": stream.id, "place": rows[-1].sequence})
        is_more = is_more or len(rows) == AT_ONCE
    return is_more


def record_of_tenant(connection: Connection, type: str, organization_id: str, now: int) -> None:
    """What the registry knows and no row of tenant one shows. Nobody listens: nothing is written."""
    if not are_any(connection)[0]:
        return
    row = connection.execute(_ORGANIZATION, {"of": organization_id}).one_or_none()
    if row is not None:
        _record(connection, type, dict(row._mapping), now)


def record_of_member(connection: Connection, organization_id: str, user_id: str, role: str, now: int) -> None:
    """What somebody is to the organization became other: one change, however many rows say it. Nobody listens: nothing
    is written."""
    if not are_any(connection)[0]:
        return
    row = connection.execute(_ORGANIZATION, {"of": organization_id}).one()
    data = {"organization_id": organization_id, "name": row.name, "user_id": user_id, "member_role": role}
    _record(connection, ROLE_CHANGED, data, now)


def _record(connection: Connection, type: str, data: Mapping[str, Any], now: int) -> None:
    values = {"id": new_id("evt"), "sequence": NEXT.scalar_subquery(), "type": type, "created_at": now}
    connection.execute(insert(_table).values(**values, data=dict(data)))


def delivery_id(stream_id: str, event_id: str) -> str:
    return f"{stream_id}.{event_id}"


def outgoing(stream_id: str, event_id: str) -> Outgoing:
    payload = {"stream": stream_id, "event": event_id}
    return Outgoing(delivery_id(stream_id, event_id), KIND, stream_id, payload)


def rows_beside(connection: Connection, change: Any) -> Sequence[Any]:
    """What the message shows as it is by now: identities of the user that it tells of, and what a new member is. What a
    test says is anybody's word, and of nobody."""
    if change.type == ADDED:
        who = {"organization": change.data["organization_id"], "user": change.data["user_id"]}
        return connection.execute(_STANDING, who).all()
    if not change.type.startswith("user.") or change.type.endswith(TEST_SUFFIX):
        return ()
    return connection.execute(_IDENTITIES, {"of": change.data["user_id"]}).all()


def message(tenant: Tenant, stream_id: str, change: Any, beside: Sequence[Any]) -> dict[str, Any]:
    """CloudEvents 1.0, with Auth0's extensions. `beside`: of `rows_beside`."""
    type = change.type.removesuffix(TEST_SUFFIX)
    is_test = type != change.type
    shown = {
        "specversion": "1.0",
        "type": type,
        "source": tenant.issuer,
        "id": change.id,
        "time": to_iso(change.created_at),
        "data": {"object": dict(change.data) if is_test else _object(type, change.data, beside)},
        "a0tenant": tenant.id,
        "a0stream": stream_id,
    }
    return {**shown, "a0purpose": "test"} if is_test else shown


def _object(type: str, data: Mapping[str, Any], beside: Sequence[Any]) -> dict[str, Any]:
    kind = type.partition(".")[0]
    if type.startswith("organization.member."):
        return _member(data, beside)
    if type.count(".") > 1:
        return _within(type.split(".")[1], data)
    if kind == "user":
        return {**_entity(User.__table__, data), "identities": [_identity(row) for row in beside]}
    if kind in ("organization", "tenant"):
        return _entity(Organization.__table__, data)
    raise ValueError(f"no kind of change: {type}")


def _member(data: Mapping[str, Any], beside: Sequence[Any]) -> dict[str, Any]:
    """The organization's name is missing when it went together with its members; what a new member is, when they are
    one no more."""
    names = {"name": data["name"]} if data.get("name") else {}
    shown = {"organization": {"id": data["organization_id"], **names}, "user": {"user_id": data["user_id"]}}
    standing = data.get("member_role") or ",".join(sorted(row.role for row in beside))
    if standing:
        return {**shown, "member": {"role": standing}}
    if "role_id" not in data:
        return shown
    role_names = {"name": data["role_name"]} if data.get("role_name") else {}
    return {**shown, "role": {"id": data["role_id"], **role_names}}


def _within(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The organization, what of it, and who, if somebody comes or goes."""
    names = {"name": data["name"]} if data.get("name") else {}
    who = {"user": {"user_id": data["user_id"]}} if "user_id" in data else {}
    return {
        "organization": {"id": data["organization_id"], **names},
        kind: _entity(_WITHIN[kind], data[kind]),
        **who,
    }


def _entity(table: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """A database keeps booleans as numbers and times as milliseconds."""
    shown = {}
    for name, value in data.items():
        if value is None:
            continue
        if name in table.c and isinstance(table.c[name].type, Boolean):
            value = bool(value)
        shown[name] = to_iso(value) if name in _TIMES else value
    return shown


def _identity(row: Any) -> dict[str, Any]:
    return {
        "provider": row.provider,
        "user_id": row.provider_user_id,
        "connection": row.connection,
        "isSocial": bool(row.is_social),
    }
