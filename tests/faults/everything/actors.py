"""People, applications and operators who go about their business whatever happens, and remember what they were told."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

import httpx

from entrypoints.demo_content import Demo, DemoTenant
from entrypoints.network import ApiError, client_credentials
from tests.faults.everything.balanced import Workers
from tests.faults.everything.history import History, Suspension
from tests.relying_party import RelyingParty

Away = (httpx.TransportError, ApiError, AssertionError, LookupError, ValueError)
"""No answer, a refusal, or a page that is not the one that should come: the actor begins anew."""


@dataclass(frozen=True)
class World:
    demo: Demo
    tenants: list[DemoTenant]
    workers: Workers
    history: History
    rng: random.Random
    ended: asyncio.Event

    def client(self) -> httpx.AsyncClient:
        return self.workers.client(self.history, self.rng)

    async def until_the_end(self, act: Callable[[], Awaitable[None]], pause: float) -> None:
        while not self.ended.is_set():
            with suppress(*Away):
                await act()
            await asyncio.sleep(pause * (0.5 + self.rng.random()))


async def person(world: World) -> None:
    """Signs in somewhere, refreshes some times, and leaves the last refresh token to be tried at the end."""

    async def sign_in_and_stay() -> None:
        tenant = world.rng.choice(world.tenants)
        chains = world.history.chains.setdefault(tenant.id, {})
        browser = secrets.token_hex(6)
        async with world.client() as http:
            rp = _party(tenant, http, world.rng.randrange(len(tenant.users)))
            answer = await rp.redeem(await rp.code())
            for _ in range(world.rng.randrange(1, 6)):
                if answer.status != 200:
                    chains.pop(browser, None)
                    return
                chains[browser] = answer.refresh_token
                await asyncio.sleep(0.2 * world.rng.random())
                token = chains.pop(browser)  # whatever comes now, nobody may rely on the old one
                answer = await rp.refresh(token)
            if answer.status == 200:
                chains[browser] = answer.refresh_token

    await world.until_the_end(sign_in_and_stay, 0.2)


async def two_at_once(world: World) -> None:
    """K4: one code, redeemed at two servers at once."""

    async def redeem_twice() -> None:
        tenant = world.rng.choice(world.tenants)
        async with world.client() as http:
            rp = _party(tenant, http, 0)
            code = await rp.code()
            answers = await asyncio.gather(*(rp.redeem(code) for _ in range(3)), return_exceptions=True)
            world.history.redemptions.append(
                [answer.status if not isinstance(answer, BaseException) else 0 for answer in answers]
            )

    await world.until_the_end(redeem_twice, 0.5)


async def manager(world: World) -> None:
    """Makes roles that bear the tenant's word, and reads all there are."""

    async def make_and_read() -> None:
        tenant = world.rng.choice(world.tenants)
        machine, word = tenant.clients["m2m"], world.history.words[tenant.id]
        async with world.client() as http:
            token = await client_credentials(
                http,
                tenant.issuer,
                machine.client_id,
                machine.client_secret or "",
                tenant.management_audience,
            )
            name = f"{word}-{secrets.token_hex(6)}"
            await _make(world, http, f"{tenant.issuer}api/v2/roles", token, name, tenant.id)
            headers = {"Authorization": f"Bearer {token}"}
            answer = await http.get(
                f"{tenant.issuer}api/v2/roles", headers=headers, params={"per_page": "100"}
            )
            for other, foreign in world.history.words.items():
                if other != tenant.id and foreign in answer.text:
                    world.history.strays.append(f"{tenant.id} was shown what is {other}'s")

    await world.until_the_end(make_and_read, 0.2)


async def operator(world: World) -> None:
    """Changes what all tenants share, suspends and resumes, rotates keys, names tenants anew."""

    async def operate() -> None:
        async with world.client() as http:
            headers = {"Authorization": f"Bearer {await operator_token(world, http)}"}
            for _ in range(5):
                await world.rng.choice((_share, _suspend, _rotate, _rename))(world, http, headers)

    await world.until_the_end(operate, 1.0)


async def _share(world: World, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    issuer = world.demo.control_plane.issuer
    token = headers["Authorization"].removeprefix("Bearer ")
    began = monotonic()
    try:
        await _make(
            world, http, f"{issuer}api/v2/roles", token, f"shared-{secrets.token_hex(6)}", "control_plane"
        )
    finally:
        world.history.changes.append((began, monotonic()))


async def _suspend(world: World, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    tenant = world.rng.choice(world.tenants)
    url = f"{world.demo.control_plane.issuer}api/v2/tenants/{tenant.id}"
    answer = await http.post(f"{url}/suspend", headers=headers)
    if answer.status_code >= 300:
        return
    suspension = Suspension(tenant.id, monotonic())
    world.history.suspensions.append(suspension)
    await asyncio.sleep(2 * world.rng.random())
    suspension.until = monotonic()
    await _surely(lambda: http.post(f"{url}/resume", headers=headers))


async def _rotate(world: World, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    tenant = world.rng.choice(world.tenants)
    await http.post(f"{tenant.issuer}api/v2/keys/signing/rotate", headers=headers)


async def _rename(world: World, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    tenant = world.rng.choice(world.tenants)
    url = f"{world.demo.control_plane.issuer}api/v2/tenants/{tenant.id}"
    await http.patch(url, headers=headers, json={"display_name": f"{tenant.id} {secrets.token_hex(3)}"})


async def undertaker(world: World) -> None:
    """Makes tenants and deletes them."""

    async def make_and_delete() -> None:
        async with world.client() as http:
            headers = {"Authorization": f"Bearer {await operator_token(world, http)}"}
            url = f"{world.demo.control_plane.issuer}api/v2/tenants"
            name = f"brief-{secrets.token_hex(4)}"
            await http.post(url, headers=headers, json={"id": name})
            await asyncio.sleep(world.rng.random())
            await http.delete(f"{url}/{name}", headers=headers)

    await world.until_the_end(make_and_delete, 1.0)


async def _make(
    world: World, http: httpx.AsyncClient, url: str, token: str, name: str, tenant_id: str
) -> None:
    world.history.perhaps.setdefault(tenant_id, set()).add(name)
    answer = await http.post(url, json={"name": name}, headers={"Authorization": f"Bearer {token}"})
    if answer.is_success:
        world.history.perhaps[tenant_id].discard(name)
        world.history.made.setdefault(tenant_id, set()).add(name)
    elif answer.status_code < 500:
        world.history.perhaps[tenant_id].discard(name)


async def operator_token(world: World, http: httpx.AsyncClient) -> str:
    plane = world.demo.control_plane
    machine = plane.clients["m2m"]
    return await client_credentials(
        http, plane.issuer, machine.client_id, machine.client_secret or "", plane.management_audience
    )


async def _surely(ask: Callable[[], Awaitable[httpx.Response]], tries: int = 40) -> Any:
    for _ in range(tries):
        with suppress(httpx.TransportError):
            answer = await ask()
            if answer.status_code < 500:
                return answer
        await asyncio.sleep(0.25)
    raise AssertionError("nobody answers")


def _party(tenant: DemoTenant, http: httpx.AsyncClient, user: int) -> RelyingParty:
    return RelyingParty(http, tenant.issuer, tenant.clients["web"], tenant.api_audience, tenant.users[user])


ACTORS = (person, person, person, person, two_at_once, manager, manager, operator, undertaker)
