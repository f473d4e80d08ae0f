import pytest

from tenant_runtime.models import Client, Identity, Password, RefreshFamily, Session, User
from tests.management.world import Place, World

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery staple"
ADA = {
    "email": "ada@acme.example",
    "password": PASSWORD,
    "name": "Ada",
    "connection": "Username-Password-Authentication",
}


async def sign_in(acme: Place, user_id: str, organization_id: str | None = None) -> None:
    """A session and a refresh family, as a login leaves them."""
    now = int(acme.world.clock.now() * 1000)
    client = (await acme.rows(Client))[0]
    await acme.add(
        Session,
        id=f"sess_{user_id}",
        token_digest=f"digest_{user_id}",
        issuer=acme.tenant.issuer,
        user_id=user_id,
        authenticated_at=now,
        amr=["pwd"],
        seen_at=now,
        idle_expires_at=now + 1000,
        expires_at=now + 1000,
    )
    await acme.add(
        RefreshFamily,
        id=f"fam_{user_id}_{organization_id}",
        issuer=acme.tenant.issuer,
        client_id=client.client_id,
        user_id=user_id,
        organization_id=organization_id,
        scope="openid",
        amr=["pwd"],
        authenticated_at=now,
        used_at=now,
    )


async def test_a_user_is_made_with_an_identity_and_a_hashed_password(acme: Place) -> None:
    api = acme.api()
    made = await api.made("/users", {**ADA, "email": " ADA@acme.example ", "app_metadata": {"plan": "gold"}})
    assert made["user_id"].startswith("auth0|")
    assert made["email"] == "ada@acme.example"
    assert made["email_verified"] is False
    assert made["blocked"] is False
    assert made["identities"] == [
        {
            "connection": "Username-Password-Authentication",
            "provider": "auth0",
            "user_id": made["user_id"].partition("|")[2],
            "isSocial": False,
        }
    ]
    assert (await api.get(f"/users/{made['user_id']}")).json() == made
    [row] = await acme.rows(Password, user_id=made["user_id"])
    assert row.hash.startswith("$argon2id$")
    assert await acme.world.services.passwords.verify(row.hash, PASSWORD)


async def test_no_password_stands_in_an_answer_or_in_the_log(acme: Place) -> None:
    made = await acme.api().post("/users", ADA)
    await acme.api().patch(f"/users/{made.json()['user_id']}", {"password": PASSWORD + "!"})
    assert PASSWORD not in made.text
    events = await acme.events()
    assert [event.type for event in events] == ["sapi", "sapi", "scp"]
    assert PASSWORD not in str([event.details for event in events])


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "auth0|mine"},
        {"identities": []},
        {"created_at": "2020-01-01"},
        {"last_ip": "1.2.3.4"},
        {"logins_count": 7},
        {"is_system": True},
        {"client_id": "x"},
        {"tenant": "globex"},
        {"nobody_knows": 1},
        {"email": "no address"},
        {"email": "a@b@c"},
        {"email": None},
        {"password": "short"},
        {"password": "password123"},
        {"password": "x" * 5000},
        {"password": "seven unrelated\0words"},
        {"connection": "nowhere"},
        {"blocked": "yes"},
        {"phone_number": "0123"},
        {"picture": "javascript:alert(1)"},
        {"app_metadata": []},
        {"user_metadata": {"a": "x" * 20_000}},
    ],
)
async def test_what_may_not_be_said_of_a_user_is_refused(acme: Place, change: dict[str, object]) -> None:
    refused = await acme.api().post("/users", {**ADA, **change})
    assert refused.status_code == 400, refused.text
    assert await acme.rows(User) == []
    assert await acme.rows(Identity) == []


async def test_an_address_is_one_users_only(acme: Place) -> None:
    api = acme.api()
    await api.made("/users", ADA)
    ben = await api.made("/users", {"email": "ben@acme.example"})
    assert (await api.post("/users", {**ADA, "email": "ADA@ACME.example"})).status_code == 409
    assert (await api.patch(f"/users/{ben['user_id']}", {"email": "ada@acme.example"})).status_code == 409
    assert (await api.get(f"/users/{ben['user_id']}")).json()["email"] == "ben@acme.example"


