import pytest

from tenant_runtime.models import (
    AuthorizationCode,
    Client,
    Membership,
    MembershipOrganizationRole,
    MembershipRole,
    Organization,
    OrganizationRole,
    RefreshFamily,
)
from tests.management.world import EVERYTHING, PLATFORM_TOO, Place, World

pytestmark = pytest.mark.anyio


async def person(acme: Place, name: str) -> str:
    made = await acme.api().made("/users", {"email": f"{name}@example.com", "name": name})
    return str(made["user_id"])


async def north(acme: Place) -> str:
    return str((await acme.api().made("/organizations", {"name": "north", "display_name": "North"}))["id"])


async def issued(acme: Place, user_id: str, organization_id: str | None) -> None:
    now = int(acme.world.clock.now() * 1000)
    client = (await acme.rows(Client))[0].client_id
    common = {
        "issuer": acme.tenant.issuer,
        "client_id": client,
        "user_id": user_id,
        "organization_id": organization_id,
        "scope": "openid",
        "amr": [],
        "authenticated_at": now,
    }
    name = f"{user_id}{organization_id}"
    await acme.add(RefreshFamily, id=f"fam{name}", used_at=now, **common)
    await acme.add(
        AuthorizationCode,
        digest=f"code{name}",
        family_id=f"fam{name}",
        redirect_uri="x",
        redirect_uri_sent=True,
        expires_at=now + 1000,
        **common,
    )


async def test_an_organization_is_made_read_changed_and_removed(acme: Place) -> None:
    api = acme.api()
    colors = {"primary": "#112233", "page_background": "#ffffff"}
    made = await api.made(
        "/organizations",
        {
            "name": "north",
            "display_name": "North & Co",
            "branding": {"colors": colors},
            "metadata": {"tier": "1"},
        },
    )
    assert made["id"].startswith("org_")
    assert made["branding"] == {"colors": colors}
    path = f"/organizations/{made['id']}"
    assert (await api.get(path)).json() == made
    assert (await api.get("/organizations/name/north")).json() == made
    assert (await api.get("/organizations/name/south")).json()["errorCode"] == "inexistent_organization"
    changed = (await api.patch(path, {"name": "nord", "metadata": {"tier": None, "x": "y"}})).json()
    assert (changed["name"], changed["display_name"], changed["metadata"]) == (
        "nord",
        "North & Co",
        {"x": "y"},
    )
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "North"},
        {"name": "no rth"},
        {"name": "-north"},
        {"name": "n/orth"},
        {"name": "org_north"},
        {"name": "n" * 64},
        {"name": "north", "id": "org_mine"},
        {"name": "north", "managed_by": "tenant"},
        {"name": "north", "branding": {"colors": {"primary": "red"}}},
        {"name": "north", "branding": {"logo_url": "javascript:alert(1)"}},
        {"name": "north", "branding": {"css": "x"}},
        {"name": "north", "metadata": {"a": 1}},
    ],
)
async def test_a_malformed_organization_is_refused(acme: Place, body: dict[str, object]) -> None:
    assert (await acme.api().post("/organizations", body)).status_code == 400
    assert await acme.rows(Organization) == []


async def test_a_name_is_given_once(acme: Place) -> None:
    await north(acme)
    assert (await acme.api().post("/organizations", {"name": "north"})).status_code == 409


async def test_members_are_added_once_listed_and_removed(acme: Place) -> None:
    api, organization = acme.api(), await north(acme)
    ada, ben = await person(acme, "ada"), await person(acme, "ben")
    path = f"/organizations/{organization}/members"
    assert (await api.post(path, {"members": [ada]})).status_code == 204
    acme.world.clock.time += 1
    assert (await api.post(path, {"members": [ada, ben]})).status_code == 204
    listed = (await api.get(path)).json()
    assert listed[0] == {"user_id": ada, "email": "ada@example.com", "name": "ada", "picture": None}
    assert len(listed) == 2
    assert {row.role for row in await acme.rows(MembershipOrganizationRole)} == {"member"}
    role = await api.made("/roles", {"name": "Clerk"})
    assert (await api.post(f"{path}/{ada}/roles", {"roles": [role["id"]]})).status_code == 204
    with_roles = (await api.get(path, fields="user_id,roles", include_totals="true")).json()
    assert with_roles["total"] == 2
    assert with_roles["members"][0] == {"user_id": ada, "roles": [{"id": role["id"], "name": "Clerk"}]}
    assert [held["id"] for held in (await api.get(f"{path}/{ada}/roles")).json()] == [role["id"]]
    assert (await api.get(f"/users/{ada}/organizations")).json()[0]["id"] == organization
    assert (await api.delete(f"{path}/{ada}/roles", {"roles": [role["id"]]})).status_code == 204
    assert (await api.delete(path, {"members": [ada]})).status_code == 204
    assert [member["user_id"] for member in (await api.get(path)).json()] == [ben]
    assert (await api.get(f"{path}/{ada}/roles")).json()["errorCode"] == "inexistent_organization_member"


