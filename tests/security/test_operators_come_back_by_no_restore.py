"""Who was an operator once does not become one again by putting the operators' own tenant back."""

import pytest

from tests.backups.keeper import Keeper
from tests.installation import Installation

pytestmark = pytest.mark.anyio


async def test_tenant_one_is_not_restored_with_a_token(installation: Installation) -> None:
    keeper = Keeper(installation, await installation.operator())
    backup = await keeper.back_up("control_plane")
    path = f"/tenants/control_plane/backups/{backup['id']}/restore"
    for body in ({}, {"present_is_lost": True}):
        assert await keeper.api.status("POST", path, body) == 403
    assert [each["kind"] for each in await keeper.api.get("/tenants/control_plane/operations")] == ["backup"]
