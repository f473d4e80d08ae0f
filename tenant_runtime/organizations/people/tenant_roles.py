"""Who owns the organization that stands for a tenant administers the tenant: by the tenant roles that they hold there,
which go where the ownership goes."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select

from core.database.sql import insert
from tenant_runtime.models import MembershipRole, Organization, Role
from tenant_runtime.organizations.access import GUEST
from tenant_runtime.organizations.members import Member

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


def hand_over_tenant_roles(
    connection: Connection, owner: Member, former: Member, left: Sequence[str]
) -> list[str]:
    """Names of those that the new owner holds from now on. `left`: of those of any member, which is what the former one
    is then, unless a guest. Only in the organization of a tenant: elsewhere they say nothing of who owns."""
    stands_for = connection.execute(_STANDS_FOR, {"organization": owner.organization_id}).scalar_one()
    held = connection.execute(_HELD, {"of": former.id}).all() if stands_for is not None else []
    if not held:
        return []
    _give(connection, owner, [role.id for role in held])
    connection.execute(delete(_table).where(_held.membership_id == former.id))
    names = list(left) if former.roles != (GUEST,) else []
    _give(connection, former, connection.execute(_NAMED, {"names": names}).scalars().all())
    return [role.name for role in held]


def _give(connection: Connection, member: Member, role_ids: Sequence[str]) -> None:
    rows = [{"membership_id": member.id, "role_id": role_id} for role_id in role_ids]
    if rows:
        connection.execute(_GIVE, rows)
