"""Organizations as their people make, choose, change and delete them (`specs/organization-api.md` A.1)."""

import json
import re
import secrets
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from tenant_runtime.models import MembershipOrganizationRole
from tenant_runtime.organizations.members import member_of
from tests.installation import Installation
from tests.organizations.people import DATABASE, AuthClient, member, signed_in, visitor
from tests.organizations.places import telling


def new_slug() -> str:
    return f"o{secrets.token_hex(6)}"


async def made(owner: AuthClient, **members: Any) -> dict[str, Any]:
    body = {"name": "Example Ltd", "slug": new_slug(), **members}
    answer = await owner.post("/organization/create", **body)
    assert answer.status == 200, answer
    return dict(answer.body)


async def place(person: AuthClient) -> tuple[str | None, str | None]:
    """The organization and the team that the person's session is in."""
    session = await person.session()
    assert session is not None
    return session["activeOrganizationId"], session["activeTeamId"]


async def test_whoever_makes_one_owns_it_and_is_in_it(shared: Installation) -> None:
    owner = await signed_in(shared)
    slug = new_slug()
    created = await made(owner, name="Example Ltd", slug=slug, metadata={"plan": {"seats": 3}})
    (creator,) = created["members"]
    assert (created["name"], created["slug"], created["logo"]) == ("Example Ltd", slug, None)
    assert created["metadata"] == {"plan": {"seats": 3}}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", created["createdAt"])
    assert (creator["userId"], creator["role"]) == (owner.user_id, "owner")
    assert creator["organizationId"] == created["id"]
    teams = (await owner.get("/organization/list-teams")).body
    assert [(team["name"], team["updatedAt"]) for team in teams] == [("Example Ltd", None)]
    assert await place(owner) == (created["id"], teams[0]["id"])


async def test_a_session_may_stay_where_it_is(shared: Installation) -> None:
    owner = await signed_in(shared)
    first = await made(owner)
    second = await made(owner, keepCurrentActiveOrganization=True)
    assert (await place(owner))[0] == first["id"]
    listed = (await owner.get("/organization/list")).body
    assert [each["id"] for each in listed] == [first["id"], second["id"]]


async def test_metadata_is_an_object_when_written_and_text_when_read(shared: Installation) -> None:
    owner = await signed_in(shared)
    bare = await made(owner)
    assert "metadata" not in bare
    read = (await owner.get("/organization/get-organization")).body
    assert read["metadata"] is None
    changed = await owner.post("/organization/update", data={"metadata": {"a": 1}, "name": "Other"})
    assert (changed.body["metadata"], changed.body["name"]) == ({"a": 1}, "Other")
    for path in ("/organization/get-organization", "/organization/get-full-organization"):
        assert (await owner.get(path)).body["metadata"] == '{"a":1}'
    assert (await owner.post("/organization/set-active")).body["metadata"] == '{"a":1}'


@pytest.mark.parametrize("slug", ["", "Acme", "-acme", "a/b", "a b", "a_b", "a" * 64, "a" * 300, "ä", "a\n"])
async def test_a_slug_is_a_label_in_small_letters(shared: Installation, slug: str) -> None:
    owner = await signed_in(shared)
    created = await made(owner)
    for path, body in (
        ("create", {"name": "x", "slug": slug}),
        ("check-slug", {"slug": slug}),
        ("update", {"data": {"slug": slug}}),
    ):
        answer = await owner.post(f"/organization/{path}", **body)
        assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
        assert "slug] Expected small letters (a-z), digits and hyphens" in answer.body["message"]
    assert [each["slug"] for each in (await owner.get("/organization/list")).body] == [created["slug"]]


async def test_a_slug_is_taken_once_and_some_are_reserved(shared: Installation) -> None:
    owner, other = await signed_in(shared), await signed_in(shared)
    slug = new_slug()
    assert (await other.post("/organization/check-slug", slug=slug)).body == {"status": True}
    first = await made(owner, slug=slug)
    for taken in (slug, "admin"):
        assert (await other.post("/organization/check-slug", slug=taken)).code == (
            "ORGANIZATION_SLUG_ALREADY_TAKEN"
        )
        answer = await other.post("/organization/create", name="x", slug=taken)
        assert (answer.status, answer.code) == (400, "ORGANIZATION_ALREADY_EXISTS")
    second = await made(owner)
    changes = {"data": {"slug": slug}, "organizationId": second["id"]}
    assert (await owner.post("/organization/update", **changes)).code == "ORGANIZATION_SLUG_ALREADY_TAKEN"
    own = {"data": {"slug": slug}, "organizationId": first["id"]}
    assert (await owner.post("/organization/update", **own)).status == 200


