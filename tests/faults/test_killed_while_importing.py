"""Servers that die in the middle of an import, or work on it beside each other: each row comes in once."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.failpoints import EXIT_STATUS
from entrypoints.demo_content import DemoTenant
from tests.faults.checks import file_of, query
from tests.faults.conftest import Ground
from tests.faults.servers import Server, serving, two_serving
from tests.operators import machine_token
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

USERS = 1500
ROWS = [{"email": f"row-{number}@imported.example"} for number in range(USERS)]
WRONG = [{"email": f"wrong {number}"} for number in range(10)]


def file_at(ground: Ground) -> Path:
    return file_of(ground.data, tenant_of(ground).id)


def tenant_of(ground: Ground) -> DemoTenant:
    return ground.demo.tenants[0]


async def begun(ground: Ground, http: httpx.AsyncClient) -> str:
    tenant = tenant_of(ground)
    token = await machine_token(http, tenant.issuer, tenant.clients["m2m"], tenant.management_audience)
    [(connection_id,)] = query(file_at(ground), "SELECT id FROM connections WHERE strategy = 'auth0'")
    answer = await http.post(
        f"{tenant.issuer}api/v2/jobs/users-imports",
        data={"connection_id": connection_id},
        files={"users": ("users.json", json.dumps(ROWS + WRONG).encode())},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def job_of(ground: Ground) -> tuple[Any, ...]:
    return query(file_at(ground), "SELECT status, inserted, failed, done, total FROM jobs")[0]


def leases_end(ground: Ground) -> None:
    """Their time passes."""
    with closing(sqlite3.connect(file_at(ground), timeout=10)) as connection:
        connection.execute("UPDATE deliveries SET leased_until = 1 WHERE leased_until IS NOT NULL")
        connection.execute("UPDATE jobs SET leased_until = 1 WHERE leased_until IS NOT NULL")
        connection.commit()


async def is_over(ground: Ground) -> bool:
    return bool(job_of(ground)[0] == "completed")


def assert_each_came_in_once(ground: Ground) -> None:
    total = USERS + len(WRONG)
    assert job_of(ground) == ("completed", USERS, len(WRONG), total, total)
    came = "SELECT count(*), count(DISTINCT email) FROM users WHERE email LIKE 'row-%@imported.example'"
    assert query(file_at(ground), came) == [(USERS, USERS)]
    parts = query(file_at(ground), "SELECT kind, count(*) FROM job_parts GROUP BY kind")
    assert parts == [("errors", 1)]  # what the job was given is kept no longer


async def test_a_server_that_dies_again_and_again_imports_each_row_once(ground: Ground) -> None:
    async with serving(ground.data, "jobs.part=exit@2") as server:
        async with server.client() as http:
            await begun(ground, http)
        assert await server.ended() == EXIT_STATUS
    assert job_of(ground)[0] == "processing"
    leases_end(ground)
    async with serving(ground.data, "jobs.part=exit@2") as server:
        assert await server.ended() == EXIT_STATUS
    leases_end(ground)
    async with serving(ground.data):
        await until(lambda: is_over(ground))
    assert_each_came_in_once(ground)


@pytest.mark.long
async def test_a_server_that_is_killed_anywhere_leaves_a_job_that_goes_on(ground: Ground) -> None:
    async with serving(ground.data) as server, server.client() as http:
        await begun(ground, http)

        async def is_under_way() -> bool:
            return bool(job_of(ground)[3])

        await until(is_under_way)
        server.kill()
    leases_end(ground)
    async with serving(ground.data):
        await until(lambda: is_over(ground))
    assert_each_came_in_once(ground)


async def test_two_servers_import_each_row_once_and_people_sign_in_at_both(ground: Ground) -> None:
    """Also when each of them believes that the other has died."""
    async with two_serving(ground.data) as servers, servers[0].client() as http:
        await begun(ground, http)
        while not await is_over(ground):
            leases_end(ground)
            await asyncio.gather(*(signed_in(ground, server) for server in servers))
    assert_each_came_in_once(ground)


async def signed_in(ground: Ground, server: Server) -> None:
    tenant = tenant_of(ground)
    async with server.client() as http:
        await machine_token(http, tenant.issuer, tenant.clients["m2m"], tenant.management_audience)
