"""What the platform API asks about a user of tenant one: implements `core.tenants.Operators`."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from core.tenants import Directory
from tenant_runtime.models import Client, Membership, Organization, User

_memberships, _organizations, _users = Membership.__table__, Organization.__table__, User.__table__
_TENANT_ORGANIZATIONS = (
    select(_memberships.c.organization_id)
    .join(_organizations, _organizations.c.id == _memberships.c.organization_id)
    .where(_memberships.c.user_id == bindparam("user_id"), _organizations.c.managed_by == "tenant")
)
_VERIFIED = select(_users.c.email_verified, _users.c.blocked).where(_users.c.user_id == bindparam("user_id"))
_MACHINE = "@clients"
_CLIENT = select(Client.__table__.c.client_id).where(Client.__table__.c.client_id == bindparam("client_id"))
_STANDS = select(_users.c.user_id).where(
    _users.c.user_id == bindparam("user_id"),
    _users.c.blocked.is_(False),
    _users.c.sessions_valid_from <= bindparam("issued_at"),
)


class TenantOneOperators:
    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def organization_ids(self, user_id: str) -> Sequence[str]:
        one = await self._directory.control_plane()
        return await one.database.read(_organization_ids, user_id)

    async def still_stand(self, subject: str, issued_at: float) -> bool:
        one = await self._directory.control_plane()
        return await one.database.read(_still_stands, subject, int(issued_at) * 1000 + 999)

    async def is_verified(self, user_id: str) -> bool:
        one = await self._directory.control_plane()
        return await one.database.read(_is_verified, user_id)


def _organization_ids(connection: Connection, user_id: str) -> Sequence[str]:
    return connection.execute(_TENANT_ORGANIZATIONS, {"user_id": user_id}).scalars().all()


def _still_stands(connection: Connection, subject: str, issued_at: int) -> bool:
    """`issued_at` is the last millisecond of the second that the token names."""
    if subject.endswith(_MACHINE):
        row = connection.execute(_CLIENT, {"client_id": subject.removesuffix(_MACHINE)}).first()
    else:
        row = connection.execute(_STANDS, {"user_id": subject, "issued_at": issued_at}).first()
    return row is not None


def _is_verified(connection: Connection, user_id: str) -> bool:
    row = connection.execute(_VERIFIED, {"user_id": user_id}).first()
    return row is not None and row.email_verified and not row.blocked
