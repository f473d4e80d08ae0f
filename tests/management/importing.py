"""Files of users, and a caller that sends them and waits until the job is over."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.installation import Installation


@dataclass(frozen=True, slots=True)
class Importer:
    """The tenant's own machine client, with every permission, unless a token is given."""

    http: httpx.AsyncClient
    base: str
    token: str
    connection_id: str
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def of(cls, installation: Installation, tenant_id: str = "acme", **changes: Any) -> "Importer":
        tenant = installation.tenant(tenant_id)
        api = await installation.manager(tenant_id)
        users = await api.get("/users", per_page=1)
        assert users
        connection_id = await _database(installation, tenant_id)
        values = {"token": api._headers["Authorization"].removeprefix("Bearer "), **changes}
        return cls(installation.http, f"{tenant.issuer}api/v2", connection_id=connection_id, **values)

    async def send(self, users: Sequence[Any] | bytes, **fields: Any) -> httpx.Response:
        content = users if isinstance(users, bytes) else json.dumps(users).encode()
        form = {"connection_id": self.connection_id, **fields}
        return await self.http.post(
            f"{self.base}/jobs/users-imports",
            data={name: value for name, value in form.items() if value is not None},
            files={"users": ("users.json", content, "application/json")},
            headers={"Authorization": f"Bearer {self.token}", **self.headers},
            timeout=120,
        )

    async def run(self, users: Sequence[Any] | bytes, **fields: Any) -> dict[str, Any]:
        answer = await self.send(users, **fields)
        assert answer.status_code == 202, answer.text
        return await self.ended(answer.json()["id"])

    async def ended(self, job_id: str, seconds: float = 30) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while True:
                job: dict[str, Any] = (await self.get(f"/jobs/{job_id}")).json()
                if job["status"] in ("completed", "failed"):
                    return job
                await asyncio.sleep(0.02)

    async def get(self, path: str, **query: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return await self.http.get(f"{self.base}{path}", params=query or None, headers=headers)

    async def post(self, path: str, body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **self.headers}
        return await self.http.post(f"{self.base}{path}", json=body, headers=headers)

    async def errors(self, job_id: str) -> list[dict[str, Any]]:
        answer = await self.get(f"/jobs/{job_id}/errors")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    async def user(self, email: str) -> dict[str, Any]:
        [user] = (await self.get("/users-by-email", email=email)).json()
        found: dict[str, Any] = user
        return found


async def _database(installation: Installation, tenant_id: str) -> str:
    tenant = await installation.running.platform.directory.by_id(tenant_id)
    assert tenant is not None
    return await tenant.database.read(
        lambda connection: str(
            connection.exec_driver_sql("SELECT id FROM connections WHERE strategy = 'auth0'").scalar_one()
        )
    )
