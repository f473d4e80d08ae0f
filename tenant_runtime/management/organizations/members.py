"""`/api/v2/organizations/{id}/members`: who belongs to an organization, and which roles they hold in it."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy import Connection, Row, bindparam, delete, select

from core.crypto.sealing import DataKey
from core.database.sql import insert
from core.errors import Conflict, InsufficientScope, InvalidInput, NotFound
from core.given import membership_name
from core.http.paging import parse_fields
from core.ids import new_id
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.apis import roles
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import Body, Id
from tenant_runtime.management.endings import end_membership, end_tokens_there
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.organizations import resource as organizations
from tenant_runtime.management.routing import creating, reading, removing
from tenant_runtime.management.users import resource as users
from tenant_runtime.management.users.bodies import RolesBody
from tenant_runtime.models import Membership, MembershipOrganizationRole, MembershipRole, Role, User
from tenant_runtime.oauth.tokens.families import give_again
from tenant_runtime.organizations.access import built_in_names
from tenant_runtime.organizations.admission import has_seats
from tenant_runtime.organizations.members import defined_roles
from tenant_runtime.organizations.membership import MEMBER
from tenant_runtime.organizations.options import OPTIONS
from tenant_runtime.schema import has_organization_api

_table, _role, _user = Membership.__table__, Role.__table__, User.__table__
_held, _standing = MembershipRole.__table__, MembershipOrganizationRole.__table__

OrganizationRoleName = Annotated[str, Meta(min_length=1, max_length=64)]

_FIND = select(_table.c.id).where(
    _table.c.organization_id == bindparam("organization"), _table.c.user_id == bindparam("user")
)
_ROLES_OF = (
    select(_held.c.membership_id, _role.c.id, _role.c.name)
    .join(_role, _role.c.id == _held.c.role_id)
    .where(_held.c.membership_id.in_(bindparam("ids", expanding=True)))
    .order_by(_role.c.created_at, _role.c.id)
)
_STANDINGS_OF = (
    select(_standing.c.membership_id, _standing.c.role)
    .where(_standing.c.membership_id.in_(bindparam("ids", expanding=True)))
    .order_by(_standing.c.role)
)


class MembersBody(Body):
    members: Annotated[list[Id], Meta(min_length=1, max_length=100)]


class NewMembersBody(MembersBody):
    organization_roles: Annotated[list[OrganizationRoleName], Meta(min_length=1, max_length=20)] | None = None
    """What they may do to the organization itself: built-in roles, or such as the organization defined."""


def _with_roles(connection: Connection, rows: Rows, items: Items) -> Items:
    held: dict[str, list[dict[str, Any]]] = {row.membership_id: [] for row in rows}
    for role in connection.execute(_ROLES_OF, {"ids": list(held)}) if held else ():
        held[role.membership_id].append({"id": role.id, "name": role.name})
    return [{**item, "roles": of} for item, of in zip(items, held.values(), strict=True)]


def _with_standings(connection: Connection, rows: Rows, items: Items) -> Items:
    held: dict[str, list[str]] = {row.membership_id: [] for row in rows}
    for role in connection.execute(_STANDINGS_OF, {"ids": list(held)}) if held else ():
        held[role.membership_id].append(role.role)
    return [
        {**item, "organization_roles": of or [MEMBER]} for item, of in zip(items, held.values(), strict=True)
    ]


_ADDED = {"roles": _with_roles, "organization_roles": _with_standings}
"""To what is listed, when `fields` asks for it."""


def _listing(*asked: str) -> Listing:
    added = [_ADDED[name] for name in asked]

    def page(connection: Connection, rows: Rows) -> Items:
        items: Items = [_shape(row) for row in rows]
        for add in added:
            items = add(connection, rows, items)
        return items

    return Listing("members", _MEMBERS, _PLACE, page, narrow=_NARROW)


def _shape(row: Row[Any]) -> dict[str, Any]:
    return {"user_id": row.user_id, "email": row.email, "name": row.name, "picture": row.picture}


_MEMBERS = (
    select(
        _user.c.user_id,
        _user.c.email,
        _user.c.name,
        _user.c.picture,
        _table.c.id.label("membership_id"),
        _table.c.created_at,
        _table.c.id,
    )
    .join(_user, _user.c.user_id == _table.c.user_id)
    .where(_table.c.organization_id == bindparam("organization"))
)
_PLACE = (_table.c.created_at, _table.c.id)
_NARROW = select(_table.c.id).where(_table.c.organization_id == bindparam("organization"))
_LISTINGS = {
    frozenset(asked): _listing(*asked)
    for asked in ((), ("roles",), ("organization_roles",), ("roles", "organization_roles"))
}
ROLES = Listing(
    "roles",
    select(_role)
    .join(_held, _held.c.role_id == _role.c.id)
    .join(_table, _table.c.id == _held.c.membership_id)
    .where(_table.c.organization_id == bindparam("organization"), _table.c.user_id == bindparam("user")),
    (_role.c.created_at, _role.c.id),
    roles.shape_all,
)


@reading("/organizations/{id:str}/members", "read:organization_members")
async def list_organization_members(call: CallOf, id: FromPath[str]) -> Any:
    await call.read(organizations.load_manageable, id, call.actor, is_reading=True)
    asked = parse_fields(call.request.query_params).names
    return await answer(call, _LISTINGS[frozenset(_ADDED.keys() & asked)], organization=id)


@creating("/organizations/{id:str}/members", "create:organization_members", status_code=204)
async def add_organization_members(call: CallOf, id: FromPath[str], data: JSONBody[NewMembersBody]) -> None:
    escalation.check_not_self(call.actor, *data.members)
    roles: tuple[str, ...] = tuple(dict.fromkeys(data.organization_roles or ())) or (MEMBER,)
    if roles != (MEMBER,) and not call.actor.holds("create:organization_member_roles"):
        raise InsufficientScope("create:organization_member_roles")
    ids = {user_id: new_id("mem") for user_id in data.members}
    names = call.services.settings.default_member_roles if call.tenant.is_control_plane else ()
    built_in = built_in_names((await call.configuration()).documents.value(OPTIONS))
    await call.write(_add, id, ids, roles, built_in, names, call.actor, call.now)


@removing("/organizations/{id:str}/members", "delete:organization_members")
async def remove_organization_members(call: CallOf, id: FromPath[str], data: JSONBody[MembersBody]) -> None:
    await call.write(_remove, id, data.members, call.actor, call.tenant.data_key, call.now)


@reading("/organizations/{id:str}/members/{user_id:str}/roles", "read:organization_member_roles")
async def list_member_roles(call: CallOf, id: FromPath[str], user_id: FromPath[str]) -> Any:
    await call.read(_load, id, user_id, call.actor, is_reading=True)
    return await answer(call, ROLES, organization=id, user=user_id)


@creating(
    "/organizations/{id:str}/members/{user_id:str}/roles", "create:organization_member_roles", status_code=204
)
async def add_member_roles(
    call: CallOf, id: FromPath[str], user_id: FromPath[str], data: JSONBody[RolesBody]
) -> None:
    escalation.check_not_self(call.actor, user_id)
    await call.write(_add_roles, id, user_id, data.roles, call.actor)


@removing("/organizations/{id:str}/members/{user_id:str}/roles", "delete:organization_member_roles")
async def remove_member_roles(
    call: CallOf, id: FromPath[str], user_id: FromPath[str], data: JSONBody[RolesBody]
) -> None:
    await call.write(_remove_roles, id, user_id, data.roles, call.actor, call.now)


def _load(
    connection: Connection, id: str, user_id: str, actor: Actor, *, is_reading: bool = False
) -> Row[Any]:
    organizations.load_manageable(connection, id, actor, is_reading=is_reading)
    row = connection.execute(_FIND, {"organization": id, "user": user_id}).one_or_none()
    if row is None:
        raise NotFound("organization_member")
    return row


def _add(
    connection: Connection,
    id: str,
    ids: dict[str, str],
    organization_roles: Sequence[str],
    built_in: frozenset[str],
    role_names: Iterable[str],
    actor: Actor,
    now: int,
) -> Written:
    """Who is a member already stays as they are."""
    organization = organizations.load_manageable(connection, id, actor)
    if organization.managed_by is not None and organization_roles != (MEMBER,):
        raise InvalidInput("Who owns a tenant is the business of its organization's own people.")
    _check_known(connection, id, organization_roles, built_in)
    users.check_all_exist(connection, list(ids))
    rows = [
        {"id": membership, "organization_id": id, "user_id": user_id, "created_at": now}
        for user_id, membership in ids.items()
    ]
    added = [row for row in rows if connection.execute(insert(_table).on_conflict_do_nothing(), row).rowcount]
    if not added:
        return Written()
    if has_organization_api(connection) and not has_seats(connection, id, now):
        raise Conflict("All seats of the organization's subscriptions are taken.", code="no_seats_left")
    for row in added:
        give_again(connection, membership_name(str(row["user_id"]), id), now_ms=now)
    connection.execute(insert(_standing), _standings(added, organization_roles))
    if organization.managed_by is not None:
        _give_default_roles(connection, [str(row["id"]) for row in added], role_names)
    members = [str(row["user_id"]) for row in added]
    return Written(
        after={"organization": id, "members": members, "organization_roles": list(organization_roles)},
        told=_told_of_members("organization_member_added", id, members),
    )


def _check_known(connection: Connection, id: str, names: Sequence[str], built_in: frozenset[str]) -> None:
    others = set(names) - built_in
    defined = defined_roles(connection, id) if others and has_organization_api(connection) else {}
    if unknown := others - defined.keys():
        raise InvalidInput(
            f"`organization_roles` names no role of the organization: {', '.join(sorted(unknown))}."
        )


def _standings(memberships: Iterable[dict[str, Any]], names: Iterable[str]) -> list[dict[str, Any]]:
    return [{"membership_id": row["id"], "role": name} for row in memberships for name in names]


def _give_default_roles(connection: Connection, memberships: Sequence[str], names: Iterable[str]) -> None:
    """What the installation gives new members of a tenant organization."""
    role_ids = connection.execute(select(_role.c.id).where(_role.c.name.in_(list(names)))).scalars().all()
    rows = [{"membership_id": id, "role_id": role_id} for id in memberships for role_id in role_ids]
    if rows:
        connection.execute(insert(_held), rows)


def _remove(
    connection: Connection, id: str, user_ids: Sequence[str], actor: Actor, data_key: DataKey, now: int
) -> Written:
    organizations.load_manageable(connection, id, actor)
    each = dict.fromkeys(user_ids)
    removed = [user_id for user_id in each if end_membership(connection, data_key, id, user_id, now)]
    return Written(
        before={"organization": id, "members": removed} if removed else None,
        told=_told_of_members("organization_member_removed", id, removed),
    )


def _told_of_members(type: str, id: str, user_ids: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    return [(type, {"organization_id": id, "user_id": user_id}) for user_id in user_ids]


def _add_roles(
    connection: Connection, id: str, user_id: str, role_ids: Sequence[str], actor: Actor
) -> Written:
    membership = _load(connection, id, user_id, actor)
    roles.check_all_exist(connection, role_ids)
    escalation.check_roles(connection, actor, role_ids)
    rows = [{"membership_id": membership.id, "role_id": role_id} for role_id in dict.fromkeys(role_ids)]
    added = connection.execute(insert(_held).on_conflict_do_nothing(), rows).rowcount
    return Written(after=_told(id, user_id, role_ids) if added else None)


def _remove_roles(
    connection: Connection, id: str, user_id: str, role_ids: Sequence[str], actor: Actor, now: int
) -> Written:
    organization = organizations.load_manageable(connection, id, actor)
    membership = _load(connection, id, user_id, actor)
    gone = delete(_held).where(_held.c.membership_id == membership.id, _held.c.role_id.in_(role_ids))
    removed = connection.execute(gone).rowcount
    if removed and organization.managed_by is not None:
        end_tokens_there(connection, id, user_id, now)
    return Written(before=_told(id, user_id, role_ids) if removed else None)


def _told(id: str, user_id: str, role_ids: Sequence[str]) -> dict[str, Any]:
    return {"organization": id, "user_id": user_id, "roles": list(role_ids)}


handlers = [
    list_organization_members,
    add_organization_members,
    remove_organization_members,
    list_member_roles,
    add_member_roles,
    remove_member_roles,
]
