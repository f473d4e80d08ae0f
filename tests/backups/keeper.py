"""Who takes and restores backups through the platform API, and waits for them."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from entrypoints.network import Api
from tests.installation import Installation

ENDED = ("succeeded", "cancelled", "failed")


@dataclass(frozen=True, slots=True)
class Keeper:
    installation: Installation
    api: Api

    async def back_up(self, tenant_id: str) -> dict[str, Any]:
        done = await self.ended(await self.api.post(f"/tenants/{tenant_id}/backups"))
        assert done["state"] == "succeeded", done
        newest: dict[str, Any] = (await self.api.get(f"/tenants/{tenant_id}/backups"))[0]
        return newest

    async def restore(self, backup: dict[str, Any], **body: Any) -> dict[str, Any]:
        path = f"/tenants/{backup['tenant_id']}/backups/{backup['id']}/restore"
        return await self.ended(await self.api.post(path, body))

    async def ended(self, operation: dict[str, Any]) -> dict[str, Any]:
        for _ in range(200):
            if operation["state"] in ENDED:
                break
            await asyncio.sleep(0.05)
            operation = await self.api.get(f"/operations/{operation['id']}")
        return operation


@pytest.fixture
async def keeper(installation: Installation) -> Keeper:
    return Keeper(installation, await installation.operator())
