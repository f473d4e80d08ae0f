"""`/connections`: kept in Auth0's shape, their secrets read by nobody, their addresses judged before they are kept."""

import json
from typing import Any

import pytest

from core.crypto.sealing import SealBroken
from tenant_runtime import models
from tenant_runtime.connections.secrets import open_secrets
from tests.management.world import Place, World

pytestmark = pytest.mark.anyio

OIDC = {
    "type": "back_channel",
    "client_id": "upstream",
    "client_secret": "hush-hush",
    "issuer": "https://idp.example.com",
    "token_endpoint": "https://idp.example.com/token",
    "authorization_endpoint": "https://idp.example.com/authorize",
    "scope": "openid profile",
}


async def made(place: Place, strategy: str = "oidc", name: str = "corporate", **more: Any) -> dict[str, Any]:
    place.world.clock.time += 1  # lists are in the order of creation
    body = {"name": name, "strategy": strategy, "options": OIDC if strategy == "oidc" else {}, **more}
    return await place.api().made("/connections", body)


async def stored(place: Place, id: str) -> Any:
    [row] = await place.rows(models.Connection, id=id)
    return row


async def test_a_connection_is_made_read_changed_and_deleted(acme: Place) -> None:
    api = acme.api()
    body = {
        "name": "corporate",
        "strategy": "oidc",
        "display_name": "Corporate",
        "options": {
            **OIDC,
            "icon_url": "https://cdn.example.com/i.png",
            "set_user_root_attributes": "on_each_login",
        },
        "show_as_button": True,
        "metadata": {"team": "it"},
        "authentication": {"active": True},
    }
    connection = await api.made("/connections", body)
    public = {name: value for name, value in body["options"].items() if name != "client_secret"}  # type: ignore[attr-defined]
    assert connection == {
        **body, "options": public, "id": connection["id"], "enabled_clients": [], "realms": ["corporate"],
        "is_domain_connection": False,
    }  # fmt: skip
    assert connection["id"].startswith("con_")
    path = f"/connections/{connection['id']}"
    assert (await api.get(path)).json() == connection
    assert (await api.get(path, fields="name,strategy")).json() == {"name": "corporate", "strategy": "oidc"}
    changes = {"display_name": "Firm", "metadata": {"team": None, "x": "y"}, "show_as_button": False}
    changed = (await api.patch(path, changes)).json()
    assert changed == {**connection, "display_name": "Firm", "metadata": {"x": "y"}, "show_as_button": False}
    assert (await api.post("/connections", body)).status_code == 409
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).json()["errorCode"] == "inexistent_connection"
    assert (await api.delete(path)).status_code == 204


async def test_a_patch_that_changes_nothing_writes_nothing(acme: Place) -> None:
    connection = await made(acme)
    before = (await stored(acme, connection["id"]))._asdict(), len(await acme.events())
    public = {name: value for name, value in OIDC.items() if name != "client_secret"}
    for body in ({}, {"options": OIDC}, {"options": public}, {"enabled_clients": []}):
        answer = await acme.api().patch(f"/connections/{connection['id']}", body)
        assert (answer.status_code, answer.json()) == (200, connection)
    assert ((await stored(acme, connection["id"]))._asdict(), len(await acme.events())) == before


async def test_lists_are_paged_both_ways_and_filtered(acme: Place) -> None:
    api = acme.api()
    for number in range(3):
        await made(acme, name=f"idp-{number}")
    await made(acme, "github", "hub")
    everything = (await api.get("/connections", per_page=100)).json()
    assert [each["name"] for each in everything][2:] == ["idp-0", "idp-1", "idp-2", "hub"]
    first = (await api.get("/connections", take=4, strategy=["oidc", "github"])).json()
    assert ([each["name"] for each in first["connections"]], "next" in first) == (
        ["idp-0", "idp-1", "idp-2", "hub"], False,
    )  # fmt: skip
    some = (await api.get("/connections", take=2, strategy="oidc")).json()
    rest = (await api.get("/connections", take=2, strategy="oidc", **{"from": some["next"]})).json()
    assert [each["name"] for each in rest["connections"]] == ["idp-2"]
    named = (await api.get("/connections", name="hub", fields="name")).json()
    assert named == [{"name": "hub"}]
    totals = (await api.get("/connections", include_totals="true", strategy="auth0")).json()
    assert (totals["total"], totals["connections"][0]["name"]) == (1, "Username-Password-Authentication")
    assert (await api.get("/connections", strategy="tin-can")).json()["errorCode"] == "invalid_query_string"


