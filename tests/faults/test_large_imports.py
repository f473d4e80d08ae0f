"""A hundred thousand users come in, and whoever signs in meanwhile does."""

import asyncio
import json
from contextlib import AsyncExitStack
from time import perf_counter

import httpx
import pytest

from tests.faults.checks import file_of, query
from tests.faults.conftest import Ground
from tests.faults.servers import Server, serving
from tests.operators import machine_token
from tests.relying_party import RelyingParty

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.long]

USERS = 100_000
PEOPLE = 2
HASH = "$2b$10$" + "." * 21 + "u" + "a" * 31


def file_of_users() -> bytes:
    return json.dumps(
        [
            {
                "email": f"row-{number}@imported.example",
                "email_verified": True,
                "user_id": f"{number:024x}",
                "given_name": "Given",
                "family_name": f"Family {number}",
                "app_metadata": {"plan": "gold", "number": number},
                "password_hash": HASH,
            }
            for number in range(USERS)
        ]
    ).encode()


async def sign_ins(ground: Ground, server: Server, until: asyncio.Event) -> list[float]:
    """One after the other, each in a new browser; seconds from the first request to the tokens."""
    tenant, took = ground.demo.tenants[0], []
    while not until.is_set():
        async with server.client() as http:
            party = RelyingParty(
                http, tenant.issuer, tenant.clients["web"], tenant.api_audience, tenant.users[0]
            )
            began = perf_counter()
            assert (await party.sign_in()).status == 200
            took.append(perf_counter() - began)
        await asyncio.sleep(0.05)
    return took


async def people(ground: Ground, server: Server, until: asyncio.Event) -> list[float]:
    found = await asyncio.gather(*(sign_ins(ground, server, until) for _ in range(PEOPLE)))
    return sorted(second for took in found for second in took)


def told(name: str, took: list[float]) -> None:
    middle, late = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(f"\n{name}: {len(took)} sign-ins, median {middle * 1000:.0f} ms, p99 {late * 1000:.0f} ms")


async def for_a_while(seconds: float, event: asyncio.Event) -> None:
    await asyncio.sleep(seconds)
    event.set()


async def imported(ground: Ground, http: httpx.AsyncClient, content: bytes) -> tuple[float, float]:
    """Seconds until the file was taken, and until everybody was in."""
    tenant = ground.demo.tenants[0]
    token = await machine_token(http, tenant.issuer, tenant.clients["m2m"], tenant.management_audience)
    headers = {"Authorization": f"Bearer {token}"}
    [(connection_id,)] = query(
        file_of(ground.data, tenant.id), "SELECT id FROM connections WHERE strategy = 'auth0'"
    )
    began = perf_counter()
    answer = await http.post(
        f"{tenant.issuer}api/v2/jobs/users-imports",
        data={"connection_id": connection_id},
        files={"users": ("users.json", content)},
        headers=headers,
        timeout=300,
    )
    assert answer.status_code == 202, answer.text
    sent = perf_counter() - began
    url = f"{tenant.issuer}api/v2/jobs/{answer.json()['id']}"
    while (job := (await http.get(url, headers=headers)).json())["status"] in ("pending", "processing"):
        await asyncio.sleep(0.5)
    assert job["summary"] == {"failed": 0, "updated": 0, "inserted": USERS, "total": USERS}, job
    return sent, perf_counter() - began


async def test_a_hundred_thousand_users_come_in_while_people_sign_in(ground: Ground) -> None:
    content = file_of_users()
    async with serving(ground.data) as server, AsyncExitStack() as stack:
        http = await stack.enter_async_context(server.client())
        calm, over = asyncio.Event(), asyncio.Event()
        before, _ = await asyncio.gather(people(ground, server, calm), for_a_while(10, calm))
        meanwhile = asyncio.create_task(people(ground, server, over))
        sent, took = await imported(ground, http, content)
        over.set()
        told("without an import", before)
        told("during the import", await meanwhile)
        print(f"{len(content) / 2**20:.0f} MiB, taken in {sent:.1f} s; {USERS} users in {took:.1f} s")
