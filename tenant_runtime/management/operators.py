"""Operators of the platform lose a permission of it: what they have open ends, so that no token outlives it.

Only tenant one has such permissions; elsewhere nobody holds one, and nothing ends.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, bindparam, select

from core.clock import next_second
from core.crypto.sealing import DataKey
from tenant_runtime.management.endings import end_logins
from tenant_runtime.management.escalation import platform_permissions_of
from tenant_runtime.models import RolePermission, Scope, UserRole
from tenant_runtime.oauth.backchannel_logout import Initiator

_u, _r, _s = UserRole.__table__.c, RolePermission.__table__.c, Scope.__table__.c
_BY_ROLE = (
    select(_u.user_id)
    .distinct()
    .join(RolePermission.__table__, _r.role_id == _u.role_id)
    .join(Scope.__table__, (_s.resource_server_id == _r.resource_server_id) & (_s.value == _r.permission))
    .where(_s.is_platform.is_(True), _u.role_id == bindparam("role"))
)


def operators_by(connection: Connection, role_id: str) -> list[str]:
    """Who holds a permission of the platform by this role."""
    return list(connection.execute(_BY_ROLE, {"role": role_id}).scalars())


@contextmanager
def ending_lost_power(
    connection: Connection, data_key: DataKey, user_ids: Iterable[str], now: int
) -> Iterator[None]:
    """Around a change of what they hold. `Deliveries.soon` after the commit."""
    before = {user_id: platform_permissions_of(connection, user_id) for user_id in user_ids}
    yield
    for user_id, held in before.items():
        if held and not held <= platform_permissions_of(connection, user_id):
            end_power(connection, data_key, user_id, now)


def end_power(connection: Connection, data_key: DataKey, user_id: str, now: int) -> None:
    end_logins(connection, data_key, user_id, next_second(now), why=Initiator.SESSION_REVOKED)
