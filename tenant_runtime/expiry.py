"""When something that was given out is good: from the moment it was made to its end, whatever the clock does.

A clock that runs ahead makes things expire, and they are refused; set right again it would bring them back. What counts
once is therefore ended when it is presented too late (`Lapsing`). And a clock that was ahead gives out what would be
good for years: what was made at a time that has yet to come is refused. Tokens that count more than once are good
whenever the clock says so, as those that carry their own times are.
"""

from typing import cast

from sqlalchemy import ColumnElement, Connection, FromClause, Table, and_, bindparam, select, update

from core.clock import LEEWAY_MS
from core.tenants import Tenant


def is_current(table: FromClause, since: str = "created_at") -> ColumnElement[bool]:
    """A condition on `now` (milliseconds)."""
    now: ColumnElement[int] = bindparam("now")
    return and_(table.c.expires_at > now, table.c[since] <= now + LEEWAY_MS)


class Lapsing:
    """Rows with `digest`, `used_at` and `expires_at`. One that is presented too late counts as used from then on."""

    def __init__(self, table: FromClause, *conditions: ColumnElement[bool]) -> None:
        column = table.c
        is_over = (
            column.digest == bindparam("of"),
            column.used_at.is_(None),
            column.expires_at <= bindparam("now"),
            *conditions,
        )
        self._find = select(column.digest).where(*is_over)
        self._end = update(cast("Table", table)).where(*is_over).values(used_at=bindparam("now"))

    async def refused(self, tenant: Tenant, digest: str, now: int) -> None:
        """After the refusal. Nothing is written for what was made up, nor twice."""
        if await tenant.database.read(self._is_over, digest, now):
            await tenant.database.write(self._lapse, digest, now)

    def _is_over(self, connection: Connection, digest: str, now: int) -> bool:
        return connection.execute(self._find, {"of": digest, "now": now}).first() is not None

    def _lapse(self, connection: Connection, digest: str, now: int) -> None:
        connection.execute(self._end, {"of": digest, "now": now})
