"""Who owns the organization that stands for a tenant administers the tenant: by the tenant roles that they hold there,
which come and go with the ownership. Elsewhere tenant roles say nothing of who owns."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select

from core.database.sql import insert
from tenant_runtime.management.endings import end_tokens_there
from tenant_runtime.models import MembershipRole, Organization, Role
from tenant_runtime.organizations.access import GUEST, OWNER
from tenant_runtime.organizations.members import Member, member_of

_table = MembershipRole.__table__
_o, _r, _held = Organization.__table__.c, Role.__table__.c, _table.c
_STANDS_FOR = select(_o.managed_by).where(_o.id == bindparam("organization"))
_HELD = (
    select(_r.id, _r.name)
    .join(_table, _held.role_id == _r.id)
    .where(_held.membership_id == bindparam("of"))
    .order_by(_r.name)
)
_NAMED = select(_r.id).where(_r.name.in_(bindparam("names", expanding=True)))
_GIVE = insert(_table).on_conflict_do_nothing()


def follow_roles(
    connection: Connection, giver: Member, before: Member, after: Member, left: Sequence[str], now: int
) -> list[str] | None:
    """Of a member whose roles were changed by `giver`: names of the tenant roles that they hold from now on; None where
    none came or went. A new owner has those of who made them one. Who is no owner any more has those that every member
    has (`left`), and who becomes a guest none."""
    if not _stands_for_a_tenant(connection, after.organization_id):
        return None
    if OWNER in after.roles and OWNER not in before.roles:
        return _share(connection, giver, after)
    if (OWNER in before.roles and OWNER not in after.roles) or (
        after.roles == (GUEST,) and before.roles != (GUEST,)
    ):
        return _leave(connection, after, left, now)
    return None


def hand_over_tenant_roles(
    connection: Connection, owner: Member, former: Member, left: Sequence[str], now: int
) -> list[str]:
    """Names of those that the new owner holds from now on; the former one has then what any member has."""
    if not _stands_for_a_tenant(connection, owner.organization_id):
        return []
    names = _share(connection, former, owner)
    _leave(connection, former, left, now)
    return names


def tenant_roles_of_inviter(
    connection: Connection, organization_id: str, inviter_id: str | None
) -> tuple[str, ...]:
    """Ids of those that a new owner has from who invited them, in the organization of a tenant."""
    inviter = member_of(connection, organization_id, inviter_id) if inviter_id is not None else None
    if inviter is None or OWNER not in inviter.roles:
        return ()
    return tuple(row.id for row in connection.execute(_HELD, {"of": inviter.id}))


def _share(connection: Connection, giver: Member, owner: Member) -> list[str]:
    held = connection.execute(_HELD, {"of": giver.id}).all()
    _give(connection, owner, [role.id for role in held])
    return _names(connection, owner)


def _leave(connection: Connection, member: Member, left: Sequence[str], now: int) -> list[str]:
    """Whoever holds none is given none."""
    if not _names(connection, member):
        return []
    end_tokens_there(connection, member.organization_id, member.user_id, now)
    connection.execute(delete(_table).where(_held.membership_id == member.id))
    names = list(left) if member.roles != (GUEST,) else []
    _give(connection, member, connection.execute(_NAMED, {"names": names}).scalars().all())
    return _names(connection, member)


def _stands_for_a_tenant(connection: Connection, organization_id: str) -> bool:
    return connection.execute(_STANDS_FOR, {"organization": organization_id}).scalar_one() is not None


def _give(connection: Connection, member: Member, role_ids: Sequence[str]) -> None:
    rows = [{"membership_id": member.id, "role_id": role_id} for role_id in role_ids]
    if rows:
        connection.execute(_GIVE, rows)


def _names(connection: Connection, member: Member) -> list[str]:
    return [role.name for role in connection.execute(_HELD, {"of": member.id})]
