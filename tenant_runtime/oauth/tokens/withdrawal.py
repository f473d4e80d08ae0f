"""Ending everything that a client was given by people: of one consent, or all of it.

Whatever was issued belongs to a family, and the family is what ends: its refresh tokens at once, its codes when they
are redeemed, its access tokens wherever this server looks at them (`families`). Codes are kept for a day after their
use, so a family without refresh tokens is found by its code; an access token that is older and stands alone, by the
consent it rests on.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, exists, func, literal, or_, select, union

from core.given import consent_name
from tenant_runtime.models import (
    AccessToken,
    AuthorizationCode,
    DeviceCode,
    Grant,
    RefreshFamily,
    RefreshToken,
)
from tenant_runtime.oauth.tokens.families import end_family, withdraw

_FAMILY, _TOKEN, _CONSENT = RefreshFamily.__table__, RefreshToken.__table__, Grant.__table__


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
    if given.user_id is not None or given.client_id.startswith(
        "https://"
    ):  # whoever else is deleted has no tokens
        for consent in connection.execute(select(_CONSENT).where(*_matching(_CONSENT, given))):
            name = consent_name(consent.user_id, consent.client_id, consent.audience, consent.organization_id)
            withdraw(connection, name, now_ms=now_ms, reason=reason)
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
