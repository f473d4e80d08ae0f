"""`/api/v2/tenants` on the control-plane host: specs of the table, row by row."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.conftest import Platform, platform_of
from tests.installation import Installation
from tests.operators import Caller, operator_token

pytestmark = pytest.mark.anyio

numbers = itertools.count(1)


def fresh_id(name: str = "t") -> str:
    return f"{name}{next(numbers)}"


async def refused(answer: Any, status: int, code: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"statusCode", "error", "message", "errorCode"}
    assert body["statusCode"] == status
    if code is not None:
        assert body["errorCode"] == code


# --- create ------------------------------------------------------------------------------------------------------


async def test_a_new_tenant_is_active_and_serves_at_its_own_host(platform: Platform) -> None:
    tenant = await platform.made(fresh_id(), display_name="Ten Ants")
    assert tenant["state"] == "active"
    assert tenant["display_name"] == tenant["friendly_name"] == "Ten Ants"
    assert tenant["issuer"] == f"http://{tenant['hosts'][0]}:8000/"
    assert tenant["sync"]["converged"]
    metadata = await platform.installation.http.get(f"{tenant['issuer']}.well-known/openid-configuration")
    assert metadata.json()["issuer"] == tenant["issuer"]


async def test_friendly_name_is_another_word_for_display_name(platform: Platform) -> None:
    assert (await platform.made(fresh_id(), friendly_name="By Auth0"))["display_name"] == "By Auth0"


async def test_a_person_who_creates_a_tenant_owns_its_organization(platform: Platform) -> None:
    admin = await platform.person("Platform Admin")
    tenant = (await platform("POST", "/tenants", {"id": fresh_id()}, caller=admin)).json()
    members = (await platform("GET", f"/organizations/{tenant['organization_id']}/members")).json()
    assert [member["user_id"] for member in members] == [admin.user_id]


async def test_nobody_joins_when_the_creator_asks_not_to(platform: Platform) -> None:
    admin = await platform.person("Platform Admin")
    body = {"id": fresh_id(), "add_creator": False}
    tenant = (await platform("POST", "/tenants", body, caller=admin)).json()
    assert (await platform("GET", f"/organizations/{tenant['organization_id']}/members")).json() == []


@pytest.mark.parametrize(
    "tenant_id",
    [
        "www", "api", "admin", "auth", "login", "manage", "static", "status", "mail", "settings", "control-plane",
        "../x", "x/y", "%2e%2e", "a" * 64, "a" * 300, "\U0001f600", "Acme", "-a", "a-", "a_b", "a.b", "", " acme",
        "acme ", "a\n", "a\x00b",
    ],
)  # fmt: skip
async def test_an_id_that_is_reserved_or_no_label_is_400_and_makes_no_file(
    platform: Platform, tenant_id: str
) -> None:
    before = _files(platform.installation)
    await refused(await platform("POST", "/tenants", {"id": tenant_id}), 400)
    assert _files(platform.installation) == before


def _files(installation: Installation) -> set[Path]:
    root = installation.app.settings.data_dir
    return {*root.rglob("*.db"), *root.parent.glob("*")}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": 5},
        {"id": "ok1", "state": "active"},
        {"id": "ok1", "organization_id": "org_x"},
        {"id": "ok1", "is_control_plane": True},
        {"id": "ok1", "incarnation": "x"},
        {"id": "ok1", "labels": ["UPPER"]},
        {"id": "ok1", "labels": "a"},
        {"id": "ok1", "display_name": ""},
        {"id": "ok1", "display_name": "x" * 256},
        {"id": "ok1", "add_creator": "false"},
        {"id": "ok1", "backend": "nowhere"},
        [],
    ],
)
async def test_a_body_that_does_not_fit_is_400(platform: Platform, body: Any) -> None:
    await refused(await platform("POST", "/tenants", body), 400)
    await refused(await platform("GET", "/tenants/ok1"), 404)


async def test_a_taken_id_is_409_and_nothing_of_the_holder_changes(platform: Platform) -> None:
    before = (await platform("GET", "/tenants/globex")).json()
    await refused(await platform("POST", "/tenants", {"id": "globex", "display_name": "Mine"}), 409)
    await refused(await platform("POST", "/tenants", {"id": "control-plane"}), 400)
    assert (await platform("GET", "/tenants/globex")).json() == before


async def test_an_organization_of_somebodys_own_keeps_its_name(platform: Platform) -> None:
    name = fresh_id("own")
    assert (await platform("POST", "/organizations", {"name": name})).status_code == 201
    await refused(await platform("POST", "/tenants", {"id": name}), 409, "organization_exists")
    await refused(await platform("GET", f"/tenants/{name}"), 404)


async def test_only_json_is_read(platform: Platform) -> None:
    answer = await platform.installation.http.post(
        f"{platform.issuer}api/v2/tenants",
        content=b"id=x",
        headers={
            "Authorization": f"Bearer {platform.machine.token}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    assert answer.status_code == 415


# --- lists -------------------------------------------------------------------------------------------------------


async def test_a_list_is_an_array_or_has_totals(platform: Platform) -> None:
    everything = (await platform("GET", "/tenants", per_page="100")).json()
    totals = (await platform("GET", "/tenants", include_totals="true", per_page="2", page="1")).json()
    assert {name: totals[name] for name in ("start", "limit", "length", "total")} == {
        "start": 2, "limit": 2, "length": 2, "total": len(everything),
    }  # fmt: skip
    assert totals["tenants"] == everything[2:4]


@pytest.mark.parametrize(
    "sort", ["id:1", "id:-1", "created_at:-1", "display_name:1", "state:1", "updated_at:-1"]
)
async def test_pages_by_checkpoint_hold_each_tenant_once_in_every_order(
    platform: Platform, sort: str
) -> None:
    whole = [tenant["id"] for tenant in (await platform("GET", "/tenants", per_page="100", sort=sort)).json()]
    seen: list[str] = []
    query = {"take": "2", "sort": sort}
    while True:
        page = (await platform("GET", "/tenants", **query)).json()
        seen += [tenant["id"] for tenant in page["tenants"]]
        if "next" not in page:
            break
        query["from"] = page["next"]
    assert seen == whole
    field, _, direction = sort.partition(":")
    if field == "id":
        assert whole == sorted(whole, reverse=direction == "-1")


async def test_a_page_token_is_good_for_the_list_it_came_from_only(platform: Platform) -> None:
    token = (await platform("GET", "/tenants", take="1")).json()["next"]
    await refused(await platform("GET", "/tenants", take="1", **{"from": token, "q": "a"}), 400)
    await refused(await platform("GET", "/operations", take="1", **{"from": token}), 400)
    await refused(await platform("GET", "/tenants", take="1", **{"from": token[:-2] + "AA"}), 400)


@pytest.mark.parametrize(
    "query",
    [
        {"per_page": "101"}, {"per_page": "x"}, {"page": "-1"}, {"sort": "location:1"}, {"sort": "id"},
        {"state": "nice"}, {"include_totals": "1"}, {"take": "0"},
    ],
)  # fmt: skip
async def test_a_query_that_means_nothing_is_400(platform: Platform, query: dict[str, str]) -> None:
    await refused(await platform("GET", "/tenants", **query), 400, "invalid_query_string")


async def test_tenants_are_found_by_words_labels_and_state(platform: Platform) -> None:
    name = fresh_id("find")
    await platform.made(name, display_name="Quite 100% Unusual", labels=["gold", "eu"])
    suspended = fresh_id("find")
    await platform.made(suspended)
    await platform("POST", f"/tenants/{suspended}/suspend")

    async def found(**query: str) -> list[str]:
        return [tenant["id"] for tenant in (await platform("GET", "/tenants", **query)).json()]

    assert await found(q="100% un") == [name]
    assert await found(q="FIND", sort="id:1") == sorted([name, suspended])
    assert await found(label="gold") == [name]
    assert await found(label="go") == []
    assert await found(state="suspended") == [suspended]
    assert await found(q="'; DROP TABLE tenants; --") == []


# --- read --------------------------------------------------------------------------------------------------------


async def test_an_operator_without_read_tenants_sees_the_tenants_of_their_organizations(
    platform: Platform,
) -> None:
    mine, other = await platform.made(fresh_id()), await platform.made(fresh_id())
    person = await platform.person()
    assert (await platform("GET", "/tenants", caller=person)).json() == []
    await platform.join(mine, person.user_id)
    totals = (await platform("GET", "/tenants", caller=person, include_totals="true")).json()
    assert (totals["total"], [tenant["id"] for tenant in totals["tenants"]]) == (1, [mine["id"]])
    assert (await platform("GET", f"/tenants/{mine['id']}", caller=person)).status_code == 200
    for tenant_id in (other["id"], "control_plane", "nowhere"):
        await refused(
            await platform("GET", f"/tenants/{tenant_id}", caller=person), 403, "insufficient_reach"
        )
    for path in ("/fleet", "/fleet/sync", "/operations", f"/tenants/{mine['id']}/operations"):
        await refused(await platform("GET", path, caller=person), 403, "insufficient_scope")
    await refused(
        await platform("DELETE", f"/tenants/{mine['id']}", caller=person), 403, "insufficient_scope"
    )


async def test_a_token_of_an_organization_reads_its_own_tenant_and_nothing_else_here(
    platform: Platform,
) -> None:
    mine, other = await platform.made(fresh_id()), await platform.made(fresh_id())
    admin = await platform.person("Platform Admin")
    await platform.join(mine, admin.user_id)
    token = await operator_token(platform.installation, admin.user, mine["organization_id"])
    bound = Caller(platform.installation.http, token)
    assert (await platform("GET", f"/tenants/{mine['id']}", caller=bound)).status_code == 200
    await refused(await platform("GET", f"/tenants/{other['id']}", caller=bound), 403, "insufficient_reach")
    for method, path in [
        ("GET", "/tenants"), ("POST", "/tenants"), ("PATCH", f"/tenants/{mine['id']}"),
        ("DELETE", f"/tenants/{mine['id']}"), ("POST", f"/tenants/{mine['id']}/suspend"), ("GET", "/fleet"),
        ("GET", f"/tenants/{mine['id']}/operations"), ("POST", "/fleet/converge"),
    ]:  # fmt: skip
        await refused(await platform(method, path, {"id": "x1"}, caller=bound), 403, "insufficient_reach")


async def test_a_machine_without_a_permission_is_nobodys_member(platform: Platform) -> None:
    tokenless = await platform.installation.http.get(f"{platform.issuer}api/v2/tenants")
    assert tokenless.status_code == 401
    assert tokenless.headers["WWW-Authenticate"].startswith("Bearer")


# --- change ------------------------------------------------------------------------------------------------------


async def test_a_change_reaches_the_organization_and_stays_in_the_record(platform: Platform) -> None:
    tenant = await platform.made(fresh_id())
    body = {"display_name": "New \u201cname\u201d", "labels": ["b", "a", "b"], "limits": {"users": 10}}
    changed = (await platform("PATCH", f"/tenants/{tenant['id']}", body)).json()
    assert changed["display_name"] == body["display_name"]
    assert changed["labels"] == ["a", "b"]
    assert changed["limits"] == {"users": 10}
    assert changed["created_at"] == tenant["created_at"]
    organization = (await platform("GET", f"/organizations/{tenant['organization_id']}")).json()
    assert organization["display_name"] == body["display_name"]
    assert organization["name"] == tenant["id"]


async def test_labels_decide_at_once_what_a_tenant_shares_in(platform: Platform) -> None:
    tenant = await platform.made(fresh_id())
    body = {"name": fresh_id("Gold "), "labels": ["gold"]}
    role = (await platform("POST", "/roles", body)).json()
    url = f"{tenant['issuer']}api/v2/roles/{role['id']}"
    assert (await platform.machine.call("GET", url)).status_code == 404
    await platform("PATCH", f"/tenants/{tenant['id']}", {"labels": ["gold"]})
    assert (await platform.machine.call("GET", url)).status_code == 200
    await platform("PATCH", f"/tenants/{tenant['id']}", {"labels": []})
    assert (await platform.machine.call("GET", url)).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"id": "other"}, {"state": "suspended"}, {"organization_id": "org_x"}, {"generation": 2}, {"backend": "x"},
        {"is_control_plane": True}, {"purge_after": None}, {"display_name": None}, {"labels": ["x y"]},
        {"limits": {"users": "10"}}, {"limits": {"users": -1}}, {"location": "../x"}, {"wrapped_key": "x"},
    ],
)  # fmt: skip
async def test_what_the_platform_owns_cannot_be_assigned(platform: Platform, body: Any) -> None:
    before = (await platform("GET", "/tenants/initech")).json()
    await refused(await platform("PATCH", "/tenants/initech", body), 400)
    assert (await platform("GET", "/tenants/initech")).json() == before


async def test_a_change_of_nobody_is_404(platform: Platform) -> None:
    await refused(await platform("PATCH", "/tenants/nobody", {"display_name": "x"}), 404)


# --- suspend, resume -----------------------------------------------------------------------------------------------


async def test_a_suspended_tenant_refuses_and_comes_back_as_it_was(platform: Platform) -> None:
    tenant = await platform.made(fresh_id())
    http, issuer = platform.installation.http, tenant["issuer"]
    suspended = (await platform("POST", f"/tenants/{tenant['id']}/suspend")).json()
    assert suspended["state"] == "suspended"
    assert suspended["suspended_at"] is not None
    assert (await http.post(f"{issuer}oauth/token")).json()["error"] == "access_denied"
    await refused(await platform.machine.call("GET", f"{issuer}api/v2/roles"), 403, "tenant_suspended")
    assert (await http.get(f"{issuer}userinfo")).status_code == 403
    assert (await http.get(f"{issuer}.well-known/jwks.json")).status_code == 200
    assert (await http.get(f"{issuer}authorize?client_id=x")).status_code in (400, 403)
    again = await platform("POST", f"/tenants/{tenant['id']}/suspend")
    assert again.json()["suspended_at"] == suspended["suspended_at"]
    resumed = (await platform("POST", f"/tenants/{tenant['id']}/resume")).json()
    assert (resumed["state"], resumed["suspended_at"]) == ("active", None)
    assert (await platform.machine.call("GET", f"{issuer}api/v2/roles")).status_code == 200


@pytest.mark.parametrize("verb", ["suspend", "resume", "restore", "retry", "converge"])
async def test_tenant_one_is_never_suspended_restored_or_converged(platform: Platform, verb: str) -> None:
    answer = await platform("POST", f"/tenants/control_plane/{verb}")
    await refused(answer, 403, "operation_not_supported")
    assert (await platform("GET", "/tenants/control_plane")).json()["state"] == "active"


# --- delete, restore -----------------------------------------------------------------------------------------------


async def test_deleting_stops_sign_in_at_once_keeps_the_database_and_can_be_undone(
    platform: Platform,
) -> None:
    member = await platform.person()
    tenant = await platform.made(fresh_id())
    await platform.join(tenant, member.user_id)
    path = f"/tenants/{tenant['id']}"
    gone = await platform("DELETE", path)
    assert gone.status_code == 202
    assert gone.json()["state"] == "deleting"
    assert gone.json()["purge_after"] is not None
    http = platform.installation.http
    for below in ("authorize", "oauth/token", ".well-known/openid-configuration", "api/v2/roles", "userinfo"):
        assert (await http.get(f"{tenant['issuer']}{below}")).status_code == 404, below
    await refused(await platform("GET", f"/organizations/{tenant['organization_id']}"), 404)
    again = await platform("DELETE", path)
    assert (again.status_code, again.json()["purge_after"]) == (202, gone.json()["purge_after"])
    await refused(await platform("POST", "/tenants", {"id": tenant["id"]}), 409)
    await refused(await platform("POST", f"{path}/resume"), 409)

    restored = await platform("POST", f"{path}/restore")
    assert restored.json()["state"] == "active"
    assert restored.json()["organization_id"] == tenant["organization_id"]
    members = (await platform("GET", f"/organizations/{tenant['organization_id']}/members")).json()
    assert [item["user_id"] for item in members] == [member.user_id]
    assert (await http.get(f"{tenant['issuer']}.well-known/jwks.json")).status_code == 200
    await refused(await platform("POST", f"{path}/restore"), 409)


async def test_a_suspended_tenant_is_suspended_again_when_it_is_restored(platform: Platform) -> None:
    tenant = await platform.made(fresh_id())
    path = f"/tenants/{tenant['id']}"
    await platform("POST", f"{path}/suspend")
    await platform("DELETE", path)
    assert (await platform("POST", f"{path}/restore")).json()["state"] == "suspended"


async def test_a_wrong_confirmation_and_tenant_one_are_403(platform: Platform) -> None:
    await refused(await platform("DELETE", "/tenants/acme", confirm="globex"), 403)
    await refused(await platform("DELETE", "/tenants/control_plane", confirm="control_plane"), 403)
    await refused(await platform("DELETE", "/tenants/nobody"), 404)
    assert (await platform("GET", "/tenants/acme")).json()["state"] == "active"


async def test_a_purged_tenant_leaves_a_tombstone_for_ever(fresh: Platform) -> None:
    path = fresh.installation.app.settings.data_dir
    before = {file.name for file in path.rglob("*.db")}
    tenant = await fresh.made("mayfly")
    made = {file.name for file in path.rglob("*.db")} - before
    assert made
    await fresh("DELETE", "/tenants/mayfly")
    fresh.installation.clock.advance(8 * 86_400)
    later = await platform_of(fresh.installation)
    async with asyncio.timeout(60):
        while (found := (await later("GET", "/tenants/mayfly")).json())["state"] != "deleted":
            await asyncio.sleep(0.05)
    assert found["deleted_at"] is not None
    assert found["organization_id"] is None
    assert not made & {file.name for file in path.rglob("*.db")}
    await refused(await later("POST", "/tenants", {"id": "mayfly"}), 409, "tenant_exists")
    assert (await later("DELETE", "/tenants/mayfly")).status_code == 202
    await refused(await later("POST", "/tenants/mayfly/restore"), 409)
    await refused(await later("PATCH", "/tenants/mayfly", {"display_name": "x"}), 404)
    assert "mayfly" not in [item["id"] for item in (await later("GET", "/tenants")).json()]
    assert [item["id"] for item in (await later("GET", "/tenants", state="deleted")).json()] == ["mayfly"]
    assert (await later.installation.http.get(f"{tenant['issuer']}.well-known/jwks.json")).status_code == 404


async def test_two_who_create_the_same_tenant_get_one_201_and_one_409(platform: Platform) -> None:
    for _ in range(4):
        body = {"id": fresh_id("race")}
        answers = await asyncio.gather(*(platform("POST", "/tenants", body) for _ in range(3)))
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


async def test_deleting_while_provisioning_frees_the_id_or_deletes_the_tenant(platform: Platform) -> None:
    for delay in (0.0, 0.02, 0.08):
        body = {"id": fresh_id("early")}
        creating = asyncio.create_task(platform("POST", "/tenants", body))
        await asyncio.sleep(delay)
        deleted = await platform("DELETE", f"/tenants/{body['id']}")
        assert deleted.status_code in (202, 404)
        await creating
        found = await platform("GET", f"/tenants/{body['id']}")
        if deleted.status_code == 404:
            assert found.json()["state"] == "active"
            continue
        assert found.status_code == 404 or found.json()["state"] == "deleting", found.text
        if found.status_code == 404:
            assert (await platform("POST", "/tenants", body)).json()["state"] == "active"


# --- self-service --------------------------------------------------------------------------------------------------


async def test_without_self_service_a_user_creates_no_tenant(platform: Platform) -> None:
    person = await platform.person()
    await refused(
        await platform("POST", "/tenants", {"id": "mine"}, caller=person), 403, "insufficient_scope"
    )


async def test_with_self_service_a_verified_user_creates_a_tenant_and_administers_it(
    open_to_all: Platform,
) -> None:
    person = await open_to_all.person()
    made = await open_to_all("POST", "/tenants", {"id": "mine"}, caller=person)
    assert made.status_code == 201, made.text
    assert [tenant["id"] for tenant in (await open_to_all("GET", "/tenants", caller=person)).json()] == [
        "mine"
    ]
    token = await operator_token(open_to_all.installation, person.user, made.json()["organization_id"])
    own = Caller(open_to_all.installation.http, token)
    assert (await own.call("POST", f"{made.json()['issuer']}api/v2/roles", {"name": "r"})).status_code == 201
    for extra in ({"labels": ["gold"]}, {"region": "eu"}, {"backend": "sqlite"}):
        answer = await open_to_all("POST", "/tenants", {"id": "more", **extra}, caller=person)
        await refused(answer, 403)


async def test_with_self_service_an_unverified_user_creates_nothing(open_to_all: Platform) -> None:
    person = await open_to_all.person(email_verified=False)
    await refused(await open_to_all("POST", "/tenants", {"id": "mine"}, caller=person), 403)
    await refused(await open_to_all("GET", "/tenants/mine"), 404)