async def test_nobody_looks_for_slugs_by_the_hundred(shared: Installation) -> None:
    person, other = await signed_in(shared), await signed_in(shared)
    answers = [await person.post("/organization/check-slug", slug=new_slug()) for _ in range(61)]
    assert [answer.status for answer in answers] == [200] * 60 + [429]
    assert 0 < int(answers[-1].headers["x-retry-after"]) <= 60
    assert (await other.post("/organization/check-slug", slug=new_slug())).status == 200


async def test_nobody_makes_more_than_they_may(shared: Installation) -> None:
    owner = await signed_in(shared)
    await made(owner)
    manager = await shared.manager("acme")
    for options, code in (
        ({"organization_limit": 1}, "YOU_HAVE_REACHED_THE_MAXIMUM_NUMBER_OF_ORGANIZATIONS"),
        ({"allow_user_to_create_organization": False}, "YOU_ARE_NOT_ALLOWED_TO_CREATE_A_NEW_ORGANIZATION"),
    ):
        await manager.patch("/tenants/organizations", options)
        answer = await owner.post("/organization/create", name="x", slug=new_slug())
        await manager.patch("/tenants/organizations", dict.fromkeys(options))
        assert (answer.status, answer.code) == (403, code)


async def test_who_makes_organizations_has_proved_their_address_where_the_tenant_asks_it(
    shared: Installation,
) -> None:
    unproved, proved = await signed_in(shared, verified=False), await signed_in(shared)
    await made(unproved)
    async with telling(shared, creators_need_verified_address=True):
        refused = await unproved.post("/organization/create", name="x", slug=new_slug())
        assert (refused.status, refused.code) == (403, "EMAIL_NOT_VERIFIED")
        await made(proved)


async def test_without_a_session_each_says_so_in_its_way(shared: Installation) -> None:
    nobody = visitor(shared)
    for path, body, status, code in (
        ("/organization/create", {"name": "x", "slug": "x"}, 401, None),
        ("/organization/delete", {"organizationId": "x"}, 401, None),
        ("/organization/update", {"data": {"name": "x"}}, 401, None),
        ("/organization/set-active", {}, 401, "UNAUTHORIZED"),
        ("/organization/check-slug", {"slug": "x"}, 401, "UNAUTHORIZED"),
    ):
        answer = await nobody.post(path, **body)
        assert (answer.status, answer.code) == (status, code), path
    for path in ("list", "get-organization", "get-full-organization"):
        assert (await nobody.get(f"/organization/{path}")).code == "UNAUTHORIZED"


async def test_whoever_is_in_no_organization_is_told_nothing_of_one(shared: Installation) -> None:
    person = await signed_in(shared)
    for path in ("/organization/get-organization", "/organization/get-full-organization"):
        answer = await person.get(path)
        assert (answer.status, answer.text) == (200, "null")
    answer = await person.post("/organization/set-active")
    assert (answer.status, answer.text) == (200, "null")
    assert (await person.get("/organization/list")).body == []


async def test_another_organization_is_chosen_by_id_or_slug_without_its_team(shared: Installation) -> None:
    owner = await signed_in(shared)
    first, second = await made(owner), await made(owner)
    chosen = await owner.post("/organization/set-active", organizationSlug=first["slug"])
    assert chosen.body["id"] == first["id"]
    assert "members" not in chosen.body
    assert "better-auth.session_token" in chosen.headers["set-cookie"]
    assert await place(owner) == (first["id"], None)
    await owner.post("/organization/set-active", organizationId=second["id"])
    cleared = await owner.post("/organization/set-active", organizationId=None)
    assert cleared.text == "null"
    assert await place(owner) == (None, None)


async def test_the_team_stays_when_the_organization_is_chosen_again(shared: Installation) -> None:
    owner = await signed_in(shared)
    created = await made(owner)
    before = await place(owner)
    await owner.post("/organization/set-active", organizationId=created["id"])
    assert None not in before
    assert await place(owner) == before