async def test_members_come_in_with_what_they_are_to_the_organization(acme: Place) -> None:
    """As from another system, whose organizations have owners already."""
    api, organization = acme.api(), await north(acme)
    ada, ben = await person(acme, "ada"), await person(acme, "ben")
    path = f"/organizations/{organization}/members"
    owners = {"members": [ada], "organization_roles": ["owner", "admin", "owner"]}
    refused = await acme.api("create:organization_members").post(path, owners)
    assert refused.status_code == 403
    for unknown in (["billing"], ["Owner"], [], "owner"):
        assert (await api.post(path, {**owners, "organization_roles": unknown})).status_code == 400
    assert await acme.rows(Membership) == []
    assert (await api.post(path, owners)).status_code == 204
    held = sorted(row.role for row in await acme.rows(MembershipOrganizationRole))
    assert held == ["admin", "owner"]
    assert (await api.post(path, {"members": [ada, ben], "organization_roles": ["guest"]})).status_code == 204
    held = sorted(row.role for row in await acme.rows(MembershipOrganizationRole))
    assert held == ["admin", "guest", "owner"], "who is a member already stays as they are"
    listed = (await api.get(path, fields="user_id,organization_roles")).json()
    shown = {each["user_id"]: each["organization_roles"] for each in listed}
    assert shown == {ada: ["admin", "owner"], ben: ["guest"]}
    assert "organization_roles" not in (await api.get(path)).json()[0]


async def test_members_come_in_with_roles_of_the_organization_s_own(acme: Place) -> None:
    api, organization, cleo = acme.api(), await north(acme), await person(acme, "cleo")
    elsewhere = (await api.made("/organizations", {"name": "south"}))["id"]
    for id, name in ((organization, "clerk"), (elsewhere, "scribe")):
        role = {"id": f"orr_{name}", "organization_id": id, "role": name, "permission": {}, "fields": {}}
        await acme.add(OrganizationRole, **role)
    await api.patch(
        "/tenants/organizations", {"statements": {"bill": ["pay"]}, "roles": {"billing": {"bill": ["pay"]}}}
    )
    path, wanted = f"/organizations/{organization}/members", {"members": [cleo]}
    for unknown in (["scribe"], ["clerk", "nobody"], ["Clerk"], ["clerk,member"], [""]):
        refused = await api.post(path, {**wanted, "organization_roles": unknown})
        assert refused.status_code == 400, unknown
    assert await acme.rows(Membership) == []
    assert (await api.post(path, {**wanted, "organization_roles": ["clerk", "billing"]})).status_code == 204
    (listed,) = (await api.get(path, fields="roles,organization_roles")).json()
    assert listed == {"roles": [], "organization_roles": ["billing", "clerk"]}


async def test_an_organization_is_suspended_until_it_is_not(world: World) -> None:
    api, organization = world.acme.api(), await north(world.acme)
    path = f"/organizations/{organization}"
    for wrong in (None, "true", 1):
        assert (await api.patch(path, {"suspended": wrong})).status_code == 400
    assert "suspended" not in (await api.get(path)).json()
    assert (await api.patch(path, {"suspended": True})).json()["suspended"] is True
    (before,) = await world.acme.rows(Organization)
    world.clock.time += 1
    await api.patch(path, {"suspended": True, "display_name": "North"})
    (after,) = await world.acme.rows(Organization)
    assert after.suspended_at == before.suspended_at, "it has been since then"
    assert "suspended" not in (await api.patch(path, {"suspended": False})).json()
    assert [row.suspended_at for row in await world.acme.rows(Organization)] == [None]


async def test_what_was_exported_suspended_comes_in_suspended(world: World) -> None:
    made = await world.acme.api().post("/organizations", {"name": "south", "suspended": True})
    assert (made.status_code, made.json()["suspended"]) == (201, True)
    (south,) = await world.acme.rows(Organization)
    assert south.suspended_at == south.created_at


