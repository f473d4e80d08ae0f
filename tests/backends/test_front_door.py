"""The main line through HTTP, with every tenant and tenant one itself on each kind of database."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.settings import Settings
from entrypoints.asgi import create_app
from entrypoints.browser import Browser
from entrypoints.commands import make_control_plane
from entrypoints.demo import make
from entrypoints.network import Api
from tests.backends.conftest import server_of
from tests.conftest import settings_for
from tests.engines.turso import ORGANIZATION, TOKEN, TursoPlatform
from tests.installation import Installation, MovableClock
from tests.registrations import consented_code, let_register, registered, stranger
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
SIGNED_OUT = "http://127.0.0.1:9871/signed-out"
KINDS = [
    "sqlite",
    pytest.param("libsql", marks=pytest.mark.libsql),
    pytest.param("turso", marks=pytest.mark.libsql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]


@pytest.fixture(scope="module", params=KINDS)
def on_engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    kind, folder = str(request.param), tmp_path_factory.mktemp("front-door")
    file = folder / "backends.toml"
    file.write_text(_table(kind, request, folder))
    return settings_for(folder / "data", default_backend=kind, backends_file=file)


def _table(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    match kind:
        case "libsql":
            server = server_of(request.getfixturevalue("sqld"))
            return (
                f'[libsql]\nurl = "{server.url}"\nadmin_url = "{server.admin_url}"\n'
                f'admin_key = "{server.admin_key.reveal()}"\n'
            )
        case "turso":
            platform = TursoPlatform(request.getfixturevalue("sqld"), folder)
            request.addfinalizer(platform.close)
            return (
                f'[turso]\norganization = "{ORGANIZATION}"\ntoken = "{TOKEN}"\ngroup = "default"\n'
                f'api_url = "{platform.api.url}"\n'
            )
        case "postgresql":
            return f'[postgresql]\nurl = "{request.getfixturevalue("postgres").url()}"\n'
    return ""


@pytest.fixture(scope="module")
async def installation(on_engine: Settings) -> AsyncIterator[Installation]:
    plane = await make_control_plane(on_engine)
    clock = MovableClock()
    app = create_app(on_engine, clock=clock)
    async with app.lifespan() as running:
        demo = await make(app, on_engine, plane)
        async with Installation.over(app, running, demo, clock) as opened:
            yield opened


@pytest.fixture
async def party(installation: Installation) -> AsyncIterator[RelyingParty]:
    async with installation.browser() as http:
        yield installation.relying_party("acme", http=http)


async def test_a_tenant_is_where_it_was_made(installation: Installation, on_engine: Settings) -> None:
    operator = await installation.operator()
    assert (await operator.get("/tenants/acme"))["backend"] == on_engine.default_backend


async def test_a_person_signs_in_refreshes_and_signs_out(party: RelyingParty) -> None:
    first = await party.sign_in()
    assert first.claims["permissions"] == ["read:invoices", "write:invoices"]
    assert (await party.userinfo(first.access_token)).json()["email"] == party.user.email
    second = await party.refresh(first.refresh_token)
    assert second.status == 200
    assert "code" in await party.silent()
    hint = {"id_token_hint": first.body["id_token"], "post_logout_redirect_uri": SIGNED_OUT}
    left = await party.http.get(f"{party.issuer}oidc/logout", params=hint)
    assert left.headers["location"].startswith(SIGNED_OUT)
    assert (await party.silent())["error"] == "login_required"


async def test_a_refresh_token_that_comes_back_costs_its_family(
    installation: Installation, party: RelyingParty
) -> None:
    first = await party.sign_in()
    second = await party.refresh(first.refresh_token)
    installation.clock.advance(3600)
    assert (await party.refresh(first.refresh_token)).error == "invalid_grant"
    assert (await party.refresh(second.refresh_token)).error == "invalid_grant"
    assert (await party.userinfo(second.access_token)).status_code == 401


async def test_a_code_is_redeemed_once(party: RelyingParty) -> None:
    code = await party.code()
    assert (await party.redeem(code)).status == 200
    assert (await party.redeem(code)).error == "invalid_grant"


async def test_a_wrong_password_is_counted_though_it_is_refused(
    installation: Installation, party: RelyingParty
) -> None:
    await party.authorize()
    await party.browser.submit({"email": party.user.email})
    await party.browser.submit({"password": "wrong"})
    assert party.browser.landed is None
    manager = await installation.manager("acme")
    events = await manager.get("/logs", q="type:fp", per_page=1)
    assert events[0]["type"] == "fp"


async def test_a_member_switches_organizations_without_a_page(
    installation: Installation, party: RelyingParty
) -> None:
    north, south, east = installation.tenant("acme").organizations
    await party.sign_in(organization=north.id)
    switched = await party.redeem((await party.silent(organization=south.id))["code"])
    assert switched.claims["org_id"] == south.id
    assert "error" in await party.silent(organization=east.id)


async def test_a_device_is_approved_by_a_person(installation: Installation, party: RelyingParty) -> None:
    manager, http = await installation.manager("acme"), party.http
    television = await manager.post(
        "/clients",
        {
            "name": "Television",
            "app_type": "native",
            "token_endpoint_auth_method": "none",
            "grant_types": [DEVICE, "refresh_token"],
            "is_first_party": True,
        },
    )
    asked = {"client_id": television["client_id"], "scope": "openid offline_access"}
    begun = (await http.post(f"{party.issuer}oauth/device/code", data=asked)).json()
    poll = {"grant_type": DEVICE, "client_id": asked["client_id"], "device_code": begun["device_code"]}
    early = await http.post(f"{party.issuer}oauth/token", data=poll)
    assert early.json()["error"] == "authorization_pending"
    person = Browser(http, stops=())
    await person.open(begun["verification_uri_complete"])
    for answer in ({}, {"email": party.user.email}, {"password": party.user.password}):
        if any(name in form.fields for form in person.forms() for name in answer) or not answer:
            await person.submit(answer)
    await person.submit(button=("decision", "allow"))
    installation.clock.advance(10)
    done = await http.post(f"{party.issuer}oauth/token", data=poll)
    assert done.status_code == 200, done.text
    assert (await http.post(f"{party.issuer}oauth/token", data=poll)).status_code == 400


async def test_a_client_registers_itself_and_signs_people_in(
    installation: Installation, party: RelyingParty
) -> None:
    await let_register(installation, "globex", mode="open")
    told = await registered(installation, "globex", client_name="Zoë's \N{GRINNING FACE}")
    assert told["client_name"] == "Zoë's \N{GRINNING FACE}"
    other = stranger(installation, "globex", told, http=party.http)
    answer = await other.redeem(await consented_code(other, audience=None, scope="openid"))
    assert answer.status == 200, answer.body


async def test_people_are_searched_sorted_and_paged_alike(installation: Installation) -> None:
    manager = await installation.manager("globex")
    for number, (name, plan) in enumerate((("ÄRGER", "gold"), ("under_score", None), ("100%", "silver"))):
        await manager.post(
            "/users",
            {
                "connection": "Username-Password-Authentication",
                "email": f"Searched{number}@Example.com",
                "password": "correct horse battery staple",
                "name": name,
                "app_metadata": {
                    "plan": plan,
                    "deep": {"x": "\N{SNOWMAN}"},
                    "z": 1,
                    "yes": True,
                    "a": [None, True],
                },
            },
        )

    async def found(q: str, **more: Any) -> list[str]:
        return [user["name"] for user in await manager.get("/users", q=q, **more)]

    assert await found("app_metadata.plan:gold") == ["ÄRGER"]
    everyone = ["ÄRGER", "under_score", "100%"]
    for q in ("app_metadata.deep.x:\N{SNOWMAN}", "app_metadata.z:1", "app_metadata.yes:true"):
        assert await found(q) == everyone, q
    assert await found("_exists_:app_metadata.plan") == ["ÄRGER", "100%"]
    assert await found("app_metadata.deep.y:1") == []
    assert await found("name:under_*") == ["under_score"]
    assert await found("name:UNDER_SCORE") == ["under_score"]
    assert await found("name:r_s") == ["under_score"]
    assert await found("name:0%") == ["100%"]
    assert await found("email:SEARCHED*") == await found("email:searched*")
    assert await found("logins_count:0 AND email:searched*", sort="name:1") == [
        "100%",
        "under_score",
        "ÄRGER",
    ]
    everybody = await manager.get("/users", sort="last_login:1", per_page=100)
    nobody_yet = [user for user in everybody if "last_login" not in user or user["last_login"] is None]
    assert everybody[: len(nobody_yet)] == nobody_yet  # no value is before every value
    backwards = await manager.get("/users", sort="last_login:-1", per_page=100)
    assert nobody_yet
    assert not any(user.get("last_login") for user in backwards[-len(nobody_yet) :])
    assert await _pages(manager, "/users") == [
        user["user_id"] for user in await manager.get("/users", per_page=100)
    ]
    kept = (await manager.get("/users", q="app_metadata.plan:gold"))[0]["app_metadata"]
    assert list(kept) == ["plan", "deep", "z", "yes", "a"]
    assert kept["a"] == [None, True]


async def _pages(api: Api, path: str) -> list[str]:
    found, following = [], None
    while True:
        more: dict[str, Any] = {"from": following} if following else {}
        page = await api.get(path, take=2, **more)
        found += [user["user_id"] for user in page["users"]]
        following = page.get("next")
        if following is None:
            return found


async def test_broken_rules_are_told_alike(installation: Installation) -> None:
    manager = await installation.manager("acme")
    organization = installation.tenant("acme").organizations[0]
    assert await manager.status("POST", "/roles", {"name": "Clerk"}) == 409
    assert await manager.status("POST", "/organizations", {"name": organization.name}) == 409
    grant = {"client_id": "nobody", "audience": installation.tenant("acme").api_audience, "scope": []}
    assert await manager.status("POST", "/client-grants", grant) in (400, 404)
    shared = next(role for role in await manager.get("/roles") if role["name"] == "Accountant")
    assert await manager.status("PATCH", f"/roles/{shared['id']}", {"name": "Mine"}) == 403
    assert await manager.status("DELETE", f"/roles/{shared['id']}") == 403
    assert [role["name"] for role in await manager.get("/roles", name_filter="ACCOUNT")] == ["Accountant"]


async def test_what_the_control_plane_shares_arrives_and_leaves(installation: Installation) -> None:
    operator, manager = await installation.operator(), await installation.manager("globex")
    role = await operator.post("/roles", {"name": "Auditor", "description": "Reads"}, wait="sync")
    assert "Auditor" in [found["name"] for found in await manager.get("/roles")]
    await operator.patch(f"/roles/{role['id']}", {"description": "Reads all"})
    await operator.delete(f"/roles/{role['id']}")
    await operator.post("/tenants/globex/converge")
    assert "Auditor" not in [found["name"] for found in await manager.get("/roles")]
    assert (await operator.get("/tenants/globex/drift"))["in_sync"]


async def test_a_tenant_is_made_suspended_and_destroyed(installation: Installation) -> None:
    operator = await installation.operator()
    await operator.post("/tenants", {"id": "hooli", "display_name": "Hooli"})
    issuer = installation.tenant("acme").issuer.replace("acme", "hooli")

    async def status() -> int:
        return (await installation.http.get(f"{issuer}.well-known/openid-configuration")).status_code

    assert await status() == 200
    await operator.post("/tenants/hooli/suspend")
    authorize: httpx.Response = await installation.http.get(f"{issuer}authorize")
    assert authorize.status_code >= 400
    await operator.post("/tenants/hooli/resume")
    await operator.delete("/tenants/hooli?confirm=hooli")
    assert await status() == 404


async def test_no_character_is_a_server_error(installation: Installation, on_engine: Settings) -> None:
    """NUL is in no text. PostgreSQL has no place for it in JSON either."""
    manager = await installation.manager("acme")
    for number, value in enumerate(("a\0b", "\N{SNOWMAN}\x01\x7f", "\u2028'\";--", "\\u0000")):
        expected = 400 if "\0" in value else 201
        role = {"name": f"odd {number}", "description": value}
        assert await manager.status("POST", "/roles", role) in (expected, 200)
        user = {"connection": "Username-Password-Authentication", "password": "correct horse battery"}
        user |= {"email": f"odd{number}@acme.example", "user_metadata": {"note": value}}  # type: ignore[dict-item]
        in_json = 400 if on_engine.default_backend == "postgresql" and "\0" in value else 201
        assert await manager.status("POST", "/users", user) == in_json
