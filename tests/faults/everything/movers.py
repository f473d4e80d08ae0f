"""Operators of several machines: they move tenants, back them up and put them back, and migrate the fleet."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import httpx

from entrypoints.demo_content import DemoTenant
from entrypoints.network import client_credentials
from tests.faults.everything.actors import Away, World, operator_token
from tests.faults.everything.history import Home
from tests.faults.everything.several_nodes import ENGINES

ENDED = ("succeeded", "cancelled")
PATIENCE_SECONDS = 120


@dataclass(slots=True)
class Done:
    """What operators of the whole were told; `wrong` is what must not be."""

    moves: int = 0
    backups: int = 0
    restores: int = 0
    migrations: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Office:
    """`keeper` is a tenant whose past is put back: nobody else relies on what is in it."""

    world: World
    done: Done
    keeper: DemoTenant

    async def mover(self) -> None:
        async def move() -> None:
            tenant = self.world.rng.choice(self.world.tenants)
            home = self._home(tenant.id)
            target = next(engine for engine in ENGINES if engine != home.engine)
            async with self.world.client() as http:
                there = Home(tenant.id, target, monotonic())
                self.world.history.homes.append(there)  # perhaps, even when nobody answers
                operation = await self._ordered(http, f"{tenant.id}/move", {"backend": target})
                if operation is not None and await self._ended(http, operation) == "succeeded":
                    self.done.moves += 1
                await self._look_where(http, tenant.id)

        await self.world.until_the_end(move, 1.0)

    async def keep(self) -> None:
        """A role that was there when the backup was taken is there again; a later one is not."""

        async def take_and_put_back() -> None:
            async with self.world.client() as http:
                before = await self._role(http)
                taken = await self._ordered(http, f"{self.keeper.id}/backups")
                if taken is None or await self._ended(http, taken) != "succeeded":
                    return
                self.done.backups += 1
                after = await self._role(http)
                url, headers = await self._platform(http)
                backups = await http.get(f"{url}/tenants/{self.keeper.id}/backups", headers=headers)
                newest = _good(backups)[0]["id"]
                restored = await self._ordered(http, f"{self.keeper.id}/backups/{newest}/restore")
                if restored is None or await self._ended(http, restored) != "succeeded":
                    return
                self.done.restores += 1
                names = await self._roles(http)
                if before not in names or after in names:
                    self.done.wrong.append(f"restored: {before in names=}, {after in names=}")

        await self.world.until_the_end(take_and_put_back, 2.0)

    async def migrator(self) -> None:
        """Those that are behind are brought up. A run that stopped over what was broken is told to go on."""

        await self.world.until_the_end(self.migrate, 4.0)

    async def migrate(self) -> None:
        async with self.world.client() as http:
            url, headers = await self._platform(http)
            runs = _good(await http.get(f"{url}/fleet/migrations", headers=headers))
            for run in runs:
                if run["state"] == "stopped":
                    resume = f"{url}/fleet/migrations/{run['id']}/resume"
                    await http.post(resume, headers=headers, json={"retry": True})
            answer = await http.post(f"{url}/fleet/migrations", headers=headers)
            if answer.is_success and answer.json()["migration"] is not None:
                self.done.migrations += 1

    async def _ordered(self, http: httpx.AsyncClient, path: str, body: Any = None) -> str | None:
        url, headers = await self._platform(http)
        answer = await http.post(f"{url}/tenants/{path}", headers=headers, json=body)
        return str(answer.json()["id"]) if answer.status_code == 202 else None

    async def _ended(self, http: httpx.AsyncClient, operation: str) -> str:
        """The state in which it ended. Whoever asks is turned away now and then."""
        until = monotonic() + PATIENCE_SECONDS
        while monotonic() < until:
            found = await self._told(http, f"operations/{operation}")
            if found is not None and found["state"] in ENDED:
                return str(found["state"])
            await asyncio.sleep(0.3)
        return "unknown"

    async def _look_where(self, http: httpx.AsyncClient, tenant_id: str) -> None:
        """Only an answer given while no move is under way says where it is."""
        until = monotonic() + PATIENCE_SECONDS
        while monotonic() < until:
            found = await self._told(http, f"tenants/{tenant_id}")
            operations = await self._told(http, f"tenants/{tenant_id}/operations")
            if found is not None and operations is not None and not _moves(operations):
                self._is_at(tenant_id, str(found["backend"]))
                return
            await asyncio.sleep(0.3)

    def _is_at(self, tenant_id: str, engine: str) -> None:
        homes = [
            home for home in self.world.history.homes if home.tenant == tenant_id and home.until > monotonic()
        ]
        here = next(home for home in homes if home.engine == engine)
        for home in homes:
            if home is not here:
                home.until = monotonic()

    def _home(self, tenant_id: str) -> Home:
        return next(
            home for home in self.world.history.homes if home.tenant == tenant_id and home.until > monotonic()
        )

    async def _told(self, http: httpx.AsyncClient, path: str) -> Any:
        try:
            url, headers = await self._platform(http)
            answer = await http.get(f"{url}/{path}", headers=headers)
        except Away:
            return None
        return answer.json() if answer.status_code == 200 else None

    async def _platform(self, http: httpx.AsyncClient) -> tuple[str, dict[str, str]]:
        token = await operator_token(self.world, http)
        return f"{self.world.demo.control_plane.issuer}api/v2", {"Authorization": f"Bearer {token}"}

    async def _role(self, http: httpx.AsyncClient) -> str:
        name = f"kept {secrets.token_hex(6)}"
        headers = await self._manager(http)
        answer = await http.post(f"{self.keeper.issuer}api/v2/roles", headers=headers, json={"name": name})
        _good(answer)
        return name

    async def _roles(self, http: httpx.AsyncClient) -> set[str]:
        return set(await self._surely(lambda: self._page(http)))

    async def _page(self, http: httpx.AsyncClient) -> list[str]:
        names: list[str] = []
        for page in range(50):
            answer = await http.get(
                f"{self.keeper.issuer}api/v2/roles",
                headers=await self._manager(http),
                params={"per_page": "100", "page": str(page)},
            )
            found = [str(role["name"]) for role in _good(answer)]
            names += found
            if len(found) < 100:
                break
        return names

    async def _surely(self, ask: Callable[[], Awaitable[list[str]]]) -> list[str]:
        until = monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await ask()
            except Away:
                if monotonic() > until:
                    raise
                await asyncio.sleep(0.3)

    async def _manager(self, http: httpx.AsyncClient) -> dict[str, str]:
        machine = self.keeper.clients["m2m"]
        token = await client_credentials(
            http,
            self.keeper.issuer,
            machine.client_id,
            machine.client_secret or "",
            self.keeper.management_audience,
        )
        return {"Authorization": f"Bearer {token}"}


def _good(answer: httpx.Response) -> Any:
    assert answer.is_success, f"{answer.status_code} {answer.text}"
    return answer.json()


def _moves(operations: list[dict[str, Any]]) -> bool:
    return any(each["kind"] == "move" and each["state"] not in ENDED for each in operations)
