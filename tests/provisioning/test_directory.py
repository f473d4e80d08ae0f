"""Hosts and ids: exactly the tenant they name, or nobody."""

from pathlib import Path

import pytest

from controlplane.directory import RegistryDirectory
from core.errors import Unavailable
from core.settings import Settings
from core.tenants import TenantState
from provisioning.platform import Platform
from tests.provisioning.installations import create, opened, settings_for, sql

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "host",
    [
        "acme.localhost.evil.example",
        "evilacme.localhost",
        "a.acme.localhost",
        "acme",
        "localhost.localhost",
        "www.localhost",
        "control_plane.localhost",
        "control-plane.localhost",
        "acme.example.com",
        "",
        ".localhost",
    ],
)
async def test_a_host_that_is_not_exactly_a_tenants_is_nobodys(platform: Platform, host: str) -> None:
    await create(platform, "acme")
    assert await platform.directory.by_host(host) is None


async def test_the_control_planes_host_is_tenant_one(platform: Platform) -> None:
    tenant = await platform.directory.by_host("localhost")
    assert tenant is not None
    assert tenant.is_control_plane
    assert tenant.issuer == "http://localhost:8000/"
    assert await platform.directory.by_id("control_plane") == tenant


async def test_a_change_by_another_process_shows_at_the_next_look(settings: Settings) -> None:
    async with opened(settings) as first, opened(settings) as second:
        await create(first, "acme")
        seen = await second.directory.by_host("acme.localhost")
        assert seen is not None
        await first.lifecycle.suspend("acme")
        suspended = await second.directory.by_host("acme.localhost")
        assert suspended is not None
        assert suspended.state is TenantState.SUSPENDED
        await first.lifecycle.delete("acme")
        assert await second.directory.by_host("acme.localhost") is None


async def test_an_unknown_host_is_looked_up_again_after_somebody_took_it(platform: Platform) -> None:
    assert await platform.directory.by_host("acme.localhost") is None
    await create(platform, "acme")
    assert await platform.directory.by_host("acme.localhost") is not None


async def test_the_same_tenant_is_kept_while_its_row_does_not_change(platform: Platform) -> None:
    await create(platform, "acme")
    before = await platform.directory.by_host("acme.localhost")
    await create(platform, "globex")
    assert await platform.directory.by_host("acme.localhost") is before


async def test_only_a_verified_custom_domain_resolves_and_it_is_the_issuer(platform: Platform) -> None:
    await create(platform, "acme")
    add = "INSERT INTO hosts (host, tenant_id, origin, verified_at, created_at) VALUES (:host, 'acme', :origin, :at, 1)"
    for host, at in (("login.acme.example", 5), ("unverified.acme.example", None)):
        await platform.registry.write(sql(add, host=host, origin=f"https://{host}", at=at))
    tenant = await platform.directory.by_host("login.acme.example")
    assert tenant is not None
    assert (tenant.id, tenant.issuer) == ("acme", "https://login.acme.example/")
    assert tenant.issuers == {"https://login.acme.example/", "http://acme.localhost:8000/"}
    assert await platform.directory.by_host("unverified.acme.example") is None
    own = await platform.directory.by_host("acme.localhost")
    assert own is not None
    assert own.issuer == "http://acme.localhost:8000/"


async def test_an_installations_own_rule_names_the_tenant_of_a_label(data: Path) -> None:
    async def resolver(label: str) -> str | None:
        return {"brand": "acme", "one": "control_plane"}.get(label)

    async with opened(settings_for(data), label_resolver=resolver) as platform:
        await create(platform, "acme")
        tenant = await platform.directory.by_host("brand.localhost")
        assert tenant is not None
        assert tenant.id == "acme"
        assert await platform.directory.by_host("acme.localhost") is None
        assert await platform.directory.by_host("one.localhost") is None


async def test_with_the_registry_away_known_hosts_go_on_and_unknown_ones_are_unavailable(
    platform: Platform,
) -> None:
    await create(platform, "acme")
    known = await platform.directory.by_host("acme.localhost")
    path = platform.settings.data_dir / "registry.db"
    path.rename(path.with_name("away"))
    with pytest.raises(Unavailable):
        await platform.directory.by_host("globex.localhost")
    assert await platform.directory.by_host("acme.localhost") is known
    assert await platform.directory.by_host("localhost") is not None
    path.with_name("away").rename(path)
    assert await platform.directory.by_host("globex.localhost") is None


async def test_strangers_hosts_take_no_memory_and_push_nobody_out(platform: Platform) -> None:
    await create(platform, "acme")
    directory: RegistryDirectory = platform.directory
    before = await directory.by_host("acme.localhost")
    for number in range(5000):
        assert await directory.by_host(f"x{number}.example") is None
    assert len(directory._unknown) <= 4096
    assert await directory.by_host("acme.localhost") is before