async def test_a_secret_is_kept_sealed_and_read_by_nobody(acme: Place) -> None:
    api = acme.api()
    nested = {
        "gateway_authentication": {"method": "bearer", "secret": "deep-hush"},
        "customHeaders": {"X-Key": "head-hush"},
        "configuration": {"DB": "script-hush"},
    }
    connection = await made(acme, options={**OIDC, **nested})
    path = f"/connections/{connection['id']}"
    await api.patch(path, {"options": {**OIDC, "client_secret": "other-hush", **nested}})
    answers = [
        (await api.get(path)).text,
        (await api.get("/connections", per_page=100)).text,
        json.dumps(connection),
    ]
    row = await stored(acme, connection["id"])
    answers += [json.dumps(row.options), row.secrets.decode("latin-1")]
    events = await acme.events()
    answers += [repr(event) for event in events]
    assert "hush" not in "".join(answers)
    assert "changed_secrets" in repr(events[-1])
    wanted = {
        "client_secret": "other-hush",
        "configuration": {"DB": "script-hush"},
        "customHeaders": {"X-Key": "head-hush"},
        "gateway_authentication.secret": "deep-hush",
    }
    assert open_secrets(acme.tenant, connection["id"], row.secrets) == wanted
    assert open_secrets(acme.tenant, "con_another", row.secrets) == {}
    assert open_secrets(acme.world.globex.tenant, connection["id"], row.secrets) == {}


async def test_secrets_that_are_not_named_stay_and_null_takes_them_away(acme: Place) -> None:
    connection = await made(acme)
    path, public = f"/connections/{connection['id']}", dict(OIDC)
    del public["client_secret"]

    async def secrets() -> dict[str, Any]:
        return open_secrets(acme.tenant, connection["id"], (await stored(acme, connection["id"])).secrets)

    changed = await acme.api().patch(path, {"options": {**public, "scope": "openid"}})
    assert changed.json()["options"] == {**public, "scope": "openid"}
    assert await secrets() == {"client_secret": "hush-hush"}
    await acme.api().patch(path, {"options": {**public, "client_secret": None}})
    assert await secrets() == {}
    assert (await stored(acme, connection["id"])).secrets is None


async def test_where_a_secret_is_sent_does_not_change_without_the_secret(acme: Place) -> None:
    connection = await made(acme)
    path, before = f"/connections/{connection['id']}", await stored(acme, connection["id"])
    for member in ("token_endpoint", "authorization_endpoint", "issuer", "jwks_uri", "domain"):
        elsewhere = {**OIDC, member: "https://elsewhere.example.com"}
        without = {name: value for name, value in elsewhere.items() if name != "client_secret"}
        answer = await acme.api().patch(path, {"options": without})
        assert (answer.status_code, "client_secret" in answer.json()["message"]) == (400, True), member
        assert await stored(acme, connection["id"]) == before
    assert (await acme.api().patch(path, {"options": elsewhere})).status_code == 200


INSIDE = [
    "http://idp.example.com/token",
    "https://127.0.0.1/token",
    "https://[::1]/token",
    "https://169.254.169.254/latest",
    "https://10.1.2.3",
    "https://[::ffff:10.0.0.1]/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://localhost/",
    "https://idp.example.com:22/",
    "https://user:word@idp.example.com/",
    "javascript:alert(1)",
]


async def test_addresses_inside_are_refused_when_they_are_saved(acme: Place) -> None:
    for address in INSIDE:
        for where in (
            {"token_endpoint": address},
            {"oidc_metadata": {"jwks_uri": address}},
            {"logout_urls": [address]},
            {"providers": [{"token_endpoint": address}]},
        ):
            body = {"name": "corporate", "strategy": "oidc", "options": {"client_id": "x", **where}}
            answer = await acme.api().post("/connections", body)
            assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_body"), where
    assert len(await acme.rows(models.Connection)) == 2


