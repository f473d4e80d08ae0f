"""`keystead tenant` and `keystead registry restore`, as a person types them, on the machine itself."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings
from tests.forks import command
from tests.provisioning.installations import MovableClock, create, opened, settings_for, sql

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def keystead(data: Path, *words: str, status: int = 0) -> str:
    done = command(*words, "--data", str(data))
    assert done.returncode == status, done.stderr
    return done.stdout or done.stderr


def told(data: Path, *words: str) -> Any:
    return json.loads(keystead(data, *words, "--json"))


async def test_a_tenant_is_backed_up_and_restored_while_a_process_has_it_open(settings: Settings) -> None:
    data = settings.data_dir
    async with opened(settings) as platform:
        await create(platform, "acme")
        tenant = await platform.directory.by_id("acme")
        assert tenant is not None
        clients = await tenant.database.read(sql("SELECT name FROM clients ORDER BY 1"))
        (backup,) = told(data, "tenant", "backup", "acme")
        await tenant.database.write(sql("UPDATE clients SET name = 'changed since'"))
        steps = told(data, "tenant", "restore", "acme", "--backup", backup["id"])
        assert [step["state"] for step in steps] == ["succeeded"] * 6
        assert {row["id"]: row["generation"] for row in told(data, "tenant", "list")}["acme"] == 2
        found = await platform.directory.by_id("acme")
        assert found is not None
        assert await found.database.read(sql("SELECT name FROM clients ORDER BY 1")) == clients
        assert backup["id"] in keystead(data, "tenant", "backups", "acme")


async def test_what_does_not_exist_is_said_in_a_sentence(settings: Settings) -> None:
    data = settings.data_dir
    for words in (("backups", "nobody"), ("backup", "nobody")):
        assert "does not exist" in keystead(data, "tenant", *words, status=1)
    assert "not exist" in keystead(data, "tenant", "restore", "control_plane", "--backup", "x", status=1)
    missing = str(data / "nothing")
    said = keystead(data, "tenant", "restore", "control_plane", "--file", missing, status=1)
    assert "cannot be read" in said
    assert "put it away first" in keystead(data, "registry", "restore", "--file", missing, status=1)


async def test_a_lost_machine_comes_back_from_its_backups_and_its_sealing_key(
    settings: Settings, clock: MovableClock, tmp_path: Path
) -> None:
    """The third drill of `docs/backup.md`."""
    old = settings.data_dir
    scheduled = settings_for(old, backup_every_hours=1)
    async with opened(scheduled, clock=clock) as platform:
        await create(platform, "acme")
        await platform.backup_schedule.run_due()
        clock.ahead += 3600
        assert await platform.backup_schedule.run_due() >= 3
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(old / "sealing.key", new / "sealing.key")
    carried = tmp_path / "carried"
    shutil.copytree(scheduled.backup_folder, carried)
    shutil.rmtree(old)

    def newest(folder: str) -> str:
        return str(max((carried / folder).glob("*.backup"), key=lambda path: path.stat().st_mtime_ns))

    assert "is as it was at" in keystead(new, "registry", "restore", "--file", newest("registry"))
    for tenant_id in ("control_plane", "acme"):
        restored = told(new, "tenant", "restore", tenant_id, "--file", newest(f"tenants/{tenant_id}"))
        assert {step["state"] for step in restored} == {"succeeded"}
    async with opened(settings_for(new)) as platform:
        tenant = await platform.directory.by_id("acme")
        assert tenant is not None
        await tenant.database.write(sql("UPDATE clients SET name = 'goes on'"))
        assert (await platform.lifecycle.drift("acme"))["in_sync"]
