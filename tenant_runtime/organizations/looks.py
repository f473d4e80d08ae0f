"""What the pages show of an organization to who is on the way into it: what it is called, and its `branding`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from core.database import Prepared
from tenant_runtime.models import Organization
from tenant_runtime.organizations.membership import is_id

_o = Organization.__table__.c
_SHOWN = select(_o.name, _o.display_name, _o.branding).where(_o.suspended_at.is_(None))
_BY_ID = Prepared(_SHOWN.where(_o.id == bindparam("value")))
_BY_NAME = Prepared(_SHOWN.where(_o.name == bindparam("value")))


@dataclass(frozen=True, slots=True)
class Look:
    name: str
    branding: Mapping[str, Any]


def look_of(connection: Connection, value: str) -> Look | None:
    """By id, which nobody guesses, or by name. None: it is unknown, or suspended."""
    statement, shown = (_BY_ID, value) if is_id(value) else (_BY_NAME, value.lower())
    row = statement.first(connection, {"value": shown})
    return None if row is None else Look(row.display_name or row.name, row.branding)


def look_in(row: Row[Any]) -> Look | None:
    """Of an invitation's organization, which was read with it."""
    if row.suspended_at is not None:
        return None
    return Look(row.organization_display_name or row.organization_name, row.organization_branding)
