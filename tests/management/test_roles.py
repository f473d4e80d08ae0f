import json

import pytest

from tenant_runtime.models import Role, RolePermission
from tests.management.world import EVERYTHING, PLATFORM_TOO, Place, World

pytestmark = pytest.mark.anyio

API = {
    "identifier": "https://api.example.com",
    "name": "Invoices",
    "scopes": [{"value": "read:invoices", "description": "Read"}, {"value": "write:invoices"}],
}


def permission(name: str, identifier: str = API["identifier"]) -> dict[str, str]:  # type: ignore[assignment]
    return {"resource_server_identifier": identifier, "permission_name": name}


async def test_a_role_is_made_read_changed_and_removed(acme: Place) -> None:
    api = acme.api()
    made = await api.made("/roles", {"name": 'O\'Brien "the" clerk', "description": "Works"})
    assert made["id"].startswith("rol_")
    assert made["is_system"] is False
    assert (await api.get(f"/roles/{made['id']}")).json() == made
    changed = await api.patch(f"/roles/{made['id']}", {"description": None})
    assert changed.json() == {**made, "description": None}
    assert (await api.delete(f"/roles/{made['id']}")).status_code == 204
    gone = await api.get(f"/roles/{made['id']}")
    assert (gone.status_code, gone.json()["errorCode"]) == (404, "inexistent_role")
    assert (await api.delete(f"/roles/{made['id']}")).status_code == 204


async def test_a_name_is_given_once(acme: Place) -> None:
    api = acme.api()
    await api.made("/roles", {"name": "Clerk"})
    other = await api.made("/roles", {"name": "Other"})
    assert (await api.post("/roles", {"name": "Clerk"})).status_code == 409
    assert (await api.patch(f"/roles/{other['id']}", {"name": "Clerk"})).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": 7},
        {"name": None},
        {"name": "a\x00b"},
        {"name": "x" * 300},
        {"name": "Clerk", "is_system": True},
        {"name": "Clerk", "id": "rol_mine"},
        {"name": "Clerk", "created_at": "2020-01-01"},
        {"name": "Clerk", "metadata": {str(n): "x" for n in range(60)}},
        {"name": "Clerk", "metadata": {"a": "x" * 20_000}},
        {"name": "Clerk", "metadata": {"a": json.loads("[" * 900 + "]" * 900)}},
        {"name": "Clerk", "metadata": {"a": json.loads('{"a":' * 100 + "1" + "}" * 100)}},
        {"name": "Clerk", "labels": ["eu"]},
    ],
)
async def test_a_malformed_role_is_refused_and_nothing_is_written(
    acme: Place, body: dict[str, object]
) -> None:
    refused = await acme.api().post("/roles", body)
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "invalid_body")
    assert await acme.rows(Role) == []


async def test_permissions_are_added_listed_and_taken_away(acme: Place) -> None:
    api = acme.api()
    await api.made("/resource-servers", API)
    role = await api.made("/roles", {"name": "Clerk"})
    path = f"/roles/{role['id']}/permissions"
    both = {"permissions": [permission("read:invoices"), permission("write:invoices")]}
    assert (await api.post(path, both)).status_code == 201
    assert (await api.post(path, both)).status_code == 201
    listed = (await api.get(path)).json()
    assert listed[0] == {
        **permission("read:invoices"),
        "resource_server_name": "Invoices",
        "description": "Read",
    }
    assert len(listed) == 2
    totals = (await api.get(path, include_totals="true", per_page=1)).json()
    assert (totals["total"], totals["length"], totals["limit"]) == (2, 1, 1)
    assert (await api.delete(path, {"permissions": [permission("read:invoices")]})).status_code == 204
    assert [item["permission_name"] for item in (await api.get(path)).json()] == ["write:invoices"]


async def test_a_permission_that_does_not_exist_is_refused(acme: Place) -> None:
    api = acme.api()
    await api.made("/resource-servers", API)
    role = await api.made("/roles", {"name": "Clerk"})
    for unknown in (permission("fly:invoices"), permission("read:invoices", "https://other.example.com")):
        answer = await api.post(f"/roles/{role['id']}/permissions", {"permissions": [unknown]})
        assert answer.status_code == 400
    assert await acme.rows(RolePermission) == []


async def test_a_system_role_is_read_only_and_a_patch_that_changes_nothing_is_200(acme: Place) -> None:
    api = acme.api()
    await api.made("/resource-servers", API)
    await acme.add(Role, converge=True, id="rol_system", name="Accountant", is_system=True)
    path = "/roles/rol_system"
    for method, to, body in (
        ("PATCH", path, {"name": "Mine"}),
        ("DELETE", path, None),
        ("POST", f"{path}/permissions", {"permissions": [permission("read:invoices")]}),
    ):
        refused = await api(method, to, body)
        assert (refused.status_code, refused.json()["errorCode"]) == (403, "operation_not_supported")
        assert refused.json()["message"] == (
            "This role is a system resource and cannot be modified. Make changes in the control plane instead."
        )
    assert (await api.patch(path, {"name": "Accountant"})).status_code == 200
    assert (await api.patch(path, {})).status_code == 200
    assert (await api.patch(path, {"is_system": True})).status_code == 200
    assert (await api.patch(path, {"is_system": False})).status_code == 400
    assert (await api.post("/roles", {"name": "Accountant"})).status_code == 409


