"""What was replaced holds everything of its tenant's people: it goes when its time is over, whatever else is broken."""

from pathlib import Path

import msgspec
import pytest

from controlplane.registry.retired import insert_retired, retired_of_tenant
from provisioning import replacing
from provisioning.platform import Platform
from tests.backups.test_replacing import replaced
from tests.provisioning.installations import MovableClock, create

pytestmark = pytest.mark.anyio


async def test_a_back_end_that_is_gone_keeps_no_other_database_from_being_deleted(
    platform: Platform, clock: MovableClock, tmp_path: Path
) -> None:
    await create(platform, "acme")
    old, _ = await replaced(platform, tmp_path)
    held = (await platform.registry.read(retired_of_tenant, "acme"))[0]
    gone = msgspec.structs.replace(held, generation=held.generation + 7, backend="gone", delete_after=1)
    await platform.registry.write(insert_retired, gone)
    clock.ahead += 3601
    assert await replacing.sweep(platform.parts) == 1
    assert not (platform.settings.data_dir / old.location).exists()
    left = await platform.registry.read(retired_of_tenant, "acme")
    assert [each.backend for each in left] == ["gone"]
    assert left[0].delete_after > platform.parts.now()
