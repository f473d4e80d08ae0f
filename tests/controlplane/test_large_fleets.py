"""What is asked of the fleet costs the same with ten tenants and with ten thousand."""

import time
from typing import Any

import pytest

from controlplane.models import RegistryBase
from tests.controlplane.conftest import Platform

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


async def cost(platform: Platform, **query: str) -> float:
    before = time.process_time()
    for _ in range(15):
        answer = await platform("GET", "/tenants", **query)
        assert answer.status_code == 200, answer.text
    return (time.process_time() - before) / 15


async def test_a_page_of_tenants_costs_the_same_in_a_fleet_of_ten_thousand(fresh: Platform) -> None:
    asked = (
        {"per_page": "2"},
        {"take": "2"},
        {"take": "2", "sort": "id:-1"},
        {"per_page": "2", "state": "active"},
    )
    await cost(fresh, per_page="2")
    few = [await cost(fresh, **query) for query in asked]
    await fresh.installation.running.platform.registry.alone(add_many)
    many = [await cost(fresh, **query) for query in asked]
    for before, after in zip(few, many, strict=True):
        assert after < before * 2 + 0.002, (few, many)
    deep = (await fresh("GET", "/tenants", per_page="1", page="9000", include_totals="true")).json()
    assert deep["total"] == MANY + 4
    page = await fresh("GET", "/tenants", take="1", sort="created_at:-1")
    started = time.process_time()
    for _ in range(15):
        page = await fresh("GET", "/tenants", take="1", sort="created_at:-1", **{"from": page.json()["next"]})
    assert (time.process_time() - started) / 15 < few[1] * 2 + 0.002
    assert (await fresh("GET", "/fleet")).json()["states"]["active"] == MANY + 4