async def test_the_roles_that_a_tenant_keeps_itself_are_a_list_of_their_own(acme: Place) -> None:
    api = acme.api()
    await acme.add(Role, converge=True, id="rol_system", name="Accountant", is_system=True)
    made = await api.made("/roles", {"name": "Clerk", "is_system": False})
    assert (await api.get("/roles", type="tenant")).json() == [made]
    assert (await api.get("/roles", type="organization")).json() == []
    assert (await api.get("/roles", type="other")).status_code == 400


async def test_a_system_role_may_be_given_to_users(acme: Place) -> None:
    api = acme.api()
    await acme.add(Role, converge=True, id="rol_system", name="Accountant", is_system=True)
    user = await api.made("/users", {"email": "ada@acme.example"})
    assert (await api.post("/roles/rol_system/users", {"users": [user["user_id"]]})).status_code == 200
    assert [row["user_id"] for row in (await api.get("/roles/rol_system/users")).json()] == [user["user_id"]]


async def test_a_user_of_another_tenant_gets_no_role_here(world: World) -> None:
    stranger = await world.globex.api().made("/users", {"email": "eve@globex.example"})
    role = await world.acme.api().made("/roles", {"name": "Clerk"})
    answer = await world.acme.api().post(f"/roles/{role['id']}/users", {"users": [stranger["user_id"]]})
    assert (answer.status_code, answer.json()["errorCode"]) == (404, "inexistent_user")


async def test_who_of_a_list_is_not_there_is_named(acme: Place) -> None:
    api = acme.api()
    role, user = (
        await api.made("/roles", {"name": "Clerk"}),
        await api.made("/users", {"email": "bob@acme.example"}),
    )
    users = [user["user_id"], *(f"auth0|{number}" for number in range(7))]
    answer = await api.post(f"/roles/{role['id']}/users", {"users": users})
    assert answer.json()["message"] == (
        "There is no user auth0|0, auth0|1, auth0|2, auth0|3, auth0|4 and 2 more."
    )
    assert (await api.get(f"/roles/{role['id']}/users")).json() == []


async def test_tenant_one_says_which_tenants_a_role_goes_to(one: Place) -> None:
    api = one.api()
    made = await api.made("/roles", {"name": "Clerk", "labels": ["eu"], "metadata": {"sync": False}})
    assert made["labels"] == ["eu"]
    assert made["metadata"] == {"sync": False}
    changed = await api.patch(f"/roles/{made['id']}", {"metadata": {"sync": True, "note": "x"}})
    assert changed.json()["metadata"] == {"sync": True, "note": "x"}
    cleared = await api.patch(f"/roles/{made['id']}", {"metadata": {"note": None}})
    assert cleared.json()["metadata"] == {"sync": True}


async def test_wait_sync_answers_with_how_far_the_tenants_are(world: World) -> None:
    api = world.one.api()
    made = await api.post("/roles?wait=sync", {"name": "Clerk"})
    assert (made.status_code, made.headers["keystead-sync"]) == (201, "converged")
    world.lifecycle.lagging = 3
    path = f"/roles/{made.json()['id']}"
    assert (await api.patch(f"{path}?wait=sync", {"name": "X"})).headers[
        "keystead-sync"
    ] == "pending;lagging=3"
    assert "keystead-sync" not in (await api.patch(path, {"name": "Y"})).headers
    gone = await api.delete(f"{path}?wait=sync")
    assert (gone.status_code, gone.headers["keystead-sync"]) == (204, "pending;lagging=3")
    assert world.lifecycle.waits == 3
    assert len(world.wakes) == 4
    assert (await api.post("/roles?wait=forever", {"name": "Z"})).status_code == 400
    on_a_child = await world.acme.api().post("/roles?wait=sync", {"name": "Clerk"})
    assert "keystead-sync" not in on_a_child.headers


async def test_a_write_that_changes_nothing_wakes_nobody(world: World) -> None:
    api = world.one.api()
    role = await api.made("/roles", {"name": "Clerk"})
    world.wakes.clear()
    await api.patch(f"/roles/{role['id']}", {"name": "Clerk"})
    assert world.wakes == []


async def test_nobody_puts_into_a_role_what_they_do_not_hold(world: World) -> None:
    management = world.one.tenant.management_audience
    role = await world.one.api().made("/roles", {"name": "Helper"})
    helper = world.one.with_token(world.one.token({"update:roles", "read:users"}))
    path = f"/roles/{role['id']}/permissions"
    for name in ("delete:users", "create:tenants"):
        refused = await helper.post(path, {"permissions": [permission(name, management)]})
        assert refused.status_code == 403, name
    assert (
        await helper.post(path, {"permissions": [permission("read:users", management)]})
    ).status_code == 201
    operator = world.one.with_token(world.one.token(PLATFORM_TOO))
    assert (
        await operator.post(path, {"permissions": [permission("create:tenants", management)]})
    ).status_code == 201
    user = await operator.made("/users", {"email": "ada@example.com"})
    admin = world.one.with_token(world.one.token(EVERYTHING))
    refused = await admin.post(f"/users/{user['user_id']}/roles", {"roles": [role["id"]]})
    assert refused.status_code == 403, "the role holds a platform permission that this admin lacks"
    assert (
        await operator.post(f"/users/{user['user_id']}/roles", {"roles": [role["id"]]})
    ).status_code == 204


async def test_roles_are_found_by_name_and_the_pattern_is_no_wildcard(acme: Place) -> None:
    api = acme.api()
    for name in ("100% clerk", "100 clerks", "Boss"):
        await api.made("/roles", {"name": name})
    assert [role["name"] for role in (await api.get("/roles", name_filter="100%")).json()] == ["100% clerk"]
    assert len((await api.get("/roles", name_filter="CLERK")).json()) == 2
