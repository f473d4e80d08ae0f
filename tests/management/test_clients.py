import pytest

from core.ids import digest
from tenant_runtime.models import Client, ClientSecret
from tests.management.world import Place, World

pytestmark = pytest.mark.anyio

WEB = {"name": "Web", "app_type": "regular_web", "callbacks": ["https://app.example.com/callback"]}


async def test_a_confidential_client_has_a_secret_that_is_shown_once(acme: Place) -> None:
    api = acme.api()
    made = await api.made("/clients", WEB)
    assert len(made["client_id"]) == 32
    [row] = await acme.rows(ClientSecret, client_id=made["client_id"])
    assert row.digest == digest(made["client_secret"])
    assert made["client_secret"].encode() not in row.sealed
    reader = acme.api("read:clients")
    path = f"/clients/{made['client_id']}"
    assert "client_secret" not in (await reader.get(path)).json()
    assert all("client_secret" not in client for client in (await api.get("/clients")).json())
    assert (await acme.api("read:client_keys").get(path)).json()["client_secret"] == made["client_secret"]


async def test_a_public_client_has_no_secret_until_it_becomes_confidential(acme: Place) -> None:
    api = acme.api()
    made = await api.made("/clients", {"name": "Spa", "app_type": "spa"})
    assert made["token_endpoint_auth_method"] == "none"
    assert "client_secret" not in made
    path = f"/clients/{made['client_id']}"
    assert (await api.post(f"{path}/rotate-secret")).status_code == 400
    await api.patch(path, {"token_endpoint_auth_method": "client_secret_post"})
    assert (await api.get(path)).json()["client_secret"]


async def test_a_rotated_secret_replaces_the_old_one(acme: Place) -> None:
    api = acme.api()
    made = await api.made("/clients", WEB)
    rotated = await api.post(f"/clients/{made['client_id']}/rotate-secret")
    assert rotated.status_code == 200
    [row] = await acme.rows(ClientSecret, client_id=made["client_id"])
    assert row.digest == digest(rotated.json()["client_secret"]) != digest(made["client_secret"])


async def test_no_secret_stands_in_the_log(acme: Place) -> None:
    api = acme.api()
    made = await api.made("/clients", WEB)
    rotated = (await api.post(f"/clients/{made['client_id']}/rotate-secret")).json()
    events = str([event.details for event in await acme.events()])
    assert made["client_secret"] not in events
    assert rotated["client_secret"] not in events
    assert made["client_id"] in events


@pytest.mark.parametrize(
    "callback",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "myapp:/callback",
        "https://app.example.com/callback#fragment",
        "https://user@app.example.com/",
        "https://app.example.com/a b",
        "https://app.example.com/\\evil",
        "//app.example.com/",
        "app.example.com",
        "",
    ],
)
async def test_an_address_nothing_may_be_sent_to_is_refused_when_it_is_registered(
    acme: Place, callback: str
) -> None:
    api = acme.api()
    for member in ("callbacks", "allowed_logout_urls"):
        assert (await api.post("/clients", {**WEB, member: [callback]})).status_code == 400
    made = await api.made("/clients", WEB)
    assert (await api.patch(f"/clients/{made['client_id']}", {"callbacks": [callback]})).status_code == 400
    assert (await api.get(f"/clients/{made['client_id']}")).json()["callbacks"] == WEB["callbacks"]


async def test_good_addresses_are_kept_as_they_are(acme: Place) -> None:
    callbacks = [
        "https://app.example.com/callback?a=b",
        "http://127.0.0.1:9871/callback",
        "http://[::1]/callback",
        "com.example.app:/callback",
    ]
    made = await acme.api().made("/clients", {"name": "Native", "app_type": "native", "callbacks": callbacks})
    assert made["callbacks"] == callbacks


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "mine"},
        {"client_secret": "mine"},
        {"is_global": True},
        {"global": True},
        {"tenant": "globex"},
        {"created_at": "2020-01-01"},
        {"nobody_knows": 1},
        {"name": None},
        {"app_type": "magic"},
        {"token_endpoint_auth_method": "private"},
        {"grant_types": ["magic"]},
        {"grant_types": "authorization_code"},
        {"callbacks": ["https://a.example.com/"] * 10_000},
        {"callbacks": "https://a.example.com/"},
        {"web_origins": ["https://a.example.com/path"]},
        {"web_origins": ["*"]},
        {"logo_uri": "javascript:alert(1)"},
        {"initiate_login_uri": "data:text/html,x"},
        {"jwt_configuration": {"alg": "HS256"}},
        {"refresh_token": {"leeway": -1}},
        {"refresh_token": {"token_lifetime": 0}},
        {"client_metadata": {"a": {"b": 1}}},
        {"token_endpoint_auth_method": "none", "grant_types": ["client_credentials"]},
    ],
)
async def test_what_may_not_be_said_of_a_client_changes_nothing(
    acme: Place, change: dict[str, object]
) -> None:
    api = acme.api()
    made = await api.made("/clients", WEB)
    refused = await api.patch(f"/clients/{made['client_id']}", change)
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "invalid_body"), refused.text
    count = len(await acme.rows(Client))
    assert (await api.post("/clients", {**WEB, **change})).status_code == 400
    assert len(await acme.rows(Client)) == count
    assert (await api.get(f"/clients/{made['client_id']}")).json() == made