@pytest.mark.parametrize("where", ["get-organization", "get-full-organization", "set-active"])
async def test_whoever_asks_for_what_is_not_theirs_is_in_none_afterwards(
    shared: Installation, where: str
) -> None:
    owner, stranger = await signed_in(shared), await signed_in(shared)
    foreign = await made(owner)
    await made(stranger)
    path = f"/organization/{where}"
    ask = stranger.post if where == "set-active" else stranger.get
    answer = await ask(path, organizationId=foreign["id"])
    assert (answer.status, answer.code) == (403, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION")
    assert await place(stranger) == (None, None)
    unknown = await ask(path, organizationSlug="nobody-has-this")
    assert (unknown.status, unknown.code) == (400, "ORGANIZATION_NOT_FOUND")


async def test_all_of_it_in_one_answer_without_what_one_may_not_see(shared: Installation) -> None:
    owner = await signed_in(shared)
    created = await made(owner)
    await owner.post("/organization/invite-member", email="a@b.example", role="owner")
    await owner.post("/organization/invite-member", email="c@b.example", role="member")
    plain = await member(shared, created["id"])
    seen = {}
    for person in (owner, plain):
        query = {"organizationSlug": created["slug"]}
        seen[person.user_id] = (await person.get("/organization/get-full-organization", **query)).body
    mine, theirs = seen[owner.user_id], seen[plain.user_id]
    assert [(each["userId"], each["role"]) for each in mine["members"]] == [
        (owner.user_id, "owner"),
        (plain.user_id, "member"),
    ]
    assert mine["members"][0]["user"]["email"] == owner.email
    assert {each["email"] for each in mine["invitations"]} == {"a@b.example", "c@b.example"}
    assert theirs["invitations"] == []
    assert "memberCount" not in mine["teams"][0]
    few = await owner.get("/organization/get-full-organization", membersLimit=1)
    assert len(few.body["members"]) == 1


async def test_changing_takes_the_permission_and_something_to_change(shared: Installation) -> None:
    owner, stranger = await signed_in(shared), await signed_in(shared)
    created = await made(owner)
    plain = await member(shared, created["id"])
    body = {"data": {"name": "Mine"}, "organizationId": created["id"]}
    for person, status, code in (
        (stranger, 400, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION"),
        (plain, 403, "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_ORGANIZATION"),
    ):
        answer = await person.post("/organization/update", **body)
        assert (answer.status, answer.code) == (status, code)
    assert (await stranger.post("/organization/update", data={"name": "x"})).code == "ORGANIZATION_NOT_FOUND"
    for data in ({}, {"unknown": 1}):
        answer = await owner.post("/organization/update", data=data)
        assert (answer.status, answer.code) == (400, "VALIDATION_ERROR"), data


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels else {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": "two\nlines"}, {"name": "a\0b"}, {"name": "end\r"}, {"name": "n" * 301},
        {"logo": "javascript:alert(1)"}, {"metadata": [1]}, {"metadata": {"a": "x" * 20_000}}, {"metadata": nested(20)},
    ],
    ids=lambda wrong: str(wrong)[:40],
)  # fmt: skip
async def test_what_nobody_could_read_afterwards_is_not_said_of_an_organization(
    shared: Installation, wrong: dict[str, Any]
) -> None:
    owner = await signed_in(shared)
    created = await made(owner, metadata=nested(19))
    refused = await owner.post("/organization/create", **{"name": "x", "slug": new_slug(), **wrong})
    assert (refused.status, refused.code) == (400, "VALIDATION_ERROR")
    refused = await owner.post("/organization/update", data=wrong)
    assert (refused.status, refused.code) == (400, "VALIDATION_ERROR")
    (listed,) = (await owner.get("/organization/list")).body
    assert (listed["name"], json.loads(listed["metadata"])) == (created["name"], nested(19))


async def test_what_only_the_server_says_of_an_organization_is_not_taken(shared: Installation) -> None:
    """`specs/bad-inputs.md` 93."""
    owner, other = await signed_in(shared), await signed_in(shared)
    said = {"id": "org_chosen", "userId": other.user_id, "createdAt": "2001-01-01T00:00:00.000Z"}
    created = await made(owner, **said, managedBy="tenant", members=[{"userId": other.user_id}])
    assert not said.items() & created.items()
    assert [each["userId"] for each in created["members"]] == [owner.user_id]
    assert (await other.get("/organization/list")).body == []


async def test_fields_of_the_tenants_own_are_taken_kept_and_shown(shared: Installation) -> None:
    manager, owner = await shared.manager("acme"), await signed_in(shared)
    fields = {
        "vat": {"type": "string", "required": True},
        "size": {"type": "number"},
        "score": {"input": False},
        "secret": {"returned": False},
    }
    await manager.patch("/tenants/organizations", {"additional_fields": {"organization": fields}})
    try:
        missing = await owner.post("/organization/create", name="x", slug=new_slug())
        assert (missing.status, missing.code) == (400, "VALIDATION_ERROR")
        wrong = await owner.post("/organization/create", name="x", slug=new_slug(), vat="1", size="many")
        assert (wrong.status, wrong.code) == (400, "VALIDATION_ERROR")
        created = await made(owner, vat="DE1", size=3, score="mine", secret="s")
        assert (created["vat"], created["size"], created["score"]) == ("DE1", 3, None)
        assert "secret" not in created
        await owner.post("/organization/update", data={"size": 4})
        read = (await owner.get("/organization/get-organization")).body
        assert (read["vat"], read["size"]) == ("DE1", 4)
    finally:
        await manager.patch("/tenants/organizations", {"additional_fields": None})


async def test_deleting_is_the_owners_and_may_be_nobodys(shared: Installation) -> None:
    owner, stranger = await signed_in(shared), await signed_in(shared)
    created = await made(owner, metadata={"a": 1})
    admin = await member(shared, created["id"])
    found = (await admin.get("/organization/get-active-member-role", organizationId=created["id"])).body
    assert found == {"role": "member"}
    manager, body = await shared.manager("acme"), {"organizationId": created["id"]}
    await manager.patch("/tenants/organizations", {"disable_organization_deletion": True})
    disabled = await owner.post("/organization/delete", **body)
    await manager.patch("/tenants/organizations", {"disable_organization_deletion": None})
    assert (disabled.status, disabled.code) == (404, "ORGANIZATION_DELETION_DISABLED")
    for person, status, code in (
        (stranger, 400, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION"),
        (admin, 403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_ORGANIZATION"),
    ):
        answer = await person.post("/organization/delete", **body)
        assert (answer.status, answer.code) == (status, code)
    gone = await owner.post("/organization/delete", **body)
    assert (gone.body["id"], gone.body["metadata"]) == (created["id"], '{"a":1}')
    for person in (owner, admin):
        assert (await person.get("/organization/list")).body == []
    again = await owner.post("/organization/delete", **body)
    assert (again.status, again.code) == (400, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION")


async def test_the_organization_of_a_tenant_keeps_its_name_and_lasts(shared: Installation) -> None:
    """Even to its owner; what else is said of it is theirs."""
    owner = await owner_of_a_tenant(shared, "acme")
    body = {"organizationId": (await owner.get("/organization/get-organization")).body["id"]}
    for change in ({"name": "x"}, {"slug": new_slug()}):
        refused = await owner.post("/organization/update", data=change, **body)
        assert (refused.status, refused.code) == (403, "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_ORGANIZATION")
    refused = await owner.post("/organization/delete", **body)
    assert (refused.status, refused.code) == (403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_ORGANIZATION")
    changes = {"logo": "https://acme.example/logo.png", "metadata": {"a": 1}}
    assert (await owner.post("/organization/update", data=changes, **body)).body["logo"] == changes["logo"]


async def owner_of_a_tenant(shared: Installation, tenant_id: str) -> AuthClient:
    """Somebody new on tenant one, in the organization that stands for that tenant."""
    operator, one = await shared.operator(), shared.demo.control_plane.issuer
    owner = AuthClient(visitor(shared).http, one, f"{secrets.token_hex(6)}@plane.example", new_slug() * 2)
    account = {"connection": DATABASE, "email": owner.email, "password": owner.password}
    owner.user_id = (await operator.post("/users", {**account, "email_verified": True}))["user_id"]
    found = next(each for each in await operator.get("/organizations") if each["name"] == tenant_id)
    await operator.post(f"/organizations/{found['id']}/members", {"members": [owner.user_id]})
    tenant = await shared.running.platform.directory.by_id("control_plane")
    assert tenant is not None
    await tenant.database.write(_make_owner, found["id"], owner.user_id)
    await owner.sign_in()
    await owner.post("/organization/set-active", organizationId=found["id"])
    return owner


def _make_owner(connection: Connection, organization_id: str, user_id: str) -> None:
    member = member_of(connection, organization_id, user_id)
    assert member is not None
    row = {"membership_id": member.id, "role": "owner"}
    connection.execute(insert(MembershipOrganizationRole.__table__), row)
