"""While a tenant is moved through the platform API people sign in, clients refresh, administrators write."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.controlplane.conftest import Platform, platform_of
from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
from tests.installation import Installation
from tests.moving.conftest import libsql_table, postgresql_table

pytestmark = [pytest.mark.anyio, pytest.mark.libsql, pytest.mark.postgresql]


@pytest.fixture
async def platform(
    data_dir: Path, golden: tuple[Path, Demo], sqld: Sqld, postgres: Postgres
) -> AsyncIterator[Platform]:
    (data_dir / "backends.toml").write_text(libsql_table(sqld) + postgresql_table(postgres))
    settings = settings_for(data_dir, backends_file=Path("backends.toml"), converge_seconds=60.0)
    async with serving(settings, golden[1]) as installation:
        yield await platform_of(installation)


async def move(platform: Platform, tenant_id: str, backend: str) -> None:
    answer = await platform("POST", f"/tenants/{tenant_id}/move", {"backend": backend})
    assert answer.status_code == 202, answer.text
    assert (answer.json()["kind"], answer.json()["state"]) == ("move", "succeeded"), answer.text
    assert (await platform("GET", f"/tenants/{tenant_id}")).json()["backend"] == backend


async def until(stopped: asyncio.Event, act: Callable[[], Awaitable[Any]]) -> int:
    """Again and again; whatever goes wrong is the test's failure."""
    done = 0
    while not stopped.is_set():
        await act()
        done += 1
    return done


@pytest.mark.long
async def test_nobody_notices_over_http(platform: Platform) -> None:
    installation = platform.installation
    family = await installation.relying_party("acme").sign_in()
    tokens = {"refresh": family.refresh_token}
    manager = await installation.manager("acme")
    made: list[str] = []

    async def refresh() -> None:
        answer = await installation.relying_party("acme").refresh(tokens["refresh"])
        assert answer.status == 200, answer.body
        tokens["refresh"] = answer.body.get("refresh_token", tokens["refresh"])

    async def sign_in() -> None:
        async with installation.browser() as browser:
            party = installation.relying_party("acme", http=browser)
            answer = await party.sign_in()
            assert (await party.userinfo(answer.access_token)).status_code == 200

    async def administer() -> None:
        role = await manager.post("/roles", {"name": f"role {secrets.token_hex(4)}"})
        made.append(role["id"])
        assert (await manager.get(f"/roles/{role['id']}"))["name"] == role["name"]

    async def elsewhere() -> None:
        answer = await installation.relying_party("globex").sign_in()
        assert answer.status == 200

    stopped = asyncio.Event()
    people = [asyncio.create_task(until(stopped, act)) for act in (refresh, sign_in, administer, elsewhere)]
    for backend in ("libsql", "postgresql", "sqlite"):
        await move(platform, "acme", backend)
    stopped.set()
    done = await asyncio.gather(*people)
    assert all(count > 3 for count in done), done
    held = {role["id"] for role in await _all_roles(manager)}
    assert set(made) <= held


async def _all_roles(manager: Any) -> list[Any]:
    found: list[Any] = []
    while page := await manager.get("/roles", page=len(found) // 100, per_page=100):
        found += page
        if len(page) < 100:
            break
    return found


async def test_the_control_planes_own_tenant_moves_as_others_do(platform: Platform) -> None:
    await move(platform, "control_plane", "libsql")
    await platform.made("umbrella")
    assert (await installation_sign_in(platform.installation)).status == 200
    await move(platform, "control_plane", "sqlite")
    await platform.made("tyrell")


async def installation_sign_in(installation: Installation) -> Any:
    return await installation.relying_party("acme").sign_in()


async def test_a_move_is_refused_before_anything_is_done(platform: Platform) -> None:
    async def answer(tenant: str, body: Any, **options: Any) -> tuple[int, str]:
        found = await platform("POST", f"/tenants/{tenant}/move", body, **options)
        return found.status_code, found.json().get("errorCode", "")

    assert await answer("acme", {"backend": "sqlite"}) == (409, "already_there")
    assert (await answer("acme", {"backend": "papyrus"}))[0] == 400
    assert (await answer("acme", {"backend": "libsql", "region": "moon"}))[0] == 400
    assert (await answer("acme", {}))[0] == 400
    assert (await answer("acme", {"backend": "libsql", "to": "x"}))[0] == 400
    assert (await answer("nobody", {"backend": "libsql"}))[0] == 404
    somebody = await platform.person()
    assert (await answer("acme", {"backend": "libsql"}, caller=somebody))[0] == 403
    operations = (await platform("GET", "/tenants/acme/operations")).json()
    assert "move" not in {operation["kind"] for operation in operations}
