"""A tenant may have any name, and takes nobody's place by it: not the registry's either."""

import pytest

from tests.installation import Installation

pytestmark = pytest.mark.anyio


async def test_a_tenant_called_registry_is_a_tenant_and_nobody_else_is_disturbed(
    installation: Installation,
) -> None:
    operator = await installation.operator()
    assert await operator.status("POST", "/tenants", {"id": "registry"}) == 201
    for tenant_id in ("registry", "acme", "registry", "globex"):
        found = await installation.http.get(
            f"http://{tenant_id}.localhost:8000/.well-known/openid-configuration"
        )
        assert found.status_code == 200
        assert found.json()["issuer"] == f"http://{tenant_id}.localhost:8000/"
    assert await operator.status("GET", "/tenants/registry") == 200
