"""Nobody who may define an API defines another Management API, under a spelling that is accepted too."""

from typing import Any

import pytest

from entrypoints.network import client_credentials
from tests.installation import Installation
from tests.operators import Caller

pytestmark = pytest.mark.anyio

DOUBLE = "https://acme.localhost:8000/api/v2/"


def double(identifier: str) -> dict[str, Any]:
    return {
        "identifier": identifier,
        "name": "Looks alike",
        "scopes": [{"value": "update:users"}, {"value": "read:users"}, {"value": "update:tenants"}],
        "enforce_policies": False,
    }


@pytest.mark.parametrize(
    "identifier",
    [DOUBLE, "http://acme.localhost:8000/api/v2/", "https://acme.localhost:8000/userinfo", DOUBLE + "x"],
)
async def test_an_address_of_the_issuer_is_no_identifier(installation: Installation, identifier: str) -> None:
    acme = await installation.manager("acme")
    assert await acme.status("POST", "/resource-servers", double(identifier)) == 400


async def test_a_double_that_comes_with_the_catalogue_gives_no_power(installation: Installation) -> None:
    """Tenant one may name any address; what a tenant's own Management API answers to stays that tenant's."""
    operator, acme = await installation.operator(), await installation.manager("acme")
    await operator.post("/resource-servers", double(DOUBLE))
    client = await acme.post("/clients", {"name": "Reader", "app_type": "non_interactive"})
    grants = await acme.get("/client-grants")
    assert all(grant["client_id"] != client["client_id"] for grant in grants)
    made = await acme.status(
        "POST",
        "/client-grants",
        {"client_id": client["client_id"], "audience": DOUBLE, "scope": ["read:users"]},
    )
    if made != 201:
        return
    tenant = installation.tenant("acme")
    try:
        token = await client_credentials(
            installation.http, tenant.issuer, client["client_id"], client["client_secret"], DOUBLE
        )
    except Exception:
        return
    users = await Caller(installation.http, token).call("GET", f"{tenant.issuer}api/v2/users")
    assert users.status_code in (401, 403)
