"""How long events are kept: as many days as the tenant says, and never more than the installation lets it.

Removed in bounded batches by those who add: each batch may take away twice what was added, so a log that was kept
longer gets shorter, too. The newest event always stays; a number that was given must not come again.
"""

from sqlalchemy import Connection, bindparam, delete, func, or_, select

from tenant_runtime.models import LogEvent, Setting
from tenant_runtime.tenant_settings import TenantSettings, effective

KEY = "log_retention_days"
DAY_MS = 86_400_000
MOST = 1000
_table = LogEvent.__table__
_e, _setting = _table.c, Setting.__table__.c
_LAYERS = select(_setting.source, _setting.value).where(_setting.key == KEY)
_NEWEST = select(func.max(_e.sequence)).scalar_subquery()
_OVER = (
    select(_e.id)
    .where(_e.created_at < bindparam("before"), or_(_e.sequence.is_(None), _e.sequence < _NEWEST))
    .order_by(_e.created_at)
    .limit(bindparam("most"))
)
_REMOVE = delete(_table).where(_e.id.in_(_OVER))


def days_kept(connection: Connection) -> int:
    layers: dict[str, dict[str, int]] = {"control_plane": {}, "tenant": {}}
    for row in connection.execute(_LAYERS):
        layers[row.source][KEY] = row.value
    settings: TenantSettings = effective(layers["control_plane"], layers["tenant"])
    return settings.log_retention_days


def sweep_events(connection: Connection, now: int, longest_days: int | None = None, most: int = MOST) -> None:
    days = days_kept(connection)
    before = now - min(days, longest_days or days) * DAY_MS
    connection.execute(_REMOVE, {"before": before, "most": most})
