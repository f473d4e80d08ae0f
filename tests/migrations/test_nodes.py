"""Two machines with one registry on PostgreSQL: they share a run, and what one has migrated the other serves."""

import asyncio
import secrets
import shutil
from pathlib import Path

import pytest

from controlplane.registry.schema_states import claim_tenants, record_results, state_of, versions_of_serving
from core.settings import Secret, Settings
from provisioning.installation import initialise
from provisioning.migrating.tenant import migrate
from provisioning.platform import open_platform
from tenant_runtime.configuration import configuration
from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
from tests.migrations.next_release import NEXT, THIS, next_release
from tests.provisioning.installations import create, settings_for, sql

pytestmark = [pytest.mark.anyio, pytest.mark.libsql, pytest.mark.postgresql, pytest.mark.slow]

NAMES = tuple(f"t{number}" for number in range(6))


@pytest.fixture
def machines(tmp_path: Path, postgres: Postgres, sqld: Sqld) -> tuple[Settings, Settings]:
    database = f"registry_{secrets.token_hex(6)}"
    postgres.query(f"CREATE DATABASE {database}")
    servers = tmp_path / "backends.toml"
    servers.write_text(
        f'[libsql]\nurl = "{sqld.url}"\nadmin_url = "{sqld.admin_url}"\nadmin_key = "{sqld.admin_key}"\n'
    )
    shared = {
        "registry_url": Secret(postgres.url(database)),
        "backends_file": servers,
        "default_backend": "libsql",
        "spare_keys": 0,
        "migrate": "command",
    }
    first, second = (settings_for(tmp_path / name, node=name, **shared) for name in ("one", "two"))
    return first, second


async def test_two_machines_share_a_run_and_a_late_word_is_refused(
    machines: tuple[Settings, Settings], tmp_path: Path
) -> None:
    first, second = machines
    await initialise(first, operator_email="operator@example.com", operator_password="correct horse battery")
    second.data_dir.mkdir()
    shutil.copy(first.sealing_key_file, second.sealing_key_file)
    here = await open_platform(first)
    try:
        for name in NAMES:
            await create(here, name)
    finally:
        await here.close()
    with next_release(tmp_path / "next"):
        here, there = await open_platform(first), await open_platform(second)
        try:
            run_id = await here.migrations.start()
            assert run_id is not None

            late = await here.registry.write(claim_tenants, run_id, await here.migrations.hands(), 1)
            said = await asyncio.to_thread(migrate, here.parts, late[0])
            await here.registry.write(sql("UPDATE schema_states SET lease_expires_at = 1"))
            taken = await there.registry.write(claim_tenants, run_id, await there.migrations.hands(), 1)
            assert [claim.tenant.id for claim in taken] == [late[0].tenant.id]
            lost = await here.registry.write(record_results, [said.result], here.parts.now())
            assert lost == [late[0].tenant.id], "another machine has it by now"
            assert (await here.registry.read(state_of, lost[0])).schema_version == THIS
            await there.registry.write(sql("UPDATE schema_states SET lease_expires_at = 1"))

            runs = await asyncio.gather(here.migrations.work(run_id), there.migrations.work(run_id))
            assert {run.state for run in runs} == {"succeeded"}
            assert await there.registry.read(versions_of_serving) == {NEXT: 7}
            for name in NAMES:
                tenant = await there.directory.by_id(name)
                assert tenant is not None
                assert (await configuration(tenant)).clients
        finally:
            await there.close()
            await here.close()
