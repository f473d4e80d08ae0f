"""`/organizations/{id}/enabled_connections` and `/client-grants`, and the lists that look the other way."""

from typing import Any

import pytest

from tenant_runtime import models
from tests.management.world import EVERYTHING, PLATFORM_TOO, Place, World

pytestmark = pytest.mark.anyio

USAGE = {"organization_usage": "allow"}


async def organization(place: Place, name: str = "north") -> str:
    return str((await place.api().made("/organizations", {"name": name}))["id"])


async def database(place: Place) -> dict[str, Any]:
    [found] = (await place.api().get("/connections", strategy="auth0")).json()
    return dict(found)


async def grant(place: Place, **more: Any) -> dict[str, Any]:
    name = f"https://{len(await place.rows(models.ResourceServer))}.example.com"
    await place.api().made("/resource-servers", {"name": name, "identifier": name})
    return await place.api().made(
        "/client-grants", {"client_id": place.machine, "audience": name, "scope": [], **more}
    )


async def managed(world: World) -> str:
    id = "org_acmeacmeacmeacme"
    await world.one.add(
        models.Organization, converge=True, id=id, name="acme", branding={}, metadata={}, managed_by="tenant"
    )
    return id


async def test_connections_are_enabled_shown_changed_and_disabled(acme: Place) -> None:
    api, connection = acme.api(), await database(acme)
    path = f"/organizations/{await organization(acme)}/enabled_connections"
    flags = {"assign_membership_on_login": True, "is_signup_enabled": True, "show_as_button": False}
    wanted = {
        "connection_id": connection["id"],
        **flags,
        "connection": {"name": connection["name"], "strategy": "auth0"},
    }
    assert (await api.get(path)).json() == []
    assert await api.made(path, {"connection_id": connection["id"], **flags}) == wanted
    assert (await api.post(path, {"connection_id": connection["id"]})).status_code == 409
    assert (await api.get(path)).json() == [wanted]
    totals = (await api.get(path, include_totals="true")).json()
    assert (totals["total"], totals["enabled_connections"]) == (1, [wanted])
    one = f"{path}/{connection['id']}"
    assert (await api.get(one)).json() == wanted
    off = {"assign_membership_on_login": False, "is_signup_enabled": False}
    assert (await api.patch(one, off)).json() == {**wanted, **off}
    events = len(await acme.events())
    assert (await api.patch(one, off)).json() == {**wanted, **off}
    assert len(await acme.events()) == events
    assert [(await api.delete(one)).status_code for _ in range(2)] == [204, 204]
    assert (await api.get(one)).json()["errorCode"] == "inexistent_connection"


async def test_an_organization_begins_with_the_connections_that_it_is_made_with(acme: Place) -> None:
    api, connection = acme.api(), await database(acme)
    flags = {"assign_membership_on_login": True, "is_signup_enabled": False, "show_as_button": True}
    asked = {"connection_id": connection["id"], "assign_membership_on_login": True}
    made = await api.made("/organizations", {"name": "north", "enabled_connections": [asked]})
    [enabled] = made["enabled_connections"]
    assert enabled["connection_id"] == connection["id"]
    assert flags.items() <= enabled.items()
    assert (await api.get(f"/organizations/{made['id']}/enabled_connections")).json() == [enabled]
    plain = await api.made("/organizations", {"name": "south", "enabled_connections": []})
    assert "enabled_connections" not in plain


async def test_an_organization_is_not_made_when_its_connections_are_refused(acme: Place) -> None:
    one = {"connection_id": (await database(acme))["id"]}
    body = {"name": "north", "enabled_connections": [one]}
    without = acme.api(*EVERYTHING - {"create:organization_connections"})
    for api, enabled, status in (
        (without, [one], 403),
        (acme.api(), [one, {"connection_id": "con_nobody"}], 404),
        (acme.api(), [one, one], 409),
        (acme.api(), [{**one, "is_signup_enabled": True}], 400),
    ):
        assert (
            await api.post("/organizations", {**body, "enabled_connections": enabled})
        ).status_code == status
    assert await acme.rows(models.Organization) == []
    assert await acme.rows(models.OrganizationConnection) == []
    assert (await without.post("/organizations", {"name": "north"})).status_code == 201


async def test_what_makes_no_sense_is_refused(acme: Place) -> None:
    api, connection = acme.api(), (await database(acme))["id"]
    path = f"/organizations/{await organization(acme)}/enabled_connections"
    for body, status in (
        ({"connection_id": "con_nobody"}, 404),
        ({"connection_id": connection, "is_signup_enabled": True}, 400),
        ({"connection_id": connection, "organization_id": "org_x"}, 400),
        ({}, 400),
    ):
        assert (await api.post(path, body)).status_code == status
    assert (
        await api.post("/organizations/org_nobody/enabled_connections", {"connection_id": connection})
    ).status_code == 404
    assert await acme.rows(models.OrganizationConnection) == []


async def test_a_row_outlives_its_connection_and_not_its_organization(acme: Place) -> None:
    api = acme.api()
    made = await api.made("/connections", {"name": "corporate", "strategy": "oidc"})
    id = await organization(acme)
    await api.made(f"/organizations/{id}/enabled_connections", {"connection_id": made["id"]})
    await api.delete(f"/connections/{made['id']}")
    assert (await api.get(f"/organizations/{id}/enabled_connections")).json() == []
    assert len(await acme.rows(models.OrganizationConnection)) == 1
    assert (await api.delete(f"/organizations/{id}/enabled_connections/{made['id']}")).status_code == 204
    assert await acme.rows(models.OrganizationConnection) == []
    await api.made(
        f"/organizations/{id}/enabled_connections", {"connection_id": (await database(acme))["id"]}
    )
    await api.delete(f"/organizations/{id}")
    assert await acme.rows(models.OrganizationConnection) == []


