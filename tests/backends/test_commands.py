"""What an operator types, with a real process and real servers."""

import asyncio
import json

import pytest

from core.settings import Settings
from provisioning.backends import hrana
from tests.backends.test_tenants import creating, on_servers
from tests.engines.proxy import Fault, Kind
from tests.engines.turso import TursoPlatform
from tests.forks import command
from tests.provisioning.installations import opened

__all__ = ["on_servers"]

pytestmark = pytest.mark.libsql


def said(settings: Settings, *arguments: str, status: int = 0) -> str:
    environ = {
        "KEYSTEAD_BACKENDS_FILE": str(settings.backends_file),
        "KEYSTEAD_DATA_DIR": str(settings.data_dir),
    }
    done = command(*arguments, environ=environ)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stdout + done.stderr


def test_backends_are_listed_with_their_tenants(on_servers: Settings, turso: TursoPlatform) -> None:
    asyncio.run(creating(on_servers, "turso"))
    lines = {line.split()[0]: line for line in said(on_servers, "backends").splitlines()}
    assert set(lines) == {"sqlite", "libsql", "turso", "postgresql"}
    assert "1 tenants" in lines["turso"]
    assert "pointed to by nobody: none" in lines["turso"]
    told = {each["name"]: each for each in json.loads(said(on_servers, "backends", "--json"))}
    assert (told["turso"]["tenants"], told["turso"]["strays"], told["libsql"]["strays"]) == (1, [], None)


def test_one_that_cannot_be_asked_makes_the_command_fail(on_servers: Settings, turso: TursoPlatform) -> None:
    turso.api.inject(Fault(Kind.REFUSED, status=401), times=None)
    assert "cannot be asked" in said(on_servers, "backends", status=1)


def test_credentials_are_made_anew(on_servers: Settings) -> None:
    asyncio.run(creating(on_servers, "libsql"))

    async def reference() -> object:
        async with opened(on_servers) as platform:
            tenant = await platform.directory.by_id("acme")
            assert tenant is not None
            assert hrana.look(tenant.database.ref).identity == ("acme", tenant.database.ref.incarnation)
            return tenant.database.ref.server.secret

    before = asyncio.run(reference())
    said(on_servers, "tenant", "renew-credentials", "acme")
    assert asyncio.run(reference()) != before


def test_a_backup_of_the_past_needs_a_moment_and_a_back_end_that_remembers(on_servers: Settings) -> None:
    asyncio.run(creating(on_servers, "libsql"))
    for text in ("yesterday", "2026-01-02T03:04:05"):
        assert "with its zone" in said(on_servers, "tenant", "backup", "acme", "--as-of", text, status=2)
    refused = said(on_servers, "tenant", "backup", "acme", "--as-of", "2026-01-02T03:04:05Z", status=1)
    assert "libsql does not remember" in refused


def test_a_backends_file_with_a_mistake_stops_every_command(on_servers: Settings) -> None:
    assert on_servers.backends_file is not None
    on_servers.backends_file.write_text("[libsq]\n")
    assert "did you mean libsql" in said(on_servers, "backends", status=2)
