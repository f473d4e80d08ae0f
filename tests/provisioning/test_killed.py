"""F1 and F5: the process dies between any two steps, another life finds a tenant that serves, or none."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controlplane.registry.operations import list_operations
from controlplane.registry.tenants import RegisteredTenant, find_tenant
from core.failpoints import EXIT_STATUS
from core.settings import Settings
from provisioning.converge import STEPS
from provisioning.platform import Platform
from tenant_runtime.configuration import configuration
from tests.provisioning.installations import (
    MovableClock,
    create,
    ended,
    files_in,
    in_child,
    opened,
    settings_for,
    settle,
    sql,
    start_child,
)

pytestmark = [pytest.mark.faults, pytest.mark.slow]

CREATING = [f"provision.{step}.{when}" for step in STEPS for when in ("before", "after")]
DELETING = [
    "provision.delete.organization.before",
    "provision.organization.removed",
    "provision.delete.grace.before",
    "provision.delete.key.before",
    "provision.delete.file.before",
    "backend.delete.set_aside",
    "provision.delete.tombstone.before",
    "provision.tombstone.after",
]
ROOT = Path(__file__).resolve().parents[2]


async def creating(settings: Settings) -> None:
    async with opened(settings) as platform:
        await create(platform, "acme")


async def found(platform: Platform, tenant_id: str = "acme") -> RegisteredTenant | None:
    return await platform.registry.read(find_tenant, tenant_id)


async def whole(platform: Platform) -> None:
    """The tenant serves, and everything of it is there once."""
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    assert (await configuration(tenant)).management
    assert (await platform.lifecycle.drift("acme"))["in_sync"]
    one = await platform.directory.control_plane()
    rows = await one.database.read(sql("SELECT id, name, managed_by FROM organizations"))
    assert rows == [(tenant.organization_id, "acme", "tenant")]
    folder = platform.settings.data_dir
    assert [name for name in files_in(folder) if "acme" in name] == [
        str(tenant.database.ref.path.relative_to(folder))
    ]


@pytest.mark.parametrize("place", [*CREATING, "backend.create.draft"])
def test_killed_while_creating_the_next_life_finishes_it(settings: Settings, place: str) -> None:
    assert in_child(lambda: creating(settings), f"{place}=exit") == EXIT_STATUS

    async def next_life() -> None:
        async with opened(settings) as platform:
            tenant = await found(platform)
            assert tenant is not None
            assert (await platform.directory.by_id("acme") is None) == (tenant.state != "active")
            await settle(platform)
            await whole(platform)
            operations = await platform.registry.read(list_operations, tenant_id="acme")
            assert [operation.state for operation in operations] == ["succeeded"]

    asyncio.run(next_life())


@pytest.mark.parametrize("place", CREATING[:-1])
def test_killed_while_creating_it_can_be_cancelled_and_its_id_is_free(settings: Settings, place: str) -> None:
    assert in_child(lambda: creating(settings), f"{place}=exit") == EXIT_STATUS

    async def next_life() -> None:
        async with opened(settings) as platform:
            await platform.lifecycle.delete("acme")
            await settle(platform)
            assert await found(platform) is None
            assert not [name for name in files_in(settings.data_dir) if "acme" in name]
            one = await platform.directory.control_plane()
            assert await one.database.read(sql("SELECT id FROM organizations")) == []
            await create(platform, "acme")
            await whole(platform)

    asyncio.run(next_life())


@pytest.mark.parametrize("place", DELETING)
def test_killed_while_deleting_the_next_life_finishes_it(data: Path, place: str) -> None:
    settings = settings_for(data, deletion_grace_days=0.0)
    asyncio.run(creating(settings))

    async def deleting() -> None:
        async with opened(settings) as platform:
            await platform.lifecycle.delete("acme")

    assert in_child(deleting, f"{place}=exit") == EXIT_STATUS

    async def next_life() -> None:
        async with opened(settings) as platform:
            assert await platform.directory.by_id("acme") is None
            assert await platform.directory.by_host("acme.localhost") is None
            await settle(platform)
            tenant = await found(platform)
            assert tenant is not None
            assert (tenant.state, tenant.wrapped_key) == ("deleted", None)
            assert not list(settings.data_dir.rglob("*acme*"))
            one = await platform.directory.control_plane()
            assert await one.database.read(sql("SELECT id FROM organizations")) == []

    asyncio.run(next_life())


def test_a_stopped_worker_that_wakes_up_past_its_lease_is_refused(settings: Settings) -> None:
    """F24: another has taken over, finished, and the tenant was even suspended since."""
    pid = start_child(lambda: creating(settings), "provision.organization.before=sleep:1")

    async def takes_over() -> None:
        clock = MovableClock()
        async with opened(settings, clock=clock) as platform:
            while not any("acme" in name for name in files_in(settings.data_dir)):
                await asyncio.sleep(0.01)
            os.kill(pid, signal.SIGSTOP)
            await settle(platform)
            tenant = await found(platform)
            assert tenant is not None
            assert tenant.state == "provisioning", "it is still the other's"
            clock.ahead += 60
            await settle(platform)
            await whole(platform)
            await platform.lifecycle.suspend("acme")
            os.kill(pid, signal.SIGCONT)
            assert await asyncio.to_thread(ended, pid) == 0
            tenant = await found(platform)
            assert tenant is not None
            assert tenant.state == "suspended"
            (operation,) = await platform.registry.read(list_operations, tenant_id="acme")
            assert (operation.state, operation.fencing) == ("succeeded", 2)

    asyncio.run(takes_over())


def test_a_slow_creator_whose_tenant_was_cancelled_leaves_no_file(settings: Settings) -> None:
    """F2: who cancelled it found no file yet; it appears a moment later."""
    pid = start_child(lambda: creating(settings), "backend.create.draft=sleep:2")

    async def cancels() -> None:
        async with opened(settings) as platform:
            while not await platform.registry.read(list_operations, tenant_id="acme"):
                await asyncio.sleep(0.01)
            await platform.lifecycle.delete("acme")
            assert await found(platform) is None
            assert await asyncio.to_thread(ended, pid) == 0
            await settle(platform)
            assert not [name for name in files_in(settings.data_dir) if "acme" in name]
            await create(platform, "acme")
            await whole(platform)

    asyncio.run(cancels())


def test_a_real_kill_of_a_real_process_at_any_moment_leaves_whole_tenants(data: Path) -> None:
    """`kill -9` from outside, wherever it happens to be."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'sdk'}",
        "KEYSTEAD_DATA_DIR": str(data),
        "KEYSTEAD_SPARE_KEYS": "2",
    }
    script = ROOT / "tests" / "provisioning" / "run_create.py"
    with subprocess.Popen(
        [sys.executable, str(script), "40"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        answered = [process.stdout.readline().strip() for _ in range(3)]
        time.sleep(0.13)
        process.send_signal(signal.SIGKILL)
        answered += [line.strip() for line in process.stdout if line.endswith("\n")]
        assert process.wait() == -signal.SIGKILL

    async def next_life() -> None:
        async with opened(settings_for(data)) as platform:
            await settle(platform)
            for name in answered:
                assert await platform.directory.by_id(name) is not None, name
            rows = await platform.registry.read(
                sql("SELECT id, state FROM tenants WHERE NOT is_control_plane")
            )
            assert {state for _, state in rows} == {"active"}
            one = await platform.directory.control_plane()
            organizations = await one.database.read(sql("SELECT name FROM organizations"))
            assert sorted(name for (name,) in organizations) == sorted(id for id, _ in rows)
            assert len([name for name in files_in(data) if name.startswith("tenants/")]) == len(rows) + 1

    asyncio.run(next_life())


def test_the_script_dies_at_the_failpoint_that_the_environment_names(data: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'sdk'}",
        "KEYSTEAD_DATA_DIR": str(data),
        "KEYSTEAD_FAILPOINTS": "provision.catalogue.after=exit@2",
    }
    script = ROOT / "tests" / "provisioning" / "run_create.py"
    done = subprocess.run(
        [sys.executable, str(script), "3"], env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (EXIT_STATUS, ["t0"])
