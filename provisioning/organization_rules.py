"""What a tenant's organization says for itself on tenant one: who may act in it and how they log in. Noted with its
members when its tenant is deleted, so that one that comes back asks for no less than it did.

Units of work on tenant one, inside those of `provisioning.organization`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select

from core.database.sql import insert
from tenant_runtime.models import (
    OrganizationConnection,
    OrganizationDomain,
    OrganizationRole,
    OrganizationSetting,
)

Rules = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by table, as JSON has them."""

_KEPT: tuple[Table, ...] = tuple(
    model.__table__
    for model in (OrganizationSetting, OrganizationConnection, OrganizationRole, OrganizationDomain)
)


def read_rules(connection: Connection, organization_id: str) -> Rules:
    return {table.name: _rows(connection, table, organization_id) for table in _KEPT}


def put_rules(connection: Connection, rules: Rules, now: int) -> None:
    """A domain that another organization has proved meanwhile stays with that one."""
    for table in _KEPT:
        for row in rules.get(table.name, ()):
            connection.execute(insert(table).on_conflict_do_nothing(), _looked_for(row, now))


def _looked_for(row: Mapping[str, Any], now: int) -> dict[str, Any]:
    """The record of a domain may be gone by now."""
    return {**row, "look_at": now} if row.get("look_at") is not None else dict(row)


def _rows(connection: Connection, table: Table, organization_id: str) -> list[dict[str, Any]]:
    theirs = select(table).where(table.c.organization_id == organization_id)
    return [dict(row._mapping) for row in connection.execute(theirs)]
