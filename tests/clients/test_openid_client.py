"""openid-client from npm, certified by its authors for Basic and FAPI 2.0: it refuses what is not as the RFCs say."""

import pytest

from entrypoints.demo_content import CALLBACK
from tests.clients.conftest import PACKAGES, Served, node
from tests.clients.openid_client import run, signs_in

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.npm,
    pytest.mark.skipif(not PACKAGES.exists() or node() is None, reason="needs Node and its packages"),
]
SCOPE = "openid profile email offline_access read:invoices"


async def nobody(address: str) -> str:
    raise AssertionError(f"nobody was to be asked: {address}")


async def test_a_whole_session_with_a_switch_of_organization(served: Served) -> None:
    web, (north, south) = served.tenant.clients["web"], served.tenant.organizations[:2]
    result = await run(
        served,
        "code",
        signs_in(served, CALLBACK),
        issuer=served.tenant.issuer,
        client_id=web.client_id,
        client_secret=web.client_secret,
        redirect_uri=CALLBACK,
        scope=SCOPE,
        extra={"audience": served.tenant.api_audience, "organization": north.id},
        switch={"organization": south.id},
    )
    assert result["claims"]["org_id"] == north.id
    assert result["person"]["sub"] == result["claims"]["sub"]
    assert result["switched"]["org_id"] == south.id
    assert (result["seen"]["active"], result["seen"]["org_id"]) == (True, south.id)
    assert result["gone"] == {"active": False}


async def test_a_machine(served: Served) -> None:
    web = served.tenant.clients["web"]
    token = await run(
        served,
        "machine",
        nobody,
        issuer=served.tenant.issuer,
        client_id=web.client_id,
        client_secret=web.client_secret,
        audience=served.tenant.api_audience,
    )
    assert token["token_type"] == "bearer"
    assert set(token["scope"].split()) == {"read:invoices", "write:invoices"}