async def test_what_does_not_exist_is_linked_to_nothing(world: World) -> None:
    acme, organization = world.acme, await north(world.acme)
    ada, eve = await person(acme, "ada"), await person(world.globex, "eve")
    api, path = acme.api(), f"/organizations/{organization}/members"
    assert (await api.post(path, {"members": [ada, eve]})).status_code == 404
    assert await acme.rows(Membership) == []
    await api.post(path, {"members": [ada]})
    foreign = await world.globex.api().made("/roles", {"name": "Clerk"})
    assert (await api.post(f"{path}/{ada}/roles", {"roles": [foreign["id"]]})).status_code == 404
    assert (await api.post(f"{path}/{eve}/roles", {"roles": [foreign["id"]]})).status_code == 404
    assert await acme.rows(MembershipRole) == []
    other = await north(world.globex)
    assert (await api.post(f"/organizations/{other}/members", {"members": [ada]})).status_code == 404


async def test_a_removed_member_keeps_nothing_that_was_issued_for_the_organization(acme: Place) -> None:
    api, organization = acme.api(), await north(acme)
    ada, ben = await person(acme, "ada"), await person(acme, "ben")
    await api.post(f"/organizations/{organization}/members", {"members": [ada, ben]})
    for user, bound in ((ada, organization), (ada, None), (ben, organization)):
        await issued(acme, user, bound)
    await api.delete(f"/organizations/{organization}/members", {"members": [ada]})
    ended = [(row.user_id, row.organization_id) for row in await acme.rows(RefreshFamily) if row.revoked_at]
    assert ended == [(ada, organization)]
    claimed = [
        (row.user_id, row.organization_id) for row in await acme.rows(AuthorizationCode) if row.used_at
    ]
    assert claimed == [(ada, organization)]


async def test_what_was_issued_for_an_organization_ends_with_it(acme: Place) -> None:
    api, organization = acme.api(), await north(acme)
    ada = await person(acme, "ada")
    await api.post(f"/organizations/{organization}/members", {"members": [ada]})
    await issued(acme, ada, organization)
    await issued(acme, ada, None)
    await api.delete(f"/organizations/{organization}")
    ended = [row.organization_id for row in await acme.rows(RefreshFamily) if row.revoked_at]
    assert ended == [organization]
    assert await acme.rows(Membership) == []


async def test_the_organization_of_a_tenant_is_managed_with_a_platform_permission(world: World) -> None:
    one = world.one
    await one.add(
        Organization, converge=True, id="org_acme", name="acme", branding={}, metadata={}, managed_by="tenant"
    )
    member_role = await one.api().made("/roles", {"name": "Tenant Member"})
    ada, path = await person(one, "ada"), "/organizations/org_acme"
    admin, operator = one.with_token(one.token(EVERYTHING)), one.with_token(one.token(PLATFORM_TOO))
    reader = one.with_token(one.token(EVERYTHING | {"read:tenants"}))
    owner = {"members": [ada], "organization_roles": ["owner"]}
    assert (await operator.post(f"{path}/members", owner)).status_code == 400, "nor is a tenant given away"
    await operator.post(f"{path}/members", {"members": [ada]})
    role = {"roles": [member_role["id"]]}
    for method, to, body in (
        ("GET", f"{path}/members", None),
        ("POST", f"{path}/members", {"members": [ada]}),
        ("DELETE", f"{path}/members", {"members": [ada]}),
        ("GET", f"{path}/members/{ada}/roles", None),
        ("POST", f"{path}/members/{ada}/roles", role),
        ("DELETE", f"{path}/members/{ada}/roles", role),
        ("PATCH", path, {"metadata": {"a": "b"}}),
    ):
        assert (await admin(method, to, body)).status_code == 403, (method, to)
        if method != "GET":
            assert (await reader(method, to, body)).status_code == 403, (method, to)
    assert len((await reader.get(f"{path}/members")).json()) == 1
    held = (await operator.get(f"{path}/members/{ada}/roles")).json()
    assert [item["name"] for item in held] == ["Tenant Member"], "what the installation gives new members"
    for method, body in (
        ("PATCH", {"name": "mine"}),
        ("PATCH", {"display_name": "Mine"}),
        ("PATCH", {"suspended": True}),
        ("DELETE", None),
    ):
        refused = await operator(method, path, body)
        assert (refused.status_code, refused.json()["errorCode"]) == (403, "operation_not_supported")
    assert (await operator.patch(path, {"name": "acme", "suspended": False})).status_code == 200


async def test_a_deleted_organization_of_a_tenant_ends_nothing_because_it_stays(world: World) -> None:
    one = world.one
    await one.add(
        Organization, converge=True, id="org_acme", name="acme", branding={}, metadata={}, managed_by="tenant"
    )
    ada = await person(one, "ada")
    await issued(one, ada, "org_acme")
    assert (await one.api().delete("/organizations/org_acme")).status_code == 403
    assert [row.revoked_at for row in await one.rows(RefreshFamily)] == [None]
