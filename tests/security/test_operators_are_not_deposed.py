"""An administrator of tenant one without platform permissions does not unmake those who run the platform."""

import pytest

from entrypoints.network import Api, client_credentials
from tests.installation import Installation

PERMISSIONS = [
    f"{verb}:{noun}" for verb in ("read", "create", "update", "delete") for noun in ("roles", "users")
]


@pytest.fixture
async def clerk(installation: Installation) -> Api:
    """A machine of tenant one that may do anything to roles and users, and nothing to the platform."""
    plane, operator = installation.demo.control_plane, await installation.operator()
    client = await operator.post("/clients", {"name": "Clerk", "app_type": "non_interactive"})
    grant = {"client_id": client["client_id"], "audience": plane.management_audience, "scope": PERMISSIONS}
    await operator.post("/client-grants", grant)
    token = await client_credentials(
        installation.http,
        plane.issuer,
        client["client_id"],
        client["client_secret"],
        plane.management_audience,
    )
    return Api(installation.http, f"{plane.issuer}api/v2", token)


async def test_the_role_of_operators_stays_as_it_is(clerk: Api) -> None:
    role = next(role for role in await clerk.get("/roles") if role["name"] == "Platform Admin")
    path = f"/roles/{role['id']}"
    assert await clerk.status("DELETE", path) == 403
    assert await clerk.status("PATCH", path, {"name": "Nobody"}) == 403
    held = (await clerk.get(f"{path}/permissions"))[0]
    taken = {name: held[name] for name in ("resource_server_identifier", "permission_name")}
    assert await clerk.status("DELETE", f"{path}/permissions", {"permissions": [taken]}) == 403
    assert (await clerk.get(path))["name"] == "Platform Admin"


async def test_an_operator_stays_in_office(installation: Installation, clerk: Api) -> None:
    email = installation.demo.control_plane.users[0].email
    operator = (await clerk.get("/users-by-email", email=email))[0]["user_id"]
    role = next(role for role in await clerk.get("/roles") if role["name"] == "Platform Admin")
    assert await clerk.status("DELETE", f"/users/{operator}") == 403
    assert await clerk.status("PATCH", f"/users/{operator}", {"blocked": True}) == 403
    assert await clerk.status("DELETE", f"/users/{operator}/roles", {"roles": [role["id"]]}) == 403
    assert [held["name"] for held in await clerk.get(f"/users/{operator}/roles")] == ["Platform Admin"]


async def test_operators_themselves_may(installation: Installation, clerk: Api) -> None:
    api = await installation.operator()
    email = installation.demo.control_plane.users[0].email
    operator = (await clerk.get("/users-by-email", email=email))[0]["user_id"]
    assert await api.status("PATCH", f"/users/{operator}", {"blocked": True}) == 200
