"""Two accounts of one person become one, and two again; and by what a person can prove who they are."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from entrypoints.demo_content import Demo, DemoUser
from entrypoints.network import Api
from tests.mailbox import Mailed, mailed
from tests.management.world import Place
from tests.protocol.issuer import claims_of
from tests.protocol.phone import Phone
from tests.relying_party import Answer, RelyingParty

pytestmark = pytest.mark.anyio

DATABASE = "Username-Password-Authentication"
PASSWORD, OTHER = "correct horse battery staple", "another good old password"
GRACE = "grace@acme.example"


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path) as made:
        yield made


@pytest.fixture
async def api(mail: Mailed) -> Api:
    return await mail.installation.manager("acme")


async def make(api: Api, email: str, password: str | None = PASSWORD, **members: Any) -> str:
    body = {"connection": DATABASE, "email": email, "verify_email": False, **members}
    return str(
        (await api.post("/users", body if password is None else {**body, "password": password}))["user_id"]
    )


async def sign_in(
    mail: Mailed, http: httpx.AsyncClient, email: str, password: str
) -> tuple[RelyingParty, Answer]:
    party = mail.installation.relying_party("acme", "spa", http=http)
    party.user = DemoUser(email, password)
    return party, await party.sign_in()


async def link(api: Api, first: str, second: str) -> list[dict[str, Any]]:
    provider, _, id = second.partition("|")
    linked: list[dict[str, Any]] = await api.post(
        f"/users/{first}/identities", {"provider": provider, "user_id": id}
    )
    return linked


async def test_a_linked_account_leads_to_the_first_and_its_own_life_is_over(mail: Mailed, api: Api) -> None:
    first = await make(api, "ada@one.example", app_metadata={"plan": "gold"})
    second = await make(api, GRACE, OTHER, name="Grace", app_metadata={"plan": "none"}, email_verified=True)
    [role, *_] = await api.get("/roles")
    await api.post(f"/users/{second}/roles", {"roles": [role["id"]]})
    async with mail.installation.browser() as http:
        party, tokens = await sign_in(mail, http, GRACE, OTHER)
        identities = await link(api, first, second)
        assert [identity["user_id"] for identity in identities] == [
            first.partition("|")[2], second.partition("|")[2],
        ]  # fmt: skip
        assert "profileData" not in identities[0]
        kept = identities[1]["profileData"]
        assert (kept["email"], kept["name"], kept["email_verified"]) == (GRACE, "Grace", True)
        assert (await party.silent())["error"] == "login_required"
        assert (await party.refresh(tokens.refresh_token)).error == "invalid_grant"
        assert (await party.userinfo(tokens.access_token)).status_code == 401
    assert await api.status("GET", f"/users/{second}") == 404
    user = await api.get(f"/users/{first}")
    assert (user["email"], user["app_metadata"]) == ("ada@one.example", {"plan": "gold"})
    assert await api.get(f"/users/{first}/roles") == []
    async with mail.installation.browser() as http:
        _, tokens = await sign_in(mail, http, GRACE, PASSWORD)
        assert tokens.claims["sub"] == first
    assert not await mail.can_sign_in(GRACE, OTHER)


async def test_the_second_password_is_kept_where_the_first_has_none(mail: Mailed, api: Api) -> None:
    first, second = await make(api, "ada@one.example", None), await make(api, GRACE, OTHER)
    await link(api, first, second)
    for email in (GRACE, "ada@one.example"):
        assert await mail.can_sign_in(email, OTHER)


async def test_an_unlinked_identity_is_a_user_of_its_own_again(mail: Mailed, api: Api) -> None:
    first = await make(api, "ada@one.example", app_metadata={"plan": "gold"})
    second = await make(api, GRACE, OTHER, name="Grace", email_verified=True, username="grace")
    await link(api, first, second)
    left = await api.delete(f"/users/{first}/identities/auth0/{second.partition('|')[2]}")
    assert [identity["user_id"] for identity in left] == [first.partition("|")[2]]
    user = await api.get(f"/users/{second}")
    assert (user["email"], user["name"], user["email_verified"], user["username"]) == (
        GRACE, "Grace", True, "grace",
    )  # fmt: skip
    assert (user["app_metadata"], "profileData" in user["identities"][0]) == ({}, False)
    assert await mail.can_sign_in("ada@one.example", PASSWORD)
    assert not await mail.can_sign_in(
        GRACE, PASSWORD
    )  # the password stays with the first; a reset gives a new one
    assert await api.status("DELETE", f"/users/{second}/identities/auth0/{second.partition('|')[2]}") == 400


async def test_what_was_begun_before_linking_stays_over_after_unlinking(mail: Mailed, api: Api) -> None:
    first, second = await make(api, "ada@one.example"), await make(api, GRACE, OTHER, username="grace")
    async with mail.installation.browser() as http:
        party, tokens = await sign_in(mail, http, GRACE, OTHER)
        await asyncio.sleep(1.0)  # tokens tell seconds
        await link(api, first, second)
        path = f"/users/{first}/identities/auth0/{second.partition('|')[2]}"
        await api.patch(f"/users/{first}", {"username": "grace"})
        assert await api.status("DELETE", path) == 409, "one name, one user"
        await api.patch(f"/users/{first}", {"username": "ada"})
        await api.delete(path)
        assert (await party.userinfo(tokens.access_token)).status_code == 401
        assert (await party.refresh(tokens.refresh_token)).error == "invalid_grant"


async def test_who_signs_in_by_code_and_who_by_password_become_one(mail: Mailed, api: Api) -> None:
    phone = Phone(mail, await mail.client())
    second = claims_of((await phone.redeem(await phone.code(GRACE), GRACE)).json()["id_token"])["sub"]
    first = await make(api, "ada@one.example")
    await link(api, first, second)
    tokens = (await phone.redeem(await phone.code(GRACE), GRACE)).json()
    assert claims_of(tokens["id_token"])["sub"] == first
    methods = await api.get(f"/users/{first}/authentication-methods")
    assert {(method["type"], method.get("email")) for method in methods} == {
        ("password", None), ("email", GRACE),
    }  # fmt: skip
    code = next(method for method in methods if method["type"] == "email")
    path = f"/users/{first}/authentication-methods/{quote(code['id'], safe='')}"
    assert await api.get(path) == code
    assert await api.status("DELETE", path) == 400  # it is an identity, and goes by unlinking
    await api.delete(f"/users/{first}/identities/email/{second.partition('|')[2]}")
    assert (await api.get(f"/users/{second}"))["email"] == GRACE
    tokens = (await phone.redeem(await phone.code(GRACE), GRACE)).json()
    assert claims_of(tokens["id_token"])["sub"] == second


async def test_an_id_token_of_the_tenants_own_names_the_second_account(mail: Mailed, api: Api) -> None:
    first, second = await make(api, "ada@one.example"), await make(api, GRACE, OTHER)
    path = f"/users/{first}/identities"
    async with mail.installation.browser() as http:
        _, tokens = await sign_in(mail, http, GRACE, OTHER)
    async with mail.installation.browser() as http:
        _, own = await sign_in(mail, http, "ada@one.example", PASSWORD)
    foreign = await mail.installation.relying_party("globex", "spa").sign_in()
    good = str(tokens.body["id_token"])
    for wrong in (
        tokens.access_token,
        foreign.body["id_token"],
        own.body["id_token"],
        good[:-4] + "AAAA",
        "a.b.c",
    ):
        assert await api.status("POST", path, {"link_with": wrong}) == 400
    for body in ({}, {"link_with": good, "user_id": "x"}, {"link_with": good, "provider": "auth0"}):
        assert await api.status("POST", path, body) == 400
    mail.installation.clock.advance(2)
    await api.patch(f"/users/{second}", {"password": OTHER + "!"})
    assert await api.status("POST", path, {"link_with": good}) == 400  # it is of before the new password
    async with mail.installation.browser() as http:
        _, tokens = await sign_in(mail, http, GRACE, OTHER + "!")
    last = str(tokens.body["id_token"])
    linked = await api.post(path, {"link_with": last})
    assert len(linked) == 2
    logged = json.dumps(await api.get("/logs", per_page=100))
    assert "link_with" in logged
    assert last not in logged
    assert await api.status("GET", f"/users/{second}") == 404


async def test_what_cannot_be_linked_or_parted_stays_as_it_is(mail: Mailed, api: Api) -> None:
    """`specs/bad-inputs.md` 125."""
    first, second, third = [await make(api, f"{name}@one.example") for name in ("ada", "bea", "cid")]
    globex = await mail.installation.manager("globex")
    [foreign, *_] = await globex.get("/users")
    path = f"/users/{first}/identities"
    for named, status in ((first, 400), (foreign["user_id"], 404), ("auth0|000000000000000000000000", 404)):
        body = {"provider": "auth0", "user_id": named}
        assert await api.status("POST", path, body) == status
    assert await api.status("POST", path, {"provider": "auth0"}) == 400
    assert (
        await api.status("POST", path, {"provider": "auth0", "user_id": second, "connection_id": "x"}) == 404
    )
    assert await api.status("POST", f"/users/{foreign['user_id']}/identities", {
        "provider": "auth0", "user_id": second,
    }) == 404  # fmt: skip
    await api.patch(f"/users/{third}", {"blocked": True})
    assert await api.status("POST", path, {"provider": "auth0", "user_id": third}) == 400
    await link(api, first, second)
    assert await api.status("POST", f"/users/{third}/identities", {
        "provider": "auth0", "user_id": second.partition("|")[2],
    }) == 409  # fmt: skip
    own = first.partition("|")[2]
    assert await api.status("DELETE", f"{path}/auth0/{own}") == 400
    assert await api.status("DELETE", f"{path}/auth0/{third.partition('|')[2]}") == 404
    assert len((await api.get(f"/users/{first}"))["identities"]) == 2


async def test_of_a_linked_identity_the_address_is_changed_by_naming_its_connection(
    mail: Mailed, api: Api
) -> None:
    phone = Phone(mail, await mail.client())
    second = claims_of((await phone.redeem(await phone.code(GRACE), GRACE)).json()["id_token"])["sub"]
    first = await make(api, "ada@one.example", email_verified=True)
    await link(api, first, second)
    change = {"connection": "email", "email": "new@one.example", "name": "Ada"}
    user = await api.patch(f"/users/{first}", change)
    assert (user["email"], user["email_verified"], user["name"]) == ("ada@one.example", True, "Ada")
    kept = user["identities"][1]["profileData"]
    assert (kept["email"], kept["email_verified"]) == ("new@one.example", False)
    tokens = (await phone.redeem(await phone.code("new@one.example"), "new@one.example")).json()
    assert claims_of(tokens["id_token"])["sub"] == first
    assert (
        await api.status("PATCH", f"/users/{first}", {"connection": "nobody", "email": "x@one.example"})
        == 400
    )


async def test_a_password_that_is_removed_ends_what_it_began_and_comes_back_by_a_reset(
    mail: Mailed, api: Api
) -> None:
    user_id = await make(api, GRACE, OTHER)
    path = f"/users/{user_id}/authentication-methods"
    [method] = await api.get(path)
    assert (method["type"], method["confirmed"]) == ("password", True)
    assert (await api.get(path, include_totals="true"))["authenticators"] == [method]
    async with mail.installation.browser() as http:
        party, tokens = await sign_in(mail, http, GRACE, OTHER)
        await api.delete(path)
        assert (await party.silent())["error"] == "login_required"
        assert (await party.refresh(tokens.refresh_token)).error == "invalid_grant"
    assert not await mail.can_sign_in(GRACE, OTHER)
    assert await api.get(path) == []
    await api.delete(path)
    assert await api.status("GET", f"{path}/{quote(method['id'], safe='')}") == 404
    await api.patch(f"/users/{user_id}", {"password": PASSWORD})
    assert await mail.can_sign_in(GRACE, PASSWORD)


async def test_a_new_address_ends_what_was_begun_under_the_old_one(mail: Mailed, api: Api) -> None:
    user_id = await make(api, GRACE, OTHER)
    async with mail.installation.browser() as http:
        party, tokens = await sign_in(mail, http, GRACE, OTHER)
        await api.patch(f"/users/{user_id}", {"name": "Grace", "email": GRACE})
        assert "code" in await party.silent()
        await api.patch(f"/users/{user_id}", {"email": "moved@acme.example"})
        assert (await party.silent())["error"] == "login_required"
        assert (await party.refresh(tokens.refresh_token)).error == "invalid_grant"
    assert await mail.can_sign_in("moved@acme.example", OTHER)
    assert not await mail.can_sign_in(GRACE, OTHER)


REFUSED: list[dict[str, Any]] = [
    {"username": "grace", "password": OTHER}, {"username": "grace", "email_verified": True},
    {"password": OTHER, "email_verified": True}, {"client_id": "nobody", "email": "x@acme.example"},
    {"name": "Grace", "client_id": "nobody"}, {"verify_phone_number": True}, {"email": None},
    {"identities": []}, {"last_login": "2020-01-01"}, {"logins_count": 7}, {"multifactor": []},
    {"email": "ada@acme.example"},
]  # fmt: skip


async def test_what_auth0_does_not_change_at_once_or_at_all_is_refused(acme: Place) -> None:
    """`specs/bad-inputs.md` 110, 126 and 127."""
    api = acme.api()
    await api.made("/users", {"email": "ada@acme.example"})
    before = await api.made("/users", {"email": GRACE, "password": PASSWORD})
    for change in REFUSED:
        answer = await api.patch(f"/users/{before['user_id']}", change)
        assert answer.status_code in (400, 409), (change, answer.text)
    assert (await api.get(f"/users/{before['user_id']}")).json() == before


async def test_nobody_links_their_way_into_an_operators_account(one: Place) -> None:
    root = one.api()
    boss, mine = [
        (await root.made("/users", {"connection": DATABASE, "email": f"{name}@one.example"}))["user_id"]
        for name in ("boss", "mine")
    ]
    [server] = [
        item for item in (await root.get("/resource-servers")).json() if "api/v2" in item["identifier"]
    ]
    permissions = [{"resource_server_identifier": server["identifier"], "permission_name": "delete:clients"}]
    assert (await root.post(f"/users/{boss}/permissions", {"permissions": permissions})).is_success
    helper = one.api("update:users", "read:users")
    for first, second in ((boss, mine), (mine, boss)):
        body = {"provider": "auth0", "user_id": second}
        assert (await helper.post(f"/users/{first}/identities", body)).status_code == 403
    body = {"provider": "auth0", "user_id": mine}
    assert (await root.post(f"/users/{boss}/identities", body)).status_code == 201
    path = f"/users/{boss}/identities/auth0/{mine.partition('|')[2]}"
    assert (await helper.delete(path)).status_code == 403
    assert (await root.delete(path)).status_code == 200
