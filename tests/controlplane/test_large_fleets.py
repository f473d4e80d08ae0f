"""What is asked of the fleet costs the same with ten tenants and with ten thousand."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from controlplane.models import RegistryBase
from controlplane.registry.tenant_lists import TenantQuery, list_tenants, list_tenants_after
from tests.controlplane.conftest import Platform
from tests.engines.registries import IS_SHARED

pytestmark = pytest.mark.anyio

MANY = 10_000


def add_many(connection: Any) -> None:
    """Rows like those that are there; nobody opens their databases."""
    columns = RegistryBase.metadata.tables["tenants"].columns.keys()
    own = {"id": "'many-' || n", "organization_id": "'org_many' || n", "display_name": "'Many ' || n",
           "location": "'tenants/many-' || n || '.db'", "created_at": "created_at + n"}  # fmt: skip
    chosen = ", ".join(own.get(name, name) for name in columns)
    connection.exec_driver_sql(
        f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY})"
        f" INSERT INTO tenants ({', '.join(columns)}) SELECT {chosen} FROM tenants, numbers WHERE id = 'acme'"
    )


def in_the_middle(connection: Connection) -> tuple[int, str]:
    created_at = connection.exec_driver_sql("SELECT created_at FROM tenants WHERE id = 'acme'").scalar_one()
    return created_at + MANY // 2, "acme"


PAGES: tuple[Callable[[Connection], object], ...] = (
    lambda connection: list_tenants(connection, TenantQuery(), limit=2),
    lambda connection: list_tenants_after(connection, TenantQuery(), after=None, limit=2),
    lambda connection: list_tenants(connection, TenantQuery(sort="id", descending=True), limit=2),
    lambda connection: list_tenants(connection, TenantQuery(states=("active",)), limit=2),
    lambda connection: list_tenants_after(
        connection, TenantQuery(descending=True), after=in_the_middle(connection), limit=2
    ),
)


def steps_of(page: Callable[[Connection], object]) -> Callable[[Connection], int]:
    """How many instructions SQLite goes through for it: the same on every machine."""

    def counted(connection: Connection) -> int:
        driver: Any = connection.connection.driver_connection
        steps = itertools.count()
        driver.set_progress_handler(lambda: next(steps) < 0, 1)
        page(connection)
        driver.set_progress_handler(None, 1)
        return next(steps)

    return counted


@pytest.mark.skipif(IS_SHARED, reason="what SQLite does is counted")
async def test_a_page_of_tenants_costs_the_same_in_a_fleet_of_ten_thousand(fresh: Platform) -> None:
    registry = fresh.installation.running.platform.registry
    few = [await registry.read(steps_of(page)) for page in PAGES]
    await registry.alone(add_many)
    many = [await registry.read(steps_of(page)) for page in PAGES]
    assert min(few) > 20
    assert [after for before, after in zip(few, many, strict=True) if after > before + 50] == [], (few, many)
    deep = (await fresh("GET", "/tenants", per_page="1", page="9000", include_totals="true")).json()
    assert deep["total"] == MANY + 4
    page = await fresh("GET", "/tenants", take="1", sort="created_at:-1")
    seen = [page.json()["tenants"][0]["id"]]
    for _ in range(3):
        page = await fresh("GET", "/tenants", take="1", sort="created_at:-1", **{"from": page.json()["next"]})
        seen.append(page.json()["tenants"][0]["id"])
    assert seen == [f"many-{number}" for number in range(MANY, MANY - 4, -1)]
    assert (await fresh("GET", "/fleet")).json()["states"]["active"] == MANY + 4
