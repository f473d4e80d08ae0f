"""Ending everything that a client was given by people: of one consent, or all of it.

Whatever was issued belongs to a family, and the family is what ends: its refresh tokens at once, its codes when they
are redeemed, its access tokens wherever this server looks at them (`families`). Codes are kept for a day after their
use, so a family without refresh tokens is found by its code.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, exists, func, literal, or_, select, union

from tenant_runtime.models import AccessToken, AuthorizationCode, DeviceCode, RefreshFamily, RefreshToken
from tenant_runtime.oauth.tokens.families import end_family

_FAMILY, _TOKEN = RefreshFamily.__table__, RefreshToken.__table__


@dataclass(frozen=True, slots=True)
class Given:
    """To whom, by whom, for what; None: whatever it is. API and organization are empty where there is none."""

    client_id: str
    user_id: str | None = None
    audience: str | None = None
    organization_id: str | None = None


def end_given(connection: Connection, given: Given, *, now_ms: int, reason: str) -> int:
    """Answers how many families ended."""
    sources = [
        select(_FAMILY.c.id).where(*_matching(_FAMILY, given)),
        select(AuthorizationCode.__table__.c.family_id).where(*_matching(AuthorizationCode.__table__, given)),
        select(DeviceCode.__table__.c.family_id).where(*_matching(DeviceCode.__table__, given)),
    ]
    if not given.audience:  # an opaque token is for no API
        sources.append(
            select(AccessToken.__table__.c.family_id).where(*_matching(AccessToken.__table__, given))
        )
    families = connection.execute(union(*sources)).scalars().all()
    for family in families:
        end_family(connection, family, now_ms=now_ms, reason=reason)
    return len(families)


def _matching(table: FromClause, given: Given) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [table.c.client_id == given.client_id]
    if given.user_id is not None:
        found.append(table.c.user_id == given.user_id)
    if given.audience is not None and "audience" in table.c:
        found.append(func.coalesce(table.c.audience, "") == given.audience)
    if given.organization_id is not None:
        found.append(_in_organization(table, given.organization_id))
    return found


def _in_organization(table: FromClause, organization_id: str) -> ColumnElement[bool]:
    """A family also belongs where a refresh took it."""
    begun = func.coalesce(table.c.organization_id, "") == organization_id
    if table is not _FAMILY:
        return begun
    moved: Any = func.coalesce(_TOKEN.c.organization_id, "") == literal(organization_id)
    return or_(begun, exists().where(_TOKEN.c.family_id == _FAMILY.c.id, moved))
