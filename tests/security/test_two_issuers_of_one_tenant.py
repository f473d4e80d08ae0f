"""A tenant may have hosts of its own. What began at one of its issuers is not gone on with at another."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, insert

from controlplane.models import RegistryBase
from tests.installation import Installation
from tests.operators import Caller
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

HOST, ISSUER = "login.acme.localhost", "http://login.acme.localhost:8000/"


def _add_host(connection: Connection, now: int) -> None:
    row = {"host": HOST, "tenant_id": "acme", "origin": ISSUER[:-1], "created_at": now, "verified_at": now}
    connection.execute(insert(RegistryBase.metadata.tables["hosts"]), row)


@pytest.fixture
async def own(installation: Installation) -> AsyncIterator[RelyingParty]:
    """The same client, asked at the tenant's own host."""
    await installation.running.platform.registry.write(_add_host, 1)
    tenant = installation.tenant("acme")
    async with installation.browser() as http:
        yield RelyingParty(http, ISSUER, tenant.clients["web"], tenant.api_audience, tenant.users[0])


async def test_each_host_is_the_issuer_that_it_says(installation: Installation, own: RelyingParty) -> None:
    usual = installation.relying_party("acme")
    for rp in (usual, own):
        metadata = (await rp.http.get(f"{rp.issuer}.well-known/openid-configuration")).json()
        assert metadata["issuer"] == rp.issuer
        answer = await rp.sign_in()
        assert (answer.claims["iss"], answer.id_claims["iss"], rp.landed["iss"]) == (rp.issuer,) * 3


async def test_code_session_and_refresh_token_stay_with_their_issuer(
    installation: Installation, own: RelyingParty
) -> None:
    usual = installation.relying_party("acme")
    code = await usual.code()
    own.verifier = usual.verifier
    assert (await own.redeem(code)).error == "invalid_grant"
    tokens = await usual.redeem(code)
    assert tokens.status == 200, "another issuer's attempt leaves the code as it was"
    assert (await own.refresh(tokens.refresh_token)).error == "invalid_grant"
    assert (await usual.refresh(tokens.refresh_token)).status == 200
    cookies = {cookie.name: cookie.value for cookie in usual.http.cookies.jar}
    for name, value in cookies.items():
        own.http.cookies.set(name, value or "", domain="login.acme.localhost")
    assert (await own.silent())["error"] == "login_required"


async def test_all_issuers_of_a_tenant_are_that_tenant_and_no_other(
    installation: Installation, own: RelyingParty
) -> None:
    tokens = await own.sign_in(audience=installation.tenant("acme").management_audience, scope="openid")
    here, there = installation.tenant("acme"), installation.tenant("globex")
    assert (await own.userinfo(tokens.access_token)).status_code == 200
    caller = Caller(installation.http, tokens.access_token)
    assert (
        await caller.call("GET", f"{here.issuer}api/v2/users")
    ).status_code == 403  # no permission, but reach
    assert (await caller.call("GET", f"{there.issuer}api/v2/users")).status_code == 401
    assert (
        await caller.call("GET", f"{installation.demo.control_plane.issuer}api/v2/tenants")
    ).status_code == 401
