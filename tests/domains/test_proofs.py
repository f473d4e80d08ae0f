"""Where a proof is looked for, and what counts as one."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controlplane.custom_domains import RegistryCustomDomains
from core.dns import NameServers
from core.domains import CustomDomain, WantedDomain
from core.errors import Conflict, InvalidInput
from core.outbound import Outbound
from provisioning.platform import Platform
from tests.authority import new_authority
from tests.domains.conftest import Domains
from tests.domains.name_server import NameServer, name_server
from tests.elsewhere import Elsewhere, elsewhere
from tests.provisioning.fixtures import data, made
from tests.provisioning.installations import create, opened, settings_for

__all__ = ["data", "made"]

pytestmark = pytest.mark.anyio

LOGIN, NOW = "login.acme.test", 1_800_000_000_000


@pytest.fixture
def names_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """`*.test` are here, for whoever asks the machine's resolver."""
    real = socket.getaddrinfo

    def looked_up(host: Any, *rest: Any, **more: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".test") else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)


class Owners:
    """The control plane's own word for domains, with the owner's web server and name server in a test's hands."""

    def __init__(
        self, platform: Platform, web: Elsewhere, names: NameServer, domains: RegistryCustomDomains
    ) -> None:
        self.platform, self.web, self.names, self.domains = platform, web, names, domains

    async def claim(self, method: Any = "http", tenant: str = "acme") -> CustomDomain:
        wanted = WantedDomain(domain=LOGIN, type="self_managed_certs", method=method)
        return await self.domains.claim(tenant, f"cd_{tenant}", wanted, NOW)

    async def verify(self, tenant: str = "acme") -> CustomDomain:
        return await self.domains.verify(tenant, f"cd_{tenant}", NOW)

    def path(self, claim: CustomDomain) -> str:
        return claim.proof.place.removeprefix(claim.origin)


@asynccontextmanager
async def owners(data: Path, folder: Path, *, inside: bool = True) -> AsyncIterator[Owners]:
    authority = new_authority(folder, LOGIN)
    async with elsewhere(authority.server) as web, name_server() as names:
        settings = settings_for(
            data, public_url=f"https://manage.example.com:{web.port}", base_domain="id.example.com"
        )
        async with opened(settings) as platform:
            for tenant in ("acme", "globex"):
                await create(platform, tenant)
            allowed = {f"{LOGIN}:{web.port}"} if inside else set()
            async with Outbound(allowed, authorities=str(authority.file)) as outbound:
                asked = NameServers((("127.0.0.1", names.port),))
                yield Owners(
                    platform, web, names, RegistryCustomDomains(platform.registry, settings, asked, outbound)
                )


@pytest.mark.usefixtures("names_of_this_machine")
async def test_a_file_at_the_domain_itself_is_a_proof(data: Path, tmp_path: Path) -> None:
    async with owners(data, tmp_path) as found:
        claim = await found.claim()
        assert claim.proof.place.startswith(
            f"https://{LOGIN}:{found.web.port}/.well-known/keystead-domain-challenge/"
        )
        assert (await found.verify()).problem == "The proof was not found."
        for wrong in (claim.proof.value + "x", claim.proof.place, ""):
            found.web.put(found.path(claim), wrong.encode())
            assert not (await found.verify()).is_ready
        found.web.put(found.path(claim), claim.proof.value.encode(), status=404)
        assert not (await found.verify()).is_ready
        found.web.put(found.path(claim), b"", status=302, location=f"{claim.origin}/elsewhere")
        found.web.put("/elsewhere", claim.proof.value.encode())
        assert not (await found.verify()).is_ready, "a redirect is followed nowhere"
        found.web.put(found.path(claim), claim.proof.value.encode() + b"\n")
        assert (await found.verify()).is_ready
        tenant = await found.platform.directory.by_host(LOGIN)
        assert tenant is not None
        assert tenant.id == "acme"


@pytest.mark.usefixtures("names_of_this_machine")
async def test_a_domain_that_leads_inside_is_not_asked(data: Path, tmp_path: Path) -> None:
    async with owners(data, tmp_path, inside=False) as found:
        await found.claim()
        seen = await found.verify()
        assert (seen.is_ready, seen.problem) == (False, "The address is not a public one.")
        assert found.web.asked == []
        wanted = WantedDomain(domain="login.corp.internal", type="self_managed_certs", method="http")
        with pytest.raises(InvalidInput):
            await found.domains.claim("acme", "cd_inside", wanted, NOW)


@pytest.mark.usefixtures("names_of_this_machine")
async def test_a_file_that_stands_keeps_the_domain_from_the_next_one(data: Path, tmp_path: Path) -> None:
    async with owners(data, tmp_path) as found:
        had = await found.claim()
        found.web.put(found.path(had), had.proof.value.encode())
        await found.verify()
        await found.domains.release("acme", had.id, NOW)
        await found.claim("txt", "globex")
        wanted = await found.domains.get("globex", "cd_globex")
        found.names.put(wanted.proof.place, wanted.proof.value)
        with pytest.raises(Conflict, match="still stands"):
            await found.verify("globex")
        found.web.pages.clear()
        assert (await found.verify("globex")).is_ready


async def test_a_name_server_that_cannot_say_proves_nothing_and_frees_nothing(domains: Domains) -> None:
    acme, globex = await domains.of("acme"), await domains.of("globex")
    made = await acme.claim(LOGIN)
    method = made["verification"]["methods"][0]
    domains.names.put(method["domain"], method["record"])
    domains.names.refuses = True
    seen = await acme.verify(made)
    assert (seen["status"], seen["verification"]["error_msg"]) == (
        "pending_verification",
        "Nothing useful was answered.",
    )
    domains.names.refuses = False
    assert (await acme.verify(made))["status"] == "ready"
    domains.names.refuses = True
    again = await acme.verify(made)
    assert (again["status"], again["verification"]["status"]) == ("ready", "failed"), (
        "nobody is put out for that"
    )
    assert await domains.issuer_at(LOGIN) == f"https://{LOGIN}/"
    late = await globex.call("POST", "", {"domain": LOGIN, "type": "self_managed_certs"})
    assert late.status_code == 409


async def test_a_domain_is_looked_at_ten_times_a_minute_at_most(domains: Domains) -> None:
    acme = await domains.of("acme")
    path = f"/{(await acme.claim(LOGIN))['custom_domain_id']}/verify"
    statuses = [(await acme.call("POST", path)).status_code for _ in range(11)]
    assert (statuses.count(200), statuses.count(429)) in ((10, 1), (11, 0)), "eleven at the turn of a minute"
    assert len(domains.names.asked) == statuses.count(200)
