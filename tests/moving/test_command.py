"""`keystead tenant move`, in a process of its own, while another one serves the tenant."""

import asyncio
from pathlib import Path

import pytest

from controlplane.registry.tenants import get_tenant
from provisioning.platform import Platform
from tests.forks import command
from tests.moving.load import fill, under_load
from tests.moving.test_moving import database_of
from tests.provisioning.installations import create

pytestmark = [pytest.mark.libsql, pytest.mark.postgresql]


async def keystead(folder: Path, *words: str) -> tuple[int, str, str]:
    environ = {"KEYSTEAD_BACKENDS_FILE": "backends.toml"}
    done = await asyncio.to_thread(command, *words, "--data", str(folder), environ=environ)
    return done.returncode, done.stdout, done.stderr


async def test_who_serves_the_tenant_in_another_process_follows_without_an_error(platform: Platform) -> None:
    folder = platform.settings.data_dir
    await create(platform, "acme")
    await (await database_of(platform, "acme")).write(fill, 0, 1_000)
    async with under_load(platform, "acme", writers=2, pause=0.03) as load:
        for backend in ("postgresql", "sqlite"):
            status, output, errors = await keystead(folder, "tenant", "move", "acme", "--to", backend)
            assert (status, errors) == (0, ""), output
            assert "paused_ms" in output
            assert (await platform.registry.read(get_tenant, "acme")).backend == backend
    await load.check(await database_of(platform, "acme"))


async def test_what_is_refused_is_said_in_a_sentence(platform: Platform) -> None:
    folder = platform.settings.data_dir
    await create(platform, "acme")
    for tenant, backend, sentence in (
        ("acme", "papyrus", "There is no database backend named 'papyrus'."),
        ("acme", "sqlite", "The tenant's database is there already."),
    ):
        status, _, errors = await keystead(folder, "tenant", "move", tenant, "--to", backend)
        assert status == 1
        assert sentence in errors
