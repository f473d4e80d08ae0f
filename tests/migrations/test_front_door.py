"""An upgrade as customers meet it: whoever is one release behind is served, migrated in passing, or left alone."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

import migrations
from core import failpoints
from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.controlplane.conftest import Platform, platform_of
from tests.installation import Installation
from tests.migrations.behind import BEFORE, demo_of_an_earlier_release, file_of
from tests.migrations.older import mend, poison, version_in
from tests.waiting import until

pytestmark = pytest.mark.anyio

HEAD = migrations.head("tenant")
TENANTS = ("acme", "globex", "initech")


@pytest.fixture(autouse=True)
def no_failpoints() -> Any:
    yield
    failpoints.configure("")


@asynccontextmanager
async def upgraded(
    golden: tuple[Path, Demo], folder: Path, *, version: str = BEFORE, held: bool = False, **settings: Any
) -> AsyncIterator[Platform]:
    """This release, started on what an earlier one left."""
    data = demo_of_an_earlier_release(golden, folder / "data", version=version, held=held)
    chosen = settings_for(data, **{"migrate": "command", **settings})
    async with serving(chosen, golden[1]) as installation:
        yield await platform_of(installation)


def data_of(platform: Platform) -> Path:
    return platform.installation.app.settings.data_dir


def version_of(platform: Platform, tenant_id: str) -> str:
    return version_in(file_of(data_of(platform), tenant_id))


async def main_line(installation: Installation, tenant_id: str) -> None:
    """Everything that people and programs do most, each step with the outcome it promises."""
    rp = installation.relying_party(tenant_id)
    tenant = installation.tenant(tenant_id)
    first = await rp.sign_in(scope="openid profile email offline_access")
    assert first.status == 200
    refreshed = await rp.refresh(first.refresh_token)
    assert (refreshed.status, refreshed.claims["sub"]) == (200, first.claims["sub"])
    assert (await rp.userinfo(refreshed.access_token)).status_code == 200
    organization = tenant.organizations[0].id
    switched = await rp.refresh(refreshed.refresh_token, organization=organization)
    assert switched.claims["org_id"] == organization
    assert "code" in await rp.silent()
    keys = await installation.http.get(f"{tenant.issuer}.well-known/jwks.json")
    assert keys.json()["keys"]

    manager = await installation.manager(tenant_id)
    role = await manager.post("/roles", {"name": "Tester", "description": "tests"})
    made = await manager.post(
        "/users",
        {
            "connection": "Username-Password-Authentication",
            "email": "new@people.example",
            "password": "a long and unrelated sentence",
        },
    )
    await manager.post(f"/users/{made['user_id']}/roles", {"roles": [role["id"]]})
    found = await manager.get("/users", q='email:"new@people.example"', search_engine="v3")
    assert [user["user_id"] for user in found] == [made["user_id"]]
    client = await manager.post("/clients", {"name": "Another", "app_type": "spa"})
    assert (await manager.get(f"/clients/{client['client_id']}"))["name"] == "Another"
    team = await manager.post("/organizations", {"name": "team", "display_name": "Team"})
    await manager.post(f"/organizations/{team['id']}/members", {"members": [made["user_id"]]})
    members = await manager.get(f"/organizations/{team['id']}/members")
    assert [member["user_id"] for member in members] == [made["user_id"]]
    await manager.delete(f"/users/{made['user_id']}")
    await manager.delete(f"/roles/{role['id']}")

    out = await installation.http.get(
        f"{tenant.issuer}oidc/logout", params={"id_token_hint": first.body["id_token"]}
    )
    assert out.status_code == 200
    assert (await rp.silent())["error"] == "login_required"


async def test_a_tenant_one_release_behind_goes_through_the_main_line_and_stays_where_it_is(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with upgraded(golden, tmp_path, held=True) as platform:
        await main_line(platform.installation, "acme")
        assert version_of(platform, "acme") == BEFORE
        shown = (await platform("GET", "/tenants/acme")).json()
        assert shown["schema_version"] == BEFORE
        assert (await platform("POST", "/roles", {"name": "Shared later"})).status_code == 201
        await main_line(platform.installation, "globex")
        assert (await platform("GET", "/tenants/globex/drift")).json()["in_sync"]
        assert version_of(platform, "globex") == BEFORE


async def test_the_first_request_migrates_its_tenant_and_nobody_elses_once_for_all_who_wait(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with upgraded(golden, tmp_path) as platform:
        failpoints.configure("migrate.commit.before=sleep:0.1")
        http, issuer = platform.installation.http, platform.installation.tenant("acme").issuer
        answers = await asyncio.gather(*(http.get(f"{issuer}.well-known/jwks.json") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}

        async def is_migrated() -> bool:
            return version_of(platform, "acme") == HEAD

        await until(is_migrated)
        assert version_of(platform, "globex") == BEFORE
        assert len(list((data_of(platform) / "snapshots").iterdir())) == 1
        await main_line(platform.installation, "acme")
        assert (await platform("GET", "/tenants/acme")).json()["schema_version"] == HEAD


async def test_a_migration_that_takes_long_is_not_waited_for(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with upgraded(golden, tmp_path, patience_seconds=0.25) as platform:
        failpoints.configure("migrate.commit.before=sleep:5")
        http, issuer = platform.installation.http, platform.installation.tenant("acme").issuer
        assert (await http.get(f"{issuer}.well-known/jwks.json")).status_code == 200
        assert version_of(platform, "acme") == BEFORE, "it was answered before the migration was through"

        async def is_migrated() -> bool:
            return version_of(platform, "acme") == HEAD

        await until(is_migrated)


async def test_a_tenant_two_releases_behind_is_migrated_before_it_is_served(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with upgraded(golden, tmp_path, version="0002", patience_seconds=0.25) as platform:
        failpoints.configure("migrate.commit.before=sleep:2")
        http, issuer = platform.installation.http, platform.installation.tenant("acme").issuer
        refused = await http.get(f"{issuer}authorize", params={"client_id": "x"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")

        async def is_migrated() -> bool:
            return version_of(platform, "acme") == HEAD

        await until(is_migrated)
        failpoints.configure("")
        await main_line(platform.installation, "acme")


async def test_requests_migrate_nobody_while_something_has_failed(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with upgraded(golden, tmp_path) as platform:
        installation = platform.installation
        poison(file_of(data_of(platform), "acme"))
        await main_line(installation, "acme")
        assert version_of(platform, "acme") == BEFORE
        await main_line(installation, "globex")
        assert version_of(platform, "globex") == BEFORE, "another tenant's failure is looked at first"
        fleet = (await platform("GET", "/fleet")).json()
        assert [(item["id"], item["state"]) for item in fleet["attention"]] == [("acme", "migration_failed")]


async def test_the_servers_do_what_the_platform_api_asks_and_say_degraded_while_it_is_stopped(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with upgraded(golden, tmp_path) as platform:
        data = data_of(platform)
        for tenant_id in TENANTS:
            poison(file_of(data, tenant_id))
        planned = (await platform("POST", "/fleet/migrations", {"dry_run": True})).json()
        assert planned == {"dry_run": True, "target": HEAD, "tenants": 3, "waves": [1, 2]}
        started = await platform("POST", "/fleet/migrations", {})
        assert started.status_code == 202
        run = started.json()["migration"]
        path = f"/fleet/migrations/{run['id']}"

        async def has(state: str) -> bool:
            return bool((await platform("GET", path)).json()["state"] == state)

        await until(lambda: has("stopped"))
        stopped = (await platform("GET", path)).json()
        assert (stopped["wave"], stopped["reason"]) == (1, "One tenant of wave 1 failed.")
        assert (stopped["tenants"]["failed"], stopped["tenants"]["pending"]) == (1, 2)
        failed = (await platform("GET", "/fleet/schemas", only="failed")).json()
        assert len(failed) == 1
        assert failed[0]["error"]
        fleet = (await platform("GET", "/fleet")).json()
        assert fleet["schema"]["versions"] == {BEFORE: 3, HEAD: 1}
        assert fleet["attention"][0]["state"] == "migration_failed"

        async def is_degraded() -> bool:
            answer = await platform.installation.http.get("http://localhost:8000/health")
            return bool(answer.json()["status"] == "degraded")

        await until(is_degraded)

        for tenant_id in TENANTS:
            mend(file_of(data, tenant_id))
        assert (await platform("POST", f"{path}/resume", {"retry": True})).json()["state"] == "running"
        await until(lambda: has("succeeded"))
        assert (await platform("GET", "/fleet")).json()["attention"] == []
        assert (await platform("POST", f"{path}/resume", {})).status_code == 409
        assert (await platform("POST", f"{path}/stop", {"reason": "late"})).status_code == 409
        assert (await platform("GET", "/fleet/migrations/mig_nothing")).status_code == 404
        assert [item["id"] for item in (await platform("GET", "/fleet/migrations")).json()] == [run["id"]]

        back = await platform("POST", "/tenants/globex/schema/rollback")
        assert (back.json()["schema_version"], back.json()["held"]) == (BEFORE, "rolled back")
        operation = (await platform("GET", f"/operations/{back.json()['operation_id']}")).json()
        assert operation["state"] == "succeeded"
        await main_line(platform.installation, "globex")
        assert version_of(platform, "globex") == BEFORE
        assert (await platform("GET", "/fleet/schemas", only="held")).json()[0]["tenant_id"] == "globex"
        assert (await platform("POST", "/tenants/globex/schema/release")).json()["held"] is None

        async def is_migrated_in_passing() -> bool:
            issuer = platform.installation.tenant("globex").issuer
            keys = await platform.installation.http.get(f"{issuer}.well-known/jwks.json")
            return keys.status_code == 200 and version_of(platform, "globex") == HEAD

        await until(is_migrated_in_passing)


async def test_steering_needs_the_platform_permission_and_a_reason(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with upgraded(golden, tmp_path) as platform:
        assert (await platform("POST", "/tenants/acme/schema/hold", {})).status_code == 400
        assert (await platform("POST", "/tenants/acme/schema/hold", {"reason": ""})).status_code == 400
        assert (await platform("POST", "/tenants/nobody/schema/hold", {"reason": "x"})).status_code == 404
        held = await platform("POST", "/tenants/acme/schema/hold", {"reason": "x"})
        assert held.json()["held"] == "x"
        assert (
            await platform("POST", "/tenants/control_plane/schema/hold", {"reason": "x"})
        ).status_code == 409
        assert (await platform("POST", "/tenants/acme/schema/rollback")).json()["errorCode"] == "no_snapshot"
        assert (await platform("GET", "/fleet/schemas", only="odd")).status_code == 400
        somebody = await platform.person()
        for method, path, body in (
            ("GET", "/fleet/schemas", None),
            ("POST", "/fleet/migrations", {}),
            ("POST", "/tenants/acme/schema/rollback", None),
        ):
            assert (await platform(method, path, body, caller=somebody)).status_code == 403


async def test_a_server_that_may_begins_a_run_by_itself_and_starts_none_while_one_has_stopped(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with upgraded(golden, tmp_path, migrate="background") as platform:

        async def is_done() -> bool:
            fleet = (await platform("GET", "/fleet")).json()
            return bool(fleet["schema"]["versions"] == {HEAD: 4})

        await until(is_done)
    other = tmp_path / "other"
    data = demo_of_an_earlier_release(golden, other / "data")
    for tenant_id in TENANTS:
        poison(file_of(data, tenant_id))
    for _ in range(2):
        async with serving(settings_for(data, migrate="background"), golden[1]) as installation:
            platform = await platform_of(installation)

            async def has_stopped(of: Platform = platform) -> bool:
                run = (await of("GET", "/fleet")).json()["schema"]["migration"]
                return run is not None and run["state"] == "stopped"

            await until(has_stopped)
            assert len((await platform("GET", "/fleet/migrations")).json()) == 1
    with closing(sqlite3.connect(data / "registry.db")) as registry:
        failed = registry.execute("SELECT count(*) FROM schema_states WHERE state = 'failed'").fetchone()
    assert failed == (1,), "the second life left the others alone"
