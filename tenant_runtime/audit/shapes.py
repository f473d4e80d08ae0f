"""A log event as it is shown: by `/api/v2/logs`, and to log streams."""

from typing import Any

from core.clock import to_iso
from tenant_runtime.models import LogEvent

TEXTS = (
    "description",
    "client_id",
    "client_name",
    "user_id",
    "user_name",
    "organization_id",
    "connection",
    "audience",
    "scope",
    "ip",
    "user_agent",
    "request_id",
)
SHOWN = [column for column in LogEvent.__table__.c if column.name != "sequence"]


def shape(row: Any) -> dict[str, Any]:
    texts = {name: getattr(row, name) for name in TEXTS}
    return {
        "log_id": row.id,
        "_id": row.id,
        "date": to_iso(row.created_at),
        "type": row.type,
        **{name: text for name, text in texts.items() if text is not None},
        "details": row.details,
    }