async def test_client_grants_are_given_to_an_organization_and_taken_back(acme: Place) -> None:
    api, id = acme.api(), await organization(acme)
    path = f"/organizations/{id}/client-grants"
    first, second = await grant(acme, **USAGE), await grant(acme, organization_usage="require")
    denied = await grant(acme)
    assert await api.made(path, {"grant_id": first["id"]}) == first
    assert await api.made(path, {"grant_id": second["id"]}) == second
    assert await api.made(path, {"grant_id": second["id"]}) == second
    for body, status in (({"grant_id": denied["id"]}, 400), ({"grant_id": "cgr_nobody"}, 404), ({}, 400)):
        assert (await api.post(path, body)).status_code == status
    found = (await api.get(path)).json()
    assert {each["id"] for each in found} == {first["id"], second["id"]}
    assert (await api.get(path, audience=first["audience"])).json() == [first]
    assert (await api.get(path, grant_ids=second["id"])).json() == [second]
    assert (await api.get(path, client_id="nobody")).json() == []
    [shown] = (await api.get(f"/client-grants/{first['id']}/organizations")).json()
    assert (shown["id"], shown["name"]) == (id, "north")
    assert (await api.get("/client-grants/cgr_nobody/organizations")).status_code == 404
    assert (await api.delete(f"{path}/{first['id']}")).status_code == 204
    await api.delete(f"/client-grants/{second['id']}")
    assert (await api.get(path)).json() == []
    assert await acme.rows(models.OrganizationClientGrant) == []


async def test_lists_are_paged(acme: Place) -> None:
    api, id = acme.api(), await organization(acme)
    path = f"/organizations/{id}/client-grants"
    ids = []
    for _ in range(3):
        acme.world.clock.time += 1
        ids.append((await grant(acme, **USAGE))["id"])
        await api.made(path, {"grant_id": ids[-1]})
    page = (await api.get(path, take=2)).json()
    rest = (await api.get(path, take=2, **{"from": page["next"]})).json()
    assert [each["id"] for each in page["client_grants"] + rest["client_grants"]] == ids
    totals = (await api.get(path, include_totals="true", per_page=1, page=1)).json()
    assert (totals["total"], [each["id"] for each in totals["client_grants"]]) == (3, ids[1:2])


async def test_what_decides_who_manages_a_tenant_takes_update_tenants(world: World) -> None:
    one, id = world.one, await managed(world)
    connection = (await database(one))["id"]
    made = await grant(one, **USAGE)
    bodies = {
        "enabled_connections": {"connection_id": connection},
        "client-grants": {"grant_id": made["id"]},
    }
    tenant_only, platform = one.api(*EVERYTHING), one.api(*PLATFORM_TOO)
    for kind, body in bodies.items():
        path = f"/organizations/{id}/{kind}"
        assert (await tenant_only.get(path)).status_code == 403
        assert (await tenant_only.post(path, body)).status_code == 403
        assert (await tenant_only.delete(f"{path}/{next(iter(body.values()))}")).status_code == 403
        assert (await platform.post(path, body)).status_code == 201
    brings = {"assign_membership_on_login": True}
    path = f"/organizations/{id}/enabled_connections/{connection}"
    assert (await platform.patch(path, brings)).status_code == 400


async def test_a_client_that_acts_for_a_tenants_organization_is_out_of_reach_for_who_may_not(
    world: World,
) -> None:
    one, id = world.one, await managed(world)
    management = one.tenant.management_audience
    client = await one.api().made("/clients", {"name": "robot", "app_type": "non_interactive"})
    body = {"client_id": client["client_id"], "audience": management, "scope": ["read:roles"], **USAGE}
    made = await one.api().made("/client-grants", body)
    platform, tenant_only = one.api(*PLATFORM_TOO), one.api(*EVERYTHING)
    path = f"/clients/{client['client_id']}"
    assert "client_secret" in (await tenant_only.get(path)).json()
    await platform.made(f"/organizations/{id}/client-grants", {"grant_id": made["id"]})
    assert "client_secret" not in (await tenant_only.get(path)).json()
    assert (await tenant_only.post(f"{path}/rotate-secret")).status_code == 403
    assert "client_secret" in (await platform.get(path)).json()
    await platform.patch(f"/client-grants/{made['id']}", {"organization_usage": "deny"})
    opened = await tenant_only.patch(f"/client-grants/{made['id']}", {"organization_usage": "allow"})
    assert opened.status_code == 403


async def test_a_clients_connections_are_listed(acme: Place) -> None:
    api = acme.api()
    other = await api.made("/clients", {"name": "other"})
    mine = await api.made(
        "/connections", {"name": "a", "strategy": "oidc", "enabled_clients": [acme.machine]}
    )
    await api.made("/connections", {"name": "b", "strategy": "oidc", "enabled_clients": [other["client_id"]]})
    path = f"/clients/{acme.machine}/connections"
    found = (await api.get(path)).json()
    assert {each["name"] for each in found["connections"]} == {
        "Username-Password-Authentication",
        "email",
        "a",
    }
    assert (await api.get(path, strategy="oidc")).json() == {"connections": [mine]}
    page = (await api.get(path, take=1)).json()
    assert (len(page["connections"]), "next" in page) == (1, True)
    assert (await api.get("/clients/nobody/connections")).status_code == 404