async def test_a_patch_changes_what_it_names_and_merges_metadata_at_the_first_level(acme: Place) -> None:
    api = acme.api()
    made = await api.made(
        "/users", {**ADA, "app_metadata": {"a": {"x": 1}, "b": 2}, "user_metadata": {"c": 3}}
    )
    path = f"/users/{made['user_id']}"
    changed = (
        await api.patch(path, {"app_metadata": {"a": {"y": 1}, "b": None}, "nickname": "countess"})
    ).json()
    assert changed["app_metadata"] == {"a": {"y": 1}}
    assert changed["user_metadata"] == {"c": 3}
    assert changed["nickname"] == "countess"
    assert {name: changed[name] for name in ("email", "name", "created_at")} == {
        name: made[name] for name in ("email", "name", "created_at")
    }
    assert (await api.patch(path, {"app_metadata": None})).json()["app_metadata"] == {}
    events = len(await acme.events())
    acme.world.clock.time += 10
    again = (await api.patch(path, {"nickname": "countess"})).json()
    assert again["updated_at"] == changed["updated_at"]
    assert len(await acme.events()) == events, "nothing changed, so nothing is told"


async def test_a_new_address_is_unverified_unless_said_otherwise(acme: Place) -> None:
    api = acme.api()
    made = await api.made("/users", {**ADA, "email_verified": True})
    path = f"/users/{made['user_id']}"
    moved = (await api.patch(path, {"email": "countess@acme.example"})).json()
    assert (moved["email"], moved["email_verified"]) == ("countess@acme.example", False)
    [identity] = await acme.rows(Identity, user_id=made["user_id"])
    assert identity.email == "countess@acme.example"
    sure = (await api.patch(path, {"email": "ada@acme.example", "email_verified": True})).json()
    assert sure["email_verified"] is True


@pytest.mark.parametrize("change", [{"blocked": True}, {"password": "another long password"}])
async def test_blocking_and_a_new_password_end_every_login(acme: Place, change: dict[str, object]) -> None:
    api = acme.api()
    made = await api.made("/users", ADA)
    await sign_in(acme, made["user_id"])
    acme.world.clock.time += 10
    now = int(acme.world.clock.now() * 1000)
    assert (await api.patch(f"/users/{made['user_id']}", change)).status_code == 200
    [user] = await acme.rows(User)
    [session] = await acme.rows(Session)
    [family] = await acme.rows(RefreshFamily)
    assert (user.sessions_valid_from, session.ended_at, family.revoked_at) == (now, now, now)


async def test_everything_of_a_user_goes_with_the_user(acme: Place) -> None:
    api = acme.api()
    made = await api.made("/users", ADA)
    await sign_in(acme, made["user_id"])
    assert (await api.delete(f"/users/{made['user_id']}")).status_code == 204
    for model in (User, Identity, Password, Session, RefreshFamily):
        assert await acme.rows(model) == [], model
    assert (await api.delete(f"/users/{made['user_id']}")).status_code == 204
    assert (await api.get(f"/users/{made['user_id']}")).json()["errorCode"] == "inexistent_user"


async def make_people(acme: Place) -> None:
    for name, more in (
        ("Ada Lovelace", {"app_metadata": {"plan": "gold"}, "email_verified": True}),
        ("Ben 100% Sure", {"blocked": True}),
        ("Cleo O'Hara", {}),
    ):
        await acme.api().made("/users", {"email": f"{name[:3].lower()}@acme.example", "name": name, **more})
        acme.world.clock.time += 1


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("ada", ["ada"]),
        ("lovelace", ["ada"]),
        ("email:ben@acme.example", ["ben"]),
        ('email:"ben@acme.example"', ["ben"]),
        ("email:b*", ["ben"]),
        ("name:100%", ["ben"]),
        ('name:"cleo o\'hara"', ["cle"]),
        ("blocked:true", ["ben"]),
        ("email_verified:true AND blocked:false", ["ada"]),
        ("NOT blocked:true", ["ada", "cle"]),
        ("app_metadata.plan:gold", ["ada"]),
        ("logins_count:[0 TO 5]", ["ada", "ben", "cle"]),
        ("logins_count:>0", []),
        ('identities.connection:"Username-Password-Authentication"', ["ada", "ben", "cle"]),
        ("identities.provider:google", []),
        ("created_at:[2020-01-01 TO *]", ["ada", "ben", "cle"]),
        ("'; DROP TABLE users;", []),
    ],
)
async def test_users_are_found_by_what_is_said_of_them(acme: Place, q: str, found: list[str]) -> None:
    await make_people(acme)
    answer = await acme.api().get("/users", q=q)
    assert answer.status_code == 200, answer.text
    assert [user["email"][:3] for user in answer.json()] == found


@pytest.mark.parametrize(
    "q",
    ["", "(" * 50 + "a" + ")" * 50, "*a", "name:*a*", "/regex/", '"unbalanced', "password:x", "a:b:c:d", "x" * 10_000,
     "app_metadata.:x", "blocked:perhaps", "logins_count:many", "logins_count:99999999999999999999", "[a TO b]"],
)  # fmt: skip
async def test_a_malformed_search_is_refused_and_tells_nothing_of_the_database(acme: Place, q: str) -> None:
    answer = await acme.api().get("/users", q=q)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_query_string"), answer.text
    assert "sql" not in answer.text.lower()


