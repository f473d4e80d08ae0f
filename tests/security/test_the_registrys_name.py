"""The registry's own name among databases is no tenant's: whoever has it would be taken for the registry."""

import pytest

from core.settings import Settings, SettingsError
from tests.installation import Installation

pytestmark = pytest.mark.anyio


async def test_no_tenant_is_called_as_the_registry_is(shared: Installation) -> None:
    operator = await shared.operator()
    assert await operator.status("POST", "/tenants", {"id": "registry"}) == 400
    assert (
        await shared.http.get("http://registry.localhost:8000/.well-known/openid-configuration")
    ).status_code == 404
    assert await operator.status("GET", "/tenants/acme") == 200


def test_nor_tenant_one() -> None:
    with pytest.raises(SettingsError, match="KEYSTEAD_CONTROL_PLANE_TENANT"):
        Settings.from_env({"KEYSTEAD_CONTROL_PLANE_TENANT": "registry"})
