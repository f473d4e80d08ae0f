"""A file in the backup folder counts as what it says it is, and no further than that."""

from pathlib import Path

import pytest

from controlplane.registry.backups import BackupRecord, list_backups
from controlplane.registry.operations import get_operation
from controlplane.registry.tenants import get_tenant
from core.tenants import RestoreOrder
from provisioning.backups.stored import Heading, InvalidBackup, read_backup, write_backup
from provisioning.backups.taking import path_of
from provisioning.platform import Platform
from tests.provisioning.installations import create

pytestmark = pytest.mark.anyio

KEY = b"k" * 32


async def taken(platform: Platform) -> BackupRecord:
    await platform.backups.take("acme")
    return (await platform.registry.read(list_backups, "acme"))[0]


async def test_an_older_backup_under_a_newer_ones_name_is_not_restored(platform: Platform) -> None:
    """The tenant's own and whole, so its seal is good: it would bring back who was let in then."""
    await create(platform, "acme")
    older, newer = await taken(platform), await taken(platform)
    path_of(platform.parts, newer).write_bytes(path_of(platform.parts, older).read_bytes())
    operation_id = await platform.backups.restore("acme", RestoreOrder(backup_id=newer.id))
    done = await platform.registry.read(get_operation, operation_id)
    assert (done.state, "damaged" in (done.error or "")) == ("cancelled", True)
    assert (await platform.registry.read(get_tenant, "acme")).generation == 1


def test_no_more_is_unpacked_than_the_backup_says_it_holds(tmp_path: Path) -> None:
    content, target = tmp_path / "content", tmp_path / "target"
    content.write_bytes(bytes(64 << 20))
    heading = Heading(
        id="bak_1",
        owner="acme",
        taken_at=1,
        backend="sqlite",
        incarnation="inc_1",
        generation=1,
        schema_version="0004",
        size=4096,
        digest="0" * 64,
    )
    write_backup(tmp_path / "bomb", KEY, heading, content)
    with pytest.raises(InvalidBackup):
        read_backup(tmp_path / "bomb", KEY, target)
    assert target.stat().st_size <= 4096