MALFORMED: list[dict[str, Any]] = [
    {"name": "x"},
    {"name": "x", "strategy": "tin-can"},
    {"name": "two words", "strategy": "oidc"},
    {"name": "-x", "strategy": "oidc"},
    {"name": "x" * 129, "strategy": "oidc"},
    {"name": "x", "strategy": "oidc", "id": "con_mine"},
    {"name": "x", "strategy": "oidc", "is_system": True},
    {"name": "x", "strategy": "oidc", "secrets": "x"},
    {"name": "x", "strategy": "oidc", "options": {"client_id": 7}},
    {"name": "x", "strategy": "oidc", "options": {"$kept": {}}},
    {"name": "x", "strategy": "oidc", "options": {"apps": [{"client_secret": "in the clear"}]}},
    {"name": "x", "strategy": "oidc", "options": {"a": {"apps": [[{"b": {"api_key": "in the clear"}}]]}}},
    {"name": "x", "strategy": "oidc", "metadata": {"a": {}}},
    {"name": "x", "strategy": "auth0", "options": {"import_mode": True}},
    {"name": "x", "strategy": "auth0", "options": {"enabledDatabaseCustomization": True}},
    {"name": "x", "strategy": "auth0", "options": {"passwordPolicy": "superb"}},
    {"name": "x", "strategy": "auth0", "options": {"disable_signup": "yes"}},
    {"name": "x", "strategy": "auth0", "options": {"validation": {"username": {"min": 9, "max": 3}}}},
    {
        "name": "x",
        "strategy": "auth0",
        "options": {"authentication_methods": {"password": {"enabled": False}}},
    },
    {"name": "x", "strategy": "email", "options": {"totp": {"length": 4}}},
    {"name": "x", "strategy": "email", "options": {"totp": {"time_step": 86400}}},
]


async def test_what_is_malformed_is_refused(acme: Place) -> None:
    for body in MALFORMED:
        answer = await acme.api().post("/connections", body)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_body"), body
    assert len(await acme.rows(models.Connection)) == 2


async def test_a_name_and_a_strategy_are_for_ever(acme: Place) -> None:
    connection = await made(acme)
    for body in ({"name": "other"}, {"strategy": "samlp"}):
        assert (await acme.api().patch(f"/connections/{connection['id']}", body)).status_code == 400


async def test_clients_are_enabled_by_body_and_by_list(acme: Place) -> None:
    api = acme.api()
    clients = []
    for number in range(3):
        acme.world.clock.time += 1
        clients.append((await api.made("/clients", {"name": f"c{number}"}))["client_id"])
    connection = await made(acme, enabled_clients=clients[:2])
    path = f"/connections/{connection['id']}"
    assert connection["enabled_clients"] == clients[:2]
    statuses = [{"client_id": clients[0], "status": False}, {"client_id": clients[2], "status": True}]
    assert (await api.patch(f"{path}/clients", statuses)).status_code == 204
    assert (await api.get(f"{path}/clients")).json() == {
        "clients": [{"client_id": one} for one in clients[1:]]
    }
    page = (await api.get(f"{path}/clients", take=1)).json()
    assert [each["client_id"] for each in page["clients"]] == [clients[1]]
    rest = (await api.get(f"{path}/clients", take=1, **{"from": page["next"]})).json()
    assert rest == {"clients": [{"client_id": clients[2]}]}
    assert (await api.patch(path, {"enabled_clients": [clients[0]]})).json()["enabled_clients"] == [
        clients[0]
    ]
    for body in ([{"client_id": "nobody", "status": True}], [{"client_id": clients[0], "status": True}] * 51):
        assert (await api.patch(f"{path}/clients", body)).status_code in (400, 404)
    assert (await api.patch(path, {"enabled_clients": ["nobody"]})).status_code == 404
    assert (await api.get(path)).json()["enabled_clients"] == [clients[0]]


