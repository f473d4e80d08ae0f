"""Destroying a tenant's data key destroys it: no machine's memory of the directory keeps a copy."""

import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.directory_copy import DirectoryCopy
from controlplane.registry.tenants import get_tenant
from core.settings import Secret, Settings
from provisioning.installation import initialise
from provisioning.platform import Platform
from provisioning.registry_opening import FOLDER
from tests.engines.postgres import Postgres
from tests.provisioning.installations import OPERATOR, PASSWORD, create, opened, settings_for, settle

pytestmark = [pytest.mark.anyio, pytest.mark.postgresql]

NAMES = ("id:acme", "host:acme.localhost")


@pytest.fixture
async def several_nodes(tmp_path: Path, postgres: Postgres) -> Settings:
    database = f"registry_{secrets.token_hex(6)}"
    postgres.query(f"CREATE DATABASE {database}")
    settings = settings_for(
        tmp_path / "data", registry_url=Secret(postgres.url(database)), deletion_grace_days=0.0
    )
    await initialise(settings, operator_email=OPERATOR, operator_password=PASSWORD, one_node=True)
    return settings


async def looked_up(platform: Platform) -> None:
    await platform.directory.by_id("acme")
    await platform.directory.by_host("acme.localhost")


async def test_the_key_of_a_destroyed_tenant_is_in_no_copy_of_the_directory(several_nodes: Settings) -> None:
    async with opened(several_nodes) as platform:
        copy = DirectoryCopy(several_nodes.data_dir / FOLDER, platform.key)
        await create(platform, "acme")
        await looked_up(platform)
        for name in NAMES:
            entry = copy.find(name)
            assert entry is not None
            assert entry.tenant is not None
            assert entry.tenant.wrapped_key is not None
        await platform.lifecycle.delete("acme")
        await settle(platform)
        assert (await platform.registry.read(get_tenant, "acme")).wrapped_key is None
        await platform.directory.forget_destroyed()
        assert [copy.find(name) for name in NAMES] == [None, None]
        assert copy.find("one") is not None


async def test_of_a_tenant_that_is_being_deleted_the_copy_says_only_that(several_nodes: Settings) -> None:
    """Its grace has not ended yet; what this machine remembers opens nothing all the same."""
    async with opened(replace(several_nodes, deletion_grace_days=7.0)) as platform:
        copy = DirectoryCopy(several_nodes.data_dir / FOLDER, platform.key)
        await create(platform, "acme")
        await looked_up(platform)
        await platform.lifecycle.delete("acme")
        await looked_up(platform)
        for name in NAMES:
            entry = copy.find(name)
            assert entry is not None
            assert entry.tenant is None or (entry.tenant.wrapped_key, entry.tenant.credentials) == (
                None,
                None,
            )
