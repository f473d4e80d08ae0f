"""What one organization says for itself: one object, of which only what differs from the defaults is kept."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import Connection, bindparam, delete, select

from core.database import Prepared
from core.database.sql import insert
from tenant_runtime.models import OrganizationSetting

Joining = Literal["off", "request", "approval", "automatic"]
RoleName = Annotated[str, Meta(min_length=1, max_length=63)]
MaxAge = Annotated[int, Meta(ge=60, le=31_536_000)]


class OrganizationSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`session_max_age`: seconds since the person logged in. `require_domain`: a proved address in one of the
    organization's verified domains. `domain_joining`: how people with such an address become members, and
    `domain_joining_role` what they are then."""

    require_mfa: bool = False
    session_max_age: MaxAge | None = None
    require_domain: bool = False
    domain_joining: Joining = "off"
    domain_joining_role: RoleName = "member"


DEFAULTS = OrganizationSettings()

_t = OrganizationSetting.__table__.c
_LOAD = Prepared(select(_t.settings).where(_t.organization_id == bindparam("organization")))
_NEW = insert(OrganizationSetting.__table__)
_SAVE = _NEW.on_conflict_do_update(
    index_elements=["organization_id"],
    set_={"settings": _NEW.excluded.settings, "updated_at": _NEW.excluded.updated_at},
)
_FORGET = delete(OrganizationSetting.__table__).where(_t.organization_id == bindparam("organization"))


def understood(stored: Mapping[str, Any] | None) -> OrganizationSettings:
    """Members of a later release are left alone."""
    return DEFAULTS if not stored else msgspec.convert(stored, OrganizationSettings)


def settings_of(connection: Connection, organization_id: str) -> OrganizationSettings:
    row = _LOAD.first(connection, {"organization": organization_id})
    return DEFAULTS if row is None else understood(row.settings)


def save_settings(
    connection: Connection, organization_id: str, settings: OrganizationSettings, now: int
) -> None:
    """No row where nothing is said: what is asked of a log-in is then nothing, at no cost."""
    if settings == DEFAULTS:
        connection.execute(_FORGET, {"organization": organization_id})
        return
    row = {"organization_id": organization_id, "settings": msgspec.to_builtins(settings), "updated_at": now}
    connection.execute(_SAVE, row)
