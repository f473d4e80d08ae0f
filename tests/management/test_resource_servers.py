import pytest

from tenant_runtime.models import ResourceServer, Scope
from tests.management.world import Place, World

pytestmark = pytest.mark.anyio

API = {
    "identifier": "https://api.example.com/v1",
    "name": "Invoices",
    "scopes": [{"value": "read:invoices", "description": "Read"}, {"value": "write:invoices"}],
    "enforce_policies": True,
    "token_dialect": "access_token_authz",
}


async def test_an_api_keeps_what_was_said_of_it(acme: Place) -> None:
    api = acme.api()
    made = await api.made("/resource-servers", {**API, "token_lifetime": 600, "consent_policy": "standard"})
    assert made["enforce_policies"] is True
    assert made["token_dialect"] == "access_token_authz"
    assert made["token_lifetime"] == 600
    assert made["consent_policy"] == "standard"
    assert made["signing_alg"] == "RS256"
    assert made["is_system"] is False
    assert [scope["value"] for scope in made["scopes"]] == ["read:invoices", "write:invoices"]
    assert (await api.get(f"/resource-servers/{made['id']}")).json() == made


async def test_an_api_is_found_by_its_identifier(acme: Place) -> None:
    api = acme.api()
    with_slashes = await api.made("/resource-servers", API)
    plain = await api.made("/resource-servers", {"identifier": "urn:invoices"})
    assert (await api.get("/resource-servers/urn:invoices")).json() == plain
    assert (await api.get("/resource-servers", identifier=API["identifier"])).json() == [with_slashes]
    both = await api.get("/resource-servers", identifiers=f"urn:invoices,{API['identifier']}")
    assert len(both.json()) == 2
    assert (await api.patch("/resource-servers/urn:invoices", {"name": "Plain"})).json()["name"] == "Plain"


async def test_scopes_that_stay_keep_what_was_granted(acme: Place) -> None:
    api = acme.api()
    made = await api.made("/resource-servers", API)
    role = await api.made("/roles", {"name": "Clerk"})
    held = [
        {"resource_server_identifier": API["identifier"], "permission_name": name}
        for name in ("read:invoices", "write:invoices")
    ]
    await api.post(f"/roles/{role['id']}/permissions", {"permissions": held})
    changed = await api.patch(
        f"/resource-servers/{made['id']}",
        {"scopes": [{"value": "pay:invoices"}, {"value": "read:invoices", "description": "See"}]},
    )
    assert [scope["value"] for scope in changed.json()["scopes"]] == ["pay:invoices", "read:invoices"]
    left = (await api.get(f"/roles/{role['id']}/permissions")).json()
    assert [(item["permission_name"], item["description"]) for item in left] == [("read:invoices", "See")]


@pytest.mark.parametrize(
    "change",
    [
        {"identifier": None},
        {"identifier": "with space"},
        {"identifier": ""},
        {"identifier": "http://acme.localhost:8000/userinfo"},
        {"scopes": [{"value": "a b"}]},
        {"scopes": [{"value": 'a"b'}]},
        {"scopes": [{"value": "a"}, {"value": "a"}]},
        {"scopes": [{"value": "openid"}]},
        {"scopes": [{"value": "a", "is_platform": True}]},
        {"scopes": "read:invoices"},
        {"token_lifetime": 0},
        {"token_lifetime": "600"},
        {"token_dialect": "opaque"},
        {"signing_alg": "HS256"},
        {"signing_alg": "none"},
        {"is_system": True},
        {"is_management": True},
        {"id": "rs_mine"},
        {"labels": ["eu"]},
    ],
)
async def test_a_malformed_api_is_refused_and_nothing_is_written(
    acme: Place, change: dict[str, object]
) -> None:
    refused = await acme.api().post("/resource-servers", {**API, **change})
    assert refused.status_code == 400, refused.text
    assert len(await acme.rows(ResourceServer)) == 1


async def test_identifier_and_name_are_given_once(acme: Place) -> None:
    api = acme.api()
    await api.made("/resource-servers", API)
    assert (await api.post("/resource-servers", {**API, "name": "Other"})).status_code == 409
    assert (await api.post("/resource-servers", {**API, "identifier": "urn:other"})).status_code == 409


async def test_an_identifier_never_changes(acme: Place) -> None:
    made = await acme.api().made("/resource-servers", API)
    refused = await acme.api().patch(f"/resource-servers/{made['id']}", {"identifier": "urn:other"})
    assert refused.status_code == 400


async def test_the_management_api_is_a_system_resource(acme: Place) -> None:
    """Who could turn its enforcement off would hold every permission."""
    api = acme.api()
    [management] = (await api.get("/resource-servers")).json()
    assert management["name"] == "Auth0 Management API"
    assert management["is_system"] is True
    path = f"/resource-servers/{management['id']}"
    for change in (
        {"scopes": []},
        {"scopes": [*management["scopes"], {"value": "create:tenants"}]},
        {"enforce_policies": False},
        {"token_dialect": "access_token"},
        {"name": "Mine"},
    ):
        refused = await api.patch(path, change)
        assert (refused.status_code, refused.json()["errorCode"]) == (403, "operation_not_supported"), change
    assert (await api.delete(path)).status_code == 403
    assert (await api.patch(path, {"token_lifetime": 3600})).json()["token_lifetime"] == 3600
    assert (await api.patch(path, {"scopes": management["scopes"]})).status_code == 200


async def test_a_copy_of_the_control_planes_api_is_read_only(acme: Place) -> None:
    api = acme.api()
    await acme.add(
        ResourceServer, converge=True, id="rs_system", identifier="urn:shared", name="Shared", is_system=True
    )
    await acme.add(Scope, converge=True, resource_server_id="rs_system", value="read:x")
    path = "/resource-servers/rs_system"
    for change in ({"name": "Mine"}, {"scopes": []}, {"scopes": [{"value": "read:x"}, {"value": "y"}]}):
        refused = await api.patch(path, change)
        assert (refused.status_code, refused.json()["errorCode"]) == (403, "operation_not_supported"), change
        assert refused.json()["message"].startswith("This resource server is a system resource")
    assert (await api.delete(path)).status_code == 403
    assert (await api.post("/resource-servers", {"identifier": "urn:shared", "name": "X"})).status_code == 409
    assert (await api.patch(path, {"name": "Shared", "scopes": [{"value": "read:x"}]})).status_code == 200
    assert (await api.get(path)).json()["is_system"] is True


async def test_an_api_of_another_tenant_is_not_there(world: World) -> None:
    made = await world.globex.api().made("/resource-servers", API)
    api = world.acme.api()
    assert (await api.get(f"/resource-servers/{made['id']}")).status_code == 404
    assert (await api.patch(f"/resource-servers/{made['id']}", {"name": "X"})).status_code == 404
    assert (await api.delete(f"/resource-servers/{made['id']}")).status_code == 204
    assert (await world.globex.api().get(f"/resource-servers/{made['id']}")).status_code == 200
