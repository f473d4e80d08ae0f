"""openid-client from npm, certified by its authors for Basic and FAPI 2.0: it refuses what is not as the RFCs say."""

from typing import Any

import pytest
from joserfc.jwk import ECKey

from entrypoints.browser import Browser
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


KEY = ECKey.generate_key("P-256", {"kid": "openid-client", "alg": "ES256", "use": "sig"})
BY_KEY = {
    "app_type": "regular_web",
    "token_endpoint_auth_method": "private_key_jwt",
    "grant_types": ["authorization_code", "refresh_token"],
    "callbacks": [CALLBACK],
    "jwks": {"keys": [KEY.as_dict(private=False)]},
}


async def new_client(served: Served, name: str, **body: Any) -> dict[str, Any]:
    async with served.http() as http:
        made: dict[str, Any] = await (await served.manager(http)).post("/clients", {"name": name, **body})
    return made


async def test_fapi_2(served: Served) -> None:
    """Pushed request, private_key_jwt, DPoP with nonces, for the code, the refresh and the resource."""
    made = await new_client(served, "FAPI", compliance_level="fapi2_sp_pkj_dpop", **BY_KEY)
    result = await run(
        served,
        "fapi",
        signs_in(served, CALLBACK),
        issuer=served.tenant.issuer,
        client_id=made["client_id"],
        key=KEY.as_dict(private=True),
        kid=KEY.kid,
        alg="ES256",
        id_token_alg="PS256",
        redirect_uri=CALLBACK,
        scope="openid offline_access",
        extra={},
    )
    assert (result["token_type"], result["again"]) == ("dpop", "dpop")
    assert result["person"]["sub"] == result["claims"]["sub"]
    assert result["stolen"] != "accepted"


async def test_a_signed_request(served: Served) -> None:
    made = await new_client(served, "Signed", signed_request_object={"required": True}, **BY_KEY)
    result = await run(
        served,
        "signed_request",
        signs_in(served, CALLBACK),
        issuer=served.tenant.issuer,
        client_id=made["client_id"],
        key=KEY.as_dict(private=True),
        kid=KEY.kid,
        alg="ES256",
        redirect_uri=CALLBACK,
        scope="openid",
        extra={"organization": served.tenant.organizations[0].id},
    )
    assert result["claims"]["org_id"] == served.tenant.organizations[0].id


async def test_a_secret_that_only_signs(served: Served) -> None:
    made = await new_client(
        served,
        "Secret JWT",
        app_type="non_interactive",
        token_endpoint_auth_method="client_secret_jwt",
        grant_types=["client_credentials"],
    )
    async with served.http() as http:
        grant = {
            "client_id": made["client_id"],
            "audience": served.tenant.api_audience,
            "scope": ["read:invoices"],
        }
        await (await served.manager(http)).post("/client-grants", grant)
    token = await run(
        served,
        "secret_jwt",
        nobody,
        issuer=served.tenant.issuer,
        client_id=made["client_id"],
        client_secret=made["client_secret"],
        audience=served.tenant.api_audience,
    )
    assert token["scope"] == "read:invoices"


async def test_a_client_that_registers_itself(served: Served) -> None:
    async with served.http() as http:
        api = await served.manager(http)
        await api.patch("/tenants/settings", {"client_registration": {"mode": "open"}})

    async def person(address: str) -> str:
        """Signs in, and says yes to an application that nobody vouches for."""
        async with served.http() as http:
            browser = Browser(http, stops=(CALLBACK,))
            await browser.open(address)
            await browser.submit({"email": served.tenant.users[0].email})
            await browser.submit({"password": served.tenant.users[0].password})
            await browser.submit(button=("decision", "allow"))
            assert browser.landed is not None, browser.response
            return browser.landed

    result = await run(
        served,
        "registration",
        person,
        issuer=served.tenant.issuer,
        redirect_uri=CALLBACK,
        scope="openid profile",
        extra={},
    )
    assert result["claims"]["aud"] == result["client_id"]


async def test_a_device(served: Served) -> None:
    made = await new_client(
        served,
        "Television",
        app_type="native",
        token_endpoint_auth_method="none",
        grant_types=["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
    )

    async def person(address: str) -> str:
        async with served.http() as http:
            browser = Browser(http, stops=(CALLBACK,))
            await browser.open(address)
            await browser.submit()
            await browser.submit({"email": served.tenant.users[0].email})
            await browser.submit({"password": served.tenant.users[0].password})
            done = await browser.submit(button=("decision", "allow"))
            assert done.status_code == 200, done.text
            return address

    result = await run(
        served,
        "device",
        person,
        issuer=served.tenant.issuer,
        client_id=made["client_id"],
        redirect_uri=CALLBACK,
        scope="openid offline_access",
    )
    assert result["claims"]["aud"] == made["client_id"]
