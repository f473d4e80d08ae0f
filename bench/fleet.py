"""An installation with a catalogue and many tenants, all made through the platform API."""

import time
from dataclasses import dataclass
from typing import Any

import msgspec

from bench.installation import Installation, few_at_a_time, web
from bench.wire import Answer, Connection, request
from entrypoints.network import Api

APIS, SCOPES, ROLES, PERMISSIONS = 10, 20, 10, 20
JSON = "application/json"
CREATING_AT_ONCE = 4


class SyncState(msgspec.Struct):
    lagging: int
    tenants: int
    wanted: int | None


class FleetState(msgspec.Struct):
    sync: SyncState


_fleet_state = msgspec.json.Decoder(FleetState).decode


@dataclass(slots=True)
class Fleet:
    """Tenants `bench-00000` and up, and a token of the control plane's machine client."""

    installation: Installation
    token: str
    role: str
    permissions: list[dict[str, str]]
    size: int = 0
    """How many tenants there are, those of the demo included."""

    made: int = 0

    def call(self, method: str, path: str, body: Any = None, *, host: str = "") -> bytes:
        content = b"" if body is None else msgspec.json.encode(body)
        return request(
            method,
            host or self.installation.control_plane_host,
            path,
            headers={"authorization": f"Bearer {self.token}"},
            body=content,
            kind=JSON if content else "",
        )

    @property
    def hosts(self) -> list[str]:
        return [self.installation.host(tenant_id(number)) for number in range(self.made)]

    async def connect(self) -> Connection:
        return await Connection.open(self.installation.port)

    async def create(self, connection: Connection) -> float:
        """One more tenant; answers the seconds it took."""
        body = {"id": tenant_id(self.made)}
        self.made += 1
        began = time.perf_counter()
        answer = await connection.expect(201, self.call("POST", "/api/v2/tenants", body))
        if b'"active"' not in answer.body:
            await self._await_active(connection, body["id"])
        self.size += 1
        return time.perf_counter() - began

    async def grow(self, size: int) -> None:
        connections = [await self.connect() for _ in range(CREATING_AT_ONCE)]
        free = list(connections)

        async def one() -> None:
            connection = free.pop()
            try:
                await self.create(connection)
            finally:
                free.append(connection)

        await few_at_a_time([one() for _ in range(size - self.size)], CREATING_AT_ONCE)
        for connection in connections:
            connection.close()

    async def state(self, connection: Connection) -> SyncState:
        answer = await connection.expect(200, self.call("GET", "/api/v2/fleet"))
        return _fleet_state(answer.body).sync

    async def _await_active(self, connection: Connection, id: str) -> None:
        """Its creation outlived the request's time limit, and goes on behind it."""
        deadline = time.monotonic() + 60
        answer: Answer | None = None
        while time.monotonic() < deadline:
            answer = await connection.expect(200, self.call("GET", f"/api/v2/tenants/{id}"))
            if b'"active"' in answer.body:
                return
        raise RuntimeError(f"tenant {id} is not active after a minute: {answer and answer.body!r}")


def tenant_id(number: int) -> str:
    return f"bench-{number:05d}"


async def share_a_catalogue(installation: Installation) -> Fleet:
    """10 APIs with 20 scopes and 10 roles with 20 permissions each."""
    async with installation.platform() as platform, web() as http:
        permissions = [await _share_an_api(platform, number) for number in range(APIS)]
        roles = [await _share_a_role(platform, number, permissions[number]) for number in range(ROLES)]
        token = await installation.platform_token(http)
    return Fleet(installation, token, roles[0], permissions[0], size=len(installation.demo.tenants))


async def _share_an_api(platform: Api, number: int) -> list[dict[str, str]]:
    identifier = f"https://api-{number}.bench.example"
    values = [f"do:thing-{each}" for each in range(SCOPES)]
    body = {
        "name": f"API {number}",
        "identifier": identifier,
        "scopes": [{"value": value, "description": f"Allows to {value}"} for value in values],
    }
    await platform.post("/resource-servers", body)
    return [{"resource_server_identifier": identifier, "permission_name": value} for value in values]


async def _share_a_role(platform: Api, number: int, permissions: list[dict[str, str]]) -> str:
    role = await platform.post("/roles", {"name": f"Bench role {number}"})
    await platform.post(f"/roles/{role['id']}/permissions", {"permissions": permissions[:PERMISSIONS]})
    return str(role["id"])