async def test_a_connection_for_all_becomes_one_for_the_others_when_one_is_taken_away(acme: Place) -> None:
    api = acme.api()
    [database] = (await api.get("/connections", strategy="auth0")).json()
    first = database["enabled_clients"]
    assert acme.machine in first
    acme.world.clock.time += 1
    later = (await api.made("/clients", {"name": "later"}))["client_id"]
    path = f"/connections/{database['id']}"
    assert (await api.get(path)).json()["enabled_clients"] == [*first, later]
    await api.patch(f"{path}/clients", [{"client_id": acme.machine, "status": False}])
    assert (await api.get(path)).json()["enabled_clients"] == [later]
    await api.made("/clients", {"name": "later still"})
    assert (await api.get(path)).json()["enabled_clients"] == [later]
    domain = await made(acme, is_domain_connection=True)
    assert len(domain["enabled_clients"]) == 3
    refused = await api.patch(f"/connections/{domain['id']}", {"enabled_clients": []})
    assert refused.status_code == 400


async def test_a_connection_without_a_runtime_says_so(acme: Place) -> None:
    connection = await made(acme)
    status = (await acme.api().get(f"/connections/{connection['id']}/status")).json()
    assert (status["ok"], "not offered" in status["message"]) == (False, True)
    [database] = (await acme.api().get("/connections", strategy="auth0")).json()
    assert (await acme.api().get(f"/connections/{database['id']}/status")).json() == {"ok": True}


async def test_a_connection_by_which_people_log_in_is_not_deleted_with_them(acme: Place) -> None:
    api = acme.api()
    user = await api.made("/users", {"email": "Jane@example.com"})
    [database] = (await api.get("/connections", strategy="auth0")).json()
    path = f"/connections/{database['id']}"
    assert (await api.delete(path)).status_code == 409
    assert (await api.delete(f"{path}/users")).status_code == 400
    assert (await api("DELETE", f"{path}/users", params={"email": "john@example.com"})).status_code == 204
    assert (await api.get(f"/users/{user['user_id']}")).status_code == 200
    assert (await api("DELETE", f"{path}/users", params={"email": "JANE@example.com"})).status_code == 204
    assert (await api.get(f"/users/{user['user_id']}")).status_code == 404
    assert (await api.delete(path)).status_code == 204


async def test_a_shared_connection_is_read_only_but_for_the_tenants_clients(acme: Place) -> None:
    values = {
        "options": {"client_id": "shared"},
        "metadata_": {},
        "strategy": "oidc",
        "enabled_for_all_clients": False,
    }
    await acme.add(
        models.Connection, converge=True, id="con_shared", name="shared", is_system=True, **_row(values)
    )
    api, path = acme.api(), "/connections/con_shared"
    assert (await api.get(path)).json()["is_system"] is True
    for refused in (
        await api.patch(path, {"options": {"client_id": "mine"}}),
        await api.patch(path, {"display_name": "Mine"}),
        await api.patch(path, {"is_domain_connection": True}),
        await api.delete(path),
    ):
        assert (refused.status_code, refused.json()["errorCode"]) == (403, "operation_not_supported")
        assert "This connection is a system resource" in refused.json()["message"]
    assert (await api.patch(path, {"options": {"client_id": "shared"}})).status_code == 200
    assert (await api.patch(path, {"enabled_clients": [acme.machine]})).json()["enabled_clients"] == [
        acme.machine
    ]
    off = [{"client_id": acme.machine, "status": False}]
    assert (await api.patch(f"{path}/clients", off)).status_code == 204
    assert (await api.get(path)).json()["enabled_clients"] == []


def _row(values: dict[str, Any]) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in values.items()}


async def test_tenant_ones_secrets_are_sealed_for_all_runtimes_and_no_tenant(world: World) -> None:
    connection = await made(world.one)
    row = await stored(world.one, connection["id"])
    assert open_secrets(world.one.tenant, connection["id"], row.secrets) == {"client_secret": "hush-hush"}
    assert open_secrets(world.acme.tenant, connection["id"], row.secrets) == {"client_secret": "hush-hush"}
    with pytest.raises(SealBroken):
        world.acme.tenant.data_key.open(row.secrets, "connections", "secrets", connection["id"])
