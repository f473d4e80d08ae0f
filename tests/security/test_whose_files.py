"""What lies in the data folder and among the backups is read by nobody else on the machine."""

import asyncio
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.registry.backups import list_backups
from controlplane.registry.operations import get_operation
from core.settings import Settings
from core.tenants import RestoreOrder
from provisioning.backups.registry import restore_registry
from provisioning.backups.taking import take_registry
from tests.engines.registries import IS_SHARED
from tests.provisioning.installations import create, opened

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def others_may_read() -> Iterator[None]:
    """As most machines are set up."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def readable(folder: Path) -> list[str]:
    return [
        f"{path} {stat.filemode(path.stat().st_mode)}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_mode & 0o077 and _is_reached(path, folder)
    ]


def _is_reached(path: Path, folder: Path) -> bool:
    """Whether every folder on the way lets others in."""
    within = [parent for parent in path.parents if parent.is_relative_to(folder)]
    return all(parent.stat().st_mode & 0o001 for parent in within)


async def test_backups_restores_and_moves_leave_no_file_that_others_may_read(
    settings: Settings, tmp_path: Path
) -> None:
    vault = tmp_path / "disk" / "vault"
    async with opened(replace(settings, backup_folder=vault)) as platform:
        await create(platform, "acme")
        await platform.backups.take("acme")
        backup = (await platform.registry.read(list_backups, "acme"))[0]
        done = await platform.backups.restore("acme", RestoreOrder(backup_id=backup.id))
        assert (await platform.registry.read(get_operation, done)).state == "succeeded"
        if platform.settings.registry_url is None:
            take_registry(platform.parts, "bak_registry", "manual")
        assert readable(platform.settings.data_dir) == []
    assert vault.stat().st_mode & 0o077 == 0
    assert readable(vault) == []


@pytest.mark.skipif(IS_SHARED, reason="such a registry is a database of a server, and is backed up there")
def test_a_registry_that_is_restored_is_nobody_elses(settings: Settings, tmp_path: Path) -> None:
    async def back_up() -> None:
        async with opened(settings) as platform:
            take_registry(platform.parts, "bak_registry", "manual")

    asyncio.run(back_up())
    (settings.data_dir / "registry.db").unlink()
    restore_registry(settings, settings.backup_folder / "registry" / "bak_registry.backup")
    assert readable(settings.data_dir) == []
