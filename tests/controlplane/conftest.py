import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.operators import Caller, Person, give_roles, machine_token, make_user, operator_token


@dataclass(frozen=True)
class Platform:
    """The platform API of an installation, and how to become somebody there."""

    installation: Installation
    machine: Caller

    @property
    def issuer(self) -> str:
        return self.installation.demo.control_plane.issuer

    async def __call__(
        self, method: str, path: str, body: Any = None, *, caller: Caller | None = None, **options: Any
    ) -> httpx.Response:
        return await (caller or self.machine).call(method, f"{self.issuer}api/v2{path}", body, **options)

    async def made(self, tenant_id: str, **values: Any) -> dict[str, Any]:
        response = await self("POST", "/tenants", {"id": tenant_id, **values})
        assert response.status_code == 201, response.text
        tenant: dict[str, Any] = response.json()
        return tenant

    async def person(self, *roles: str, organization: str | None = None, **values: Any) -> Person:
        """Somebody new on tenant one, signed in at the console."""
        assert self.machine.token is not None
        user_id, user = await make_user(self.installation, self.issuer, self.machine.token, **values)
        if roles:
            await give_roles(self.installation, self.issuer, self.machine.token, user_id, roles)
        token = await operator_token(self.installation, user, organization)
        return Person(self.installation.http, token, user_id, user)

    async def join(self, tenant: dict[str, Any], user_id: str) -> None:
        path = f"/organizations/{tenant['organization_id']}/members"
        assert (await self("POST", path, {"members": [user_id]})).status_code == 204


async def platform_of(installation: Installation) -> Platform:
    plane = installation.demo.control_plane
    token = await machine_token(
        installation.http, plane.issuer, plane.clients["m2m"], plane.management_audience
    )
    return Platform(installation, Caller(installation.http, token))


@pytest.fixture(scope="module")
async def platform(shared: Installation) -> Platform:
    return await platform_of(shared)


@pytest.fixture
async def fresh(installation: Installation) -> Platform:
    return await platform_of(installation)


@pytest.fixture
async def open_to_all(data_dir: Path, golden: tuple[Path, Demo]) -> AsyncIterator[Platform]:
    """Self-service sign-up of tenants is on."""
    async with serving(settings_for(data_dir, tenant_signup=True), golden[1]) as installation:
        yield await platform_of(installation)


@pytest.fixture(scope="module")
async def plane(
    golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """With self-service: its people and tenants are new in each test."""
    copy = tmp_path_factory.mktemp("self-service") / "data"
    shutil.copytree(golden[0], copy)
    settings = settings_for(copy, tenant_signup=True, default_member_roles=("Tenant Member",))
    async with serving(settings, golden[1]) as installation:
        yield await platform_of(installation)
