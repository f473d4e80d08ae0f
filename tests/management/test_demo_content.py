"""The first caller of this API fills a demo with it: its bodies work as they are."""

import pytest

from entrypoints import demo_content
from entrypoints.network import Api
from tests.management.world import PLATFORM_TOO, World

pytestmark = pytest.mark.anyio


async def test_a_demo_is_filled_through_the_front_door(world: World) -> None:
    token = world.one.token(PLATFORM_TOO)
    await demo_content.share_an_api(Api(world.one.http, f"{world.one.tenant.issuer}api/v2", token))

    api = Api(world.acme.http, f"{world.acme.tenant.issuer}api/v2", token)
    audience = "https://api.acme.example"
    role = await demo_content._make_api(api, audience)
    users = [demo_content.DemoUser(f"{name}@acme.example", demo_content.new_password()) for name in "abc"]
    ids = [await demo_content._make_user(api, user, role) for user in users]
    organizations = await demo_content._make_organizations(api, "acme", users, ids, role)
    clients = await demo_content._make_clients(api, world.acme.tenant.issuer, audience)

    assert [organization.name for organization in organizations] == ["acme-north", "acme-south", "acme-east"]
    for organization in organizations:
        path = f"/organizations/{organization.id}/members"
        standing = [
            member["organization_roles"] for member in await api.get(path, fields="organization_roles")
        ]
        assert sorted(standing) == [["member"]] * (len(standing) - 1) + [["owner"]]
    assert {name: bool(client.client_secret) for name, client in clients.items()} == {
        "web": True,
        "web2": True,
        "spa": False,
        "m2m": True,
    }
    assert world.wakes, "the sync worker is woken by what tenant one wrote"