async def test_users_are_sorted_paged_and_cut_to_fields(acme: Place) -> None:
    await make_people(acme)
    api = acme.api()
    names = [user["name"] for user in (await api.get("/users", sort="name:-1")).json()]
    assert names == ["Cleo O'Hara", "Ben 100% Sure", "Ada Lovelace"]
    page = (await api.get("/users", per_page=2, page=1, include_totals="true")).json()
    assert (page["start"], page["limit"], page["length"], page["total"]) == (2, 2, 1, 3)
    assert (await api.get("/users", fields="email", per_page=1)).json() == [{"email": "ada@acme.example"}]
    without = (await api.get("/users", fields="email,identities", include_fields="false", per_page=1)).json()[
        0
    ]
    assert not {"email", "identities"} & without.keys()
    assert "user_id" in without
    assert (await api.get("/users-by-email", email="ADA@acme.example")).json()[0]["name"] == "Ada Lovelace"
    assert (await api.get("/users-by-email", email="' OR 1=1")).json() == []
    assert (await api.get("/users-by-email")).status_code == 400


async def test_roles_and_permissions_of_a_user(acme: Place) -> None:
    api = acme.api()
    await api.made("/resource-servers", {"identifier": "urn:x", "scopes": [{"value": "read:x"}]})
    role = await api.made("/roles", {"name": "Clerk"})
    user = await api.made("/users", ADA)
    path = f"/users/{user['user_id']}"
    assert (await api.post(f"{path}/roles", {"roles": [role["id"]]})).status_code == 204
    assert (await api.post(f"{path}/roles", {"roles": ["rol_nobody"]})).status_code == 404
    assert [item["id"] for item in (await api.get(f"{path}/roles")).json()] == [role["id"]]
    assert (await api.delete(f"{path}/roles", {"roles": [role["id"]]})).status_code == 204
    assert (await api.get(f"{path}/roles")).json() == []
    held = {"permissions": [{"resource_server_identifier": "urn:x", "permission_name": "read:x"}]}
    assert (await api.post(f"{path}/permissions", held)).status_code == 201
    assert (await api.get(f"{path}/permissions", include_totals="true")).json()["total"] == 1
    assert (await api.delete(f"{path}/permissions", held)).status_code == 204
    assert (await api.get(f"{path}/permissions")).json() == []


async def test_nobody_raises_themself(acme: Place) -> None:
    api = acme.api()
    role = await api.made("/roles", {"name": "Clerk"})
    user = await api.made("/users", ADA)
    herself = acme.api_of(user["user_id"])
    path = f"/users/{user['user_id']}"
    organization = await api.made("/organizations", {"name": "north"})
    held = {
        "permissions": [
            {"resource_server_identifier": acme.tenant.management_audience, "permission_name": "read:users"}
        ]
    }
    for to, body in (
        (f"{path}/roles", {"roles": [role["id"]]}),
        (f"{path}/permissions", held),
        (f"/roles/{role['id']}/users", {"users": [user["user_id"]]}),
        (f"/organizations/{organization['id']}/members", {"members": [user["user_id"]]}),
    ):
        assert (await herself.post(to, body)).status_code == 403, to


async def test_nobody_takes_over_a_stronger_user(acme: Place) -> None:
    """A helper who may change users may not give an administrator a password or an address."""
    api, management = acme.api(), acme.tenant.management_audience
    admin = await api.made("/users", ADA)
    held = {"permissions": [{"resource_server_identifier": management, "permission_name": "delete:clients"}]}
    await api.post(f"/users/{admin['user_id']}/permissions", held)
    helper, path = acme.api("update:users"), f"/users/{admin['user_id']}"
    for change in ({"password": "another long password"}, {"email": "mine@acme.example"}):
        assert (await helper.patch(path, change)).status_code == 403
    assert (await helper.patch(path, {"nickname": "x"})).status_code == 200


async def test_app_metadata_may_be_changed_by_who_may_change_only_that(acme: Place) -> None:
    user = await acme.api().made("/users", ADA)
    helper = acme.api("update:users_app_metadata")
    assert (await helper.patch(f"/users/{user['user_id']}", {"app_metadata": {"a": 1}})).status_code == 200
    assert (await helper.patch(f"/users/{user['user_id']}", {"name": "X"})).status_code == 403


async def test_a_user_of_another_tenant_is_not_there(world: World) -> None:
    made = await world.globex.api().made("/users", {"email": "eve@globex.example"})
    path = f"/users/{made['user_id']}"
    for method, body in (("GET", None), ("PATCH", {"name": "X"})):
        assert (await world.acme.api()(method, path, body)).status_code == 404
    await world.acme.api().delete(path)
    assert (await world.globex.api().get(path)).status_code == 200
