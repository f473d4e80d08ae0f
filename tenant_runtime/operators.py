"""What the platform API asks about a user of tenant one: implements `core.tenants.Operators`."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select

from core.tenants import Directory
from tenant_runtime.audit import Event, record
from tenant_runtime.models import Membership, Organization, User
from tenant_runtime.standing import still_stands

_memberships, _organizations, _users = Membership.__table__, Organization.__table__, User.__table__
_TENANT_ORGANIZATIONS = (
    select(_memberships.c.organization_id)
    .join(_organizations, _organizations.c.id == _memberships.c.organization_id)
    .where(_memberships.c.user_id == bindparam("user_id"), _organizations.c.managed_by == "tenant")
)
_VERIFIED = select(_users.c.email_verified, _users.c.blocked).where(_users.c.user_id == bindparam("user_id"))


class TenantOneOperators:
    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def organization_ids(self, user_id: str) -> Sequence[str]:
        one = await self._directory.control_plane()
        return await one.database.read(_organization_ids, user_id)

    async def still_stand(
        self, subject: str, issued_at: float, jti: str | None, consent: str, organization_id: str | None
    ) -> bool:
        one = await self._directory.control_plane()
        return await one.database.read(still_stands, subject, int(issued_at), jti, consent, organization_id)

    async def is_verified(self, user_id: str) -> bool:
        one = await self._directory.control_plane()
        return await one.database.read(_is_verified, user_id)

    async def record(
        self, subject: str, description: str, details: Mapping[str, Any], now: int, request_id: str
    ) -> None:
        one = await self._directory.control_plane()
        event = Event(
            type="sapi",
            created_at=now,
            description=description,
            user_id=subject,
            request_id=request_id,
            details=details,
        )
        await one.database.write(record, event)


def _organization_ids(connection: Connection, user_id: str) -> Sequence[str]:
    return connection.execute(_TENANT_ORGANIZATIONS, {"user_id": user_id}).scalars().all()


def _is_verified(connection: Connection, user_id: str) -> bool:
    row = connection.execute(_VERIFIED, {"user_id": user_id}).first()
    return row is not None and row.email_verified and not row.blocked