async def test_what_auth0s_tools_write_is_kept(acme: Place) -> None:
    api = acme.api()
    extra = {
        "oidc_conformant": True,
        "mobile": {"ios": {"team_id": "x"}},
        "sso_disabled": False,
        "cross_origin_loc": "x",
    }
    made = await api.made("/clients", {**WEB, **extra, "client_metadata": {"plan": "gold"}})
    assert {name: made[name] for name in extra} == extra
    path = f"/clients/{made['client_id']}"
    changed = (await api.patch(path, {"mobile": None, "client_metadata": {"plan": None, "x": "y"}})).json()
    assert "mobile" not in changed
    assert changed["client_metadata"] == {"x": "y"}
    assert changed["oidc_conformant"] is True


async def test_the_global_client_stays(acme: Place) -> None:
    api = acme.api()
    [client] = (await api.get("/clients", is_global="true")).json()
    assert (await api.delete(f"/clients/{client['client_id']}")).status_code == 403
    assert all(not other["global"] for other in (await api.get("/clients", is_global="false")).json())
    assert (await api.get("/clients", is_global="maybe")).status_code == 400


async def test_a_grant_names_an_api_and_scopes_that_exist(acme: Place) -> None:
    api = acme.api()
    await api.made(
        "/resource-servers", {"identifier": "urn:invoices", "scopes": [{"value": "read:invoices"}]}
    )
    client = await api.made("/clients", WEB)
    body = {"client_id": client["client_id"], "audience": "urn:invoices", "scope": ["read:invoices"]}
    for change, status in (
        ({"audience": "urn:nothing"}, 400),
        ({"scope": ["fly"]}, 400),
        ({"client_id": "nobody"}, 404),
        ({"id": "cgr_mine"}, 400),
    ):
        assert (await api.post("/client-grants", {**body, **change})).status_code == status
    made = await api.made("/client-grants", body)
    assert made["id"].startswith("cgr_")
    assert (await api.post("/client-grants", body)).status_code == 409
    path = f"/client-grants/{made['id']}"
    assert (await api.patch(path, {"scope": []})).json()["scope"] == []
    assert (await api.patch(path, {"audience": "urn:other"})).status_code == 400
    assert len((await api.get("/client-grants", client_id=client["client_id"])).json()) == 1
    assert (await api.get("/client-grants", audience="urn:other")).json() == []
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).json()["errorCode"] == "inexistent_client_grant"


async def test_nobody_makes_a_client_stronger_than_themself(acme: Place) -> None:
    """Not by a grant, and not by taking the secret of one that is."""
    management = acme.tenant.management_audience
    strong = await acme.api().made("/clients", {**WEB, "name": "Strong"})
    body = {"client_id": strong["client_id"], "audience": management, "scope": ["delete:users", "read:users"]}
    grant = await acme.api().made("/client-grants", body)
    helper = acme.api(
        "create:client_grants", "update:client_grants", "update:client_keys", "read:client_keys", "read:users"
    )
    weak = await acme.api().made("/clients", {**WEB, "name": "Weak"})
    assert (await helper.post("/client-grants", {**body, "client_id": weak["client_id"]})).status_code == 403
    fewer = {**body, "client_id": weak["client_id"], "scope": ["read:users"]}
    made = await helper.made("/client-grants", fewer)
    assert (
        await helper.patch(f"/client-grants/{made['id']}", {"scope": ["delete:users"]})
    ).status_code == 403
    assert (
        await helper.patch(f"/client-grants/{grant['id']}", {"scope": ["delete:users"]})
    ).status_code == 200
    assert (await helper.post(f"/clients/{strong['client_id']}/rotate-secret")).status_code == 403
    assert "client_secret" not in (await helper.get(f"/clients/{strong['client_id']}")).json()
    assert "client_secret" in (await helper.get(f"/clients/{weak['client_id']}")).json()


async def test_a_client_of_another_tenant_is_not_there(world: World) -> None:
    made = await world.globex.api().made("/clients", WEB)
    api, path = world.acme.api(), f"/clients/{made['client_id']}"
    assert (await api.get(path)).status_code == 404
    assert (await api.patch(path, {"name": "X"})).status_code == 404
    assert (await api.post(f"{path}/rotate-secret")).status_code == 404
    grant = {"client_id": made["client_id"], "audience": world.acme.tenant.management_audience, "scope": []}
    assert (await api.post("/client-grants", grant)).status_code == 404
