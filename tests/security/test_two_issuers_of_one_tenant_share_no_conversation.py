"""At a tenant with two hosts, a conversation that began at one issuer goes on there only; what is the tenant's own,
such as its access tokens, is good at both."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from entrypoints.demo_content import Demo
from tests.isolation.sides import Side, two_sides
from tests.isolation.test_what_is_made_stays import MADE
from tests.security.test_two_issuers_of_one_tenant import ISSUER, _add_host

pytestmark = pytest.mark.anyio

OF_THE_TENANT = {
    "login code",
    "reset ticket, looked at",
    "reset ticket",
    "verification ticket, looked at",
    "verification ticket",
    "initial access token",
    "registration access token",
    "nonce of proofs",
    "hint at /authorize",
    "hint at logout",
    "access token at userinfo",
    "access token, introspected",
    "access token at the Management API",
    "opaque token at userinfo",
    "opaque token, introspected",
}


@pytest.fixture(scope="module")
async def hosts(
    golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Side, Side]]:
    """One tenant, as its usual host shows it and as its own does."""
    async with two_sides(golden, tmp_path_factory.mktemp("hosts")) as sides:
        usual, installation = sides.a, sides.a.mail.installation
        await installation.running.platform.registry.write(_add_host, 1)
        async with installation.browser() as browser, installation.browser() as stranger:
            tenant = replace(usual.tenant, issuer=ISSUER)
            yield usual, replace(usual, tenant=tenant, http=browser, stranger=stranger, is_signed_in=False)


@pytest.mark.parametrize("name", MADE)
async def test_it_goes_on_where_it_began(hosts: tuple[Side, Side], name: str) -> None:
    (usual, own), row = hosts, MADE[name]
    value = await row.make(usual)
    for side in hosts:
        await side.sign_in()
    before = await usual.rows()
    answer = await row.use(own, value)
    assert answer.accepted is (name in OF_THE_TENANT), (answer.response.status_code, answer.response.text)
    if not answer.accepted:
        assert await usual.rows() == before
        assert (await row.use(usual, value)).accepted
    usual.is_signed_in = own.is_signed_in = False
