"""The people of an organization: read, given roles, put out, leaving (`specs/organization-api.md` A.2, A.4, C.3)."""

from typing import Any

import pytest

from tests.installation import Installation
from tests.organizations.people import AuthAnswer, AuthClient, member, signed_in
from tests.organizations.places import taken_back
from tests.organizations.test_lifecycle import made, place

ONLY_OWNER = "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER"
MAY_NOT = "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_MEMBER"


class Company:
    """An organization with its owner, and whoever else a test asks for."""

    def __init__(self, installation: Installation, owner: AuthClient, id: str, owner_id: str) -> None:
        self.installation, self.owner, self.id = installation, owner, id
        self.ids = {owner.user_id: owner_id}

    @classmethod
    async def of(cls, installation: Installation) -> "Company":
        owner = await signed_in(installation)
        created = await made(owner)
        return cls(installation, owner, created["id"], created["members"][0]["id"])

    async def person(self, role: str = "member") -> AuthClient:
        """In it, as their session is."""
        person = await member(self.installation, self.id)
        answer = await person.post("/organization/set-active", organizationId=self.id)
        assert answer.status == 200, answer
        self.ids[person.user_id] = (await person.get("/organization/get-active-member")).body["id"]
        if role != "member":
            assert (await self.give(self.owner, person, role)).status == 200
        return person

    async def give(self, giver: AuthClient, person: AuthClient, role: Any) -> AuthAnswer:
        body = {"memberId": self.ids[person.user_id], "role": role, "organizationId": self.id}
        return await giver.post("/organization/update-member-role", **body)

    async def remove(self, remover: AuthClient, person: AuthClient) -> AuthAnswer:
        body = {"memberIdOrEmail": self.ids[person.user_id], "organizationId": self.id}
        return await remover.post("/organization/remove-member", **body)

    async def roles(self) -> dict[str, str]:
        listed = await self.owner.get("/organization/list-members", organizationId=self.id)
        return {each["userId"]: each["role"] for each in listed.body["members"]}


def told(answer: AuthAnswer) -> tuple[int, str | None]:
    return answer.status, answer.code


async def test_members_are_read_by_members_with_who_they_are(shared: Installation) -> None:
    company = await Company.of(shared)
    plain = await company.person()
    listed = (await plain.get("/organization/list-members")).body
    assert listed["total"] == 2
    mine = next(each for each in listed["members"] if each["userId"] == plain.user_id)
    assert mine.keys() == {"id", "organizationId", "userId", "role", "createdAt", "user"}
    assert mine["user"].keys() == {"id", "name", "email", "image"}
    assert (mine["role"], mine["user"]["email"]) == ("member", plain.email)
    active = (await plain.get("/organization/get-active-member")).body
    assert active == mine
    stranger = await signed_in(shared)
    query = {"organizationId": company.id}
    refused = await stranger.get("/organization/list-members", **query)
    assert told(refused) == (403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION")
    for path in ("list-members", "get-active-member", "get-active-member-role"):
        assert told(await stranger.get(f"/organization/{path}")) == (400, "NO_ACTIVE_ORGANIZATION")
    unknown = await plain.get("/organization/list-members", organizationSlug="nobody-has-this")
    assert told(unknown) == (400, "ORGANIZATION_NOT_FOUND")


async def test_many_are_filtered_sorted_and_paged(shared: Installation) -> None:
    company = await Company.of(shared)
    people = [await company.person(role) for role in ("admin", "guest", "member")]
    ids = [company.owner.user_id, *(person.user_id for person in people)]
    assert (await company.give(company.owner, people[0], ["admin", " Guest "])).body["role"] == "admin,guest"

    async def found(**query: Any) -> tuple[list[int], int]:
        answer = await company.owner.get("/organization/list-members", **query)
        assert answer.status == 200, answer
        return [ids.index(each["userId"]) for each in answer.body["members"]], answer.body["total"]

    def by(field: str, operator: str, *values: str) -> dict[str, Any]:
        return {"filterField": field, "filterOperator": operator, "filterValue": list(values)}

    assert await found() == ([0, 1, 2, 3], 4)
    assert await found(limit=2, offset=1) == ([1, 2], 4)
    assert await found(limit=0) == ([], 4)
    assert await found(sortBy="createdAt", sortDirection="desc") == ([3, 2, 1, 0], 4)
    assert await found(sortBy="role") == ([1, 2, 3, 0], 4)
    assert await found(**by("role", "eq", "admin")) == ([], 0)
    assert await found(**by("role", "eq", "admin,guest")) == ([1], 1)
    assert await found(**by("role", "ne", "member")) == ([0, 1, 2], 3)
    assert await found(**by("role", "contains", "guest")) == ([1, 2], 2)
    assert await found(**by("role", "starts_with", "adm")) == ([1], 1)
    assert await found(**by("role", "ends_with", "er")) == ([0, 3], 2)
    assert await found(**by("role", "contains", "%")) == ([], 0)
    assert await found(**by("role", "in", "owner", "member")) == ([0, 3], 2)
    assert await found(**by("role", "not_in", "owner", "member")) == ([1, 2], 2)
    assert await found(**by("role", "not_in", "member")) == ([0, 1, 2], 3)
    assert await found(organizationSlug="", sortBy="", filterField="") == ([0, 1, 2, 3], 4)
    assert await found(**by("userId", "eq", ids[2])) == ([2], 1)
    assert await found(**by("createdAt", "gte", "2020-01-01T00:00:00.000Z")) == ([0, 1, 2, 3], 4)
    assert await found(**by("createdAt", "lt", "1577836800000")) == ([], 0)


async def test_members_are_found_by_what_they_are_now_whoever_made_them_so(shared: Installation) -> None:
    company = await Company.of(shared)
    person, founder = await company.person(), await signed_in(shared)

    async def found(role: str) -> set[str]:
        query = {"filterField": "role", "filterValue": role, "organizationId": company.id}
        listed = (await company.owner.get("/organization/list-members", **query)).body
        assert listed["total"] == len(listed["members"])
        return {each["userId"] for each in listed["members"]}

    manager = await shared.manager("acme")
    added = {"members": [founder.user_id], "organization_roles": ["owner", "admin"]}
    await manager.post(f"/organizations/{company.id}/members", added)
    assert await found("admin,owner") == {founder.user_id}
    await company.owner.post("/organization/set-active", organizationId=company.id)
    role = {"role": "scribe", "permission": {"invitation": ["create"]}}
    assert (await company.owner.post("/organization/create-role", **role)).status == 200
    assert (await company.give(company.owner, person, "scribe")).status == 200
    assert (await found("scribe"), await found("member")) == ({person.user_id}, set())
    renamed = {"roleName": "scribe", "data": {"roleName": "writer"}}
    assert (await company.owner.post("/organization/update-role", **renamed)).status == 200
    assert (await found("scribe"), await found("writer")) == (set(), {person.user_id})
    assert (await company.roles())[person.user_id] == "writer"


@pytest.mark.parametrize(
    "query",
    [
        {"sortBy": "password"},
        {"filterField": "email", "filterValue": "a"},
        {"filterField": "role", "filterOperator": "in", "filterValue": "a"},
        {"filterField": "role", "filterOperator": "like", "filterValue": "a"},
        {"filterField": "role"},
        {"filterField": "createdAt", "filterValue": "yesterday"},
        {"filterField": "createdAt", "filterOperator": "contains", "filterValue": "1577836800000"},
        {"sortDirection": "up"},
        {"limit": -1},
        {"limit": 1001},
        {"limit": "many"},
        {"offset": -1},
    ],
)
async def test_what_cannot_be_listed_by_is_refused(shared: Installation, query: dict[str, Any]) -> None:
    company = await Company.of(shared)
    assert told(await company.owner.get("/organization/list-members", **query)) == (400, "VALIDATION_ERROR")


async def test_any_member_may_ask_what_another_is(shared: Installation) -> None:
    company, stranger = await Company.of(shared), await signed_in(shared)
    plain = await company.person()

    async def asked(person: AuthClient, **query: Any) -> AuthAnswer:
        return await person.get("/organization/get-active-member-role", **query)

    assert (await asked(plain)).body == {"role": "member"}
    assert (await asked(plain, userId=company.owner.user_id)).body == {"role": "owner"}
    outside = (403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION")
    assert told(await asked(plain, userId=stranger.user_id)) == outside
    assert told(await asked(stranger, organizationId=company.id)) == outside


async def test_permissions_are_asked_of_the_role_as_it_is_now(shared: Installation) -> None:
    company, stranger = await Company.of(shared), await signed_in(shared)
    plain = await company.person()

    async def may(person: AuthClient, **body: Any) -> AuthAnswer:
        return await person.post("/organization/has-permission", **body)

    update = {"permissions": {"member": ["update"]}}
    assert (await may(plain, **update)).body == {"error": None, "success": False}
    await company.give(company.owner, plain, "admin")
    assert (await may(plain, **update)).body == {"error": None, "success": True}
    for never in ({}, {"member": []}, {"planet": ["move"]}, {"member": ["update", "move"]}):
        assert (await may(plain, permissions=never)).body["success"] is False
    assert (await may(plain, permission={"member": ["update"]})).body["success"] is False
    for wrong in ({}, {**update, "permission": {}}):
        assert told(await may(plain, **wrong)) == (400, "VALIDATION_ERROR")
    foreign = await may(stranger, **update, organizationId=company.id)
    assert told(foreign) == (401, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION")
    assert told(await may(stranger, **update)) == (400, "NO_ACTIVE_ORGANIZATION")


async def test_roles_are_given_by_who_may_and_owners_touched_by_owners_only(shared: Installation) -> None:
    company, other = await Company.of(shared), await Company.of(shared)
    owner, admin, plain = company.owner, await company.person("admin"), await company.person()
    outsider = await other.person()
    company.ids |= other.ids
    assert told(await company.give(plain, plain, "admin")) == (403, MAY_NOT)
    assert told(await company.give(admin, plain, "owner")) == (403, MAY_NOT)
    assert told(await company.give(admin, owner, "member")) == (403, MAY_NOT)
    assert told(await company.give(admin, outsider, "admin")) == (403, MAY_NOT)
    assert told(await company.give(outsider, plain, "admin")) == (400, "MEMBER_NOT_FOUND")
    unknown = await company.give(admin, plain, "pilot, cook")
    assert told(unknown) == (400, "ROLE_NOT_FOUND")
    assert unknown.body["message"] == "ROLE_NOT_FOUND: cook, pilot"
    for empty in ("", " , ", [], [""]):
        answer = await company.give(admin, plain, empty)
        assert (answer.status, answer.text) == (400, "")
    given = await company.give(admin, plain, [" ADMIN ", "guest"])
    assert given.body["role"] == "admin,guest"
    assert "user" not in given.body
    assert (await company.roles())[plain.user_id] == "admin,guest"


async def test_nobody_gives_what_they_do_not_hold(shared: Installation) -> None:
    """Or who may change roles would make themselves an administrator, or of a friend one."""
    company = await Company.of(shared)
    personnel, friend = await company.person(), await company.person()
    for role, permission in (
        ("personnel", {"member": ["update"], "ac": ["read"]}),
        ("inviter", {"invitation": ["create"], "ac": ["read"]}),
    ):
        body = {"role": role, "permission": permission, "organizationId": company.id}
        assert (await company.owner.post("/organization/create-role", **body)).status == 200
    assert (await company.give(company.owner, personnel, "personnel")).status == 200
    for role, missing in (("inviter", ["invitation:create"]), ("admin", None)):
        for person in (personnel, friend):
            refused = await company.give(personnel, person, role)
            assert told(refused) == (403, MAY_NOT)
            assert missing is None or refused.body["missingPermissions"] == missing
    assert (await company.give(personnel, friend, ["guest", "personnel"])).status == 200


async def test_an_organization_has_an_owner_whatever_its_owner_does(shared: Installation) -> None:
    company = await Company.of(shared)
    owner = company.owner
    demoted = await company.give(owner, owner, "admin")
    assert told(demoted) == (400, "YOU_CANNOT_LEAVE_THE_ORGANIZATION_WITHOUT_AN_OWNER")
    assert told(await owner.post("/organization/leave", organizationId=company.id)) == (400, ONLY_OWNER)
    assert told(await company.remove(owner, owner)) == (400, ONLY_OWNER)
    assert (await company.give(owner, owner, ["owner", "guest"])).body["role"] == "guest,owner"
    second = await company.person("owner")
    assert (await company.give(owner, owner, "admin")).status == 200
    assert told(await company.remove(owner, second)) == (400, ONLY_OWNER)
    assert told(await company.remove(second, second)) == (400, ONLY_OWNER)


async def test_ownership_is_handed_over_in_one_step(shared: Installation) -> None:
    company, other = await Company.of(shared), await Company.of(shared)
    owner, heir = company.owner, await company.person("guest")

    async def hand_over(by: AuthClient, to: str) -> AuthAnswer:
        return await by.post("/organization/transfer-ownership", memberId=to, organizationId=company.id)

    to = company.ids[heir.user_id]
    assert told(await hand_over(heir, to)) == (403, "YOU_ARE_NOT_ALLOWED_TO_TRANSFER_THE_OWNERSHIP")
    assert told(await hand_over(other.owner, to)) == (400, "MEMBER_NOT_FOUND")
    foreign = other.ids[other.owner.user_id]
    assert told(await hand_over(owner, foreign)) == (400, "MEMBER_NOT_FOUND")
    own = company.ids[owner.user_id]
    assert told(await hand_over(owner, own)) == (400, "YOU_CANNOT_TRANSFER_THE_OWNERSHIP_TO_YOURSELF")
    done = await hand_over(owner, to)
    assert (done.body["member"]["role"], done.body["formerOwner"]["role"]) == ("guest,owner", "admin")
    assert await company.roles() == {owner.user_id: "admin", heir.user_id: "guest,owner"}
    assert told(await hand_over(owner, to)) == (403, "YOU_ARE_NOT_ALLOWED_TO_TRANSFER_THE_OWNERSHIP")


async def test_who_steps_down_has_asked_nobody_to_what_they_were(shared: Installation) -> None:
    company = await Company.of(shared)
    owner, second = company.owner, await company.person("owner")
    asked = {"a@out.example": "owner", "b@out.example": "admin", "c@out.example": "member"}
    for address, role in asked.items():
        await second.post("/organization/invite-member", email=address, role=role)

    async def pending() -> set[str]:
        listed = (await owner.get("/organization/list-invitations")).body
        return {each["role"] for each in listed if each["status"] == "pending"}

    await company.give(owner, second, ["owner", "guest"])
    assert await pending() == {"owner", "admin", "member"}
    await company.give(second, second, "admin")
    assert await pending() == {"admin", "member"}
    await company.give(owner, second, "member")
    assert await pending() == set()
    written = sorted(await taken_back(shared, second.user_id))
    assert written == [(address, role, "inviter_roles_changed") for address, role in asked.items()]


async def test_members_are_put_out_by_who_may(shared: Installation) -> None:
    company, other = await Company.of(shared), await Company.of(shared)
    owner, admin, plain = company.owner, await company.person("admin"), await company.person()
    company.ids |= other.ids
    assert told(await company.remove(plain, admin)) == (401, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER")
    assert told(await company.remove(plain, plain)) == (401, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER")
    assert told(await company.remove(admin, owner)) == (400, ONLY_OWNER)
    assert told(await company.remove(admin, other.owner)) == (400, "MEMBER_NOT_FOUND")
    assert told(await company.remove(other.owner, plain)) == (400, "MEMBER_NOT_FOUND")
    body = {"memberIdOrEmail": plain.email.upper(), "organizationId": company.id}
    gone = await admin.post("/organization/remove-member", **body)
    assert gone.status == 200
    assert gone.body["member"]["user"]["email"] == plain.email
    again = await admin.post("/organization/remove-member", **body)
    assert told(again) == (400, "MEMBER_NOT_FOUND")
    by_id = (await company.remove(owner, admin)).body["member"]
    assert (by_id["userId"], "user" in by_id) == (admin.user_id, False)
    assert list(await company.roles()) == [owner.user_id]
    assert await place(plain) == await place(admin) == (None, None)


async def test_whoever_leaves_is_out_at_once(shared: Installation) -> None:
    company = await Company.of(shared)
    plain = await company.person()
    left = await plain.post("/organization/leave", organizationId=company.id)
    assert (left.body["userId"], left.body["user"]["id"]) == (plain.user_id, plain.user_id)
    assert await place(plain) == (None, None)
    again = await plain.post("/organization/leave", organizationId=company.id)
    assert told(again) == (400, "MEMBER_NOT_FOUND")
    assert told(await plain.post("/organization/leave")) == (400, "VALIDATION_ERROR")


async def test_one_membership_whichever_api_made_it(shared: Installation) -> None:
    company, manager = await Company.of(shared), await shared.manager("acme")
    plain = await company.person()
    members = f"/organizations/{company.id}/members"
    assert {each["user_id"] for each in await manager.get(members)} == {company.owner.user_id, plain.user_id}
    assert (await company.roles())[plain.user_id] == "member"
    await company.give(company.owner, plain, "admin")
    await manager.post(members, {"members": [plain.user_id]})
    assert (await company.roles())[plain.user_id] == "admin"
    await company.remove(company.owner, plain)
    assert [each["user_id"] for each in await manager.get(members)] == [company.owner.user_id]
    shown = await manager.get(f"/organizations/{company.id}")
    created = (await company.owner.get("/organization/get-organization")).body
    assert (shown["name"], shown["display_name"]) == (created["slug"], created["name"])


async def test_what_was_done_is_told_of_whom_and_by_whom(shared: Installation) -> None:
    company, manager = await Company.of(shared), await shared.manager("acme")
    owner, heir, plain = company.owner, await company.person(), await company.person()
    await company.give(owner, plain, "admin")
    await company.remove(owner, plain)
    of_it = {"organizationId": company.id}
    await owner.post("/organization/update", data={"name": "Renamed"}, **of_it)
    await owner.post("/organization/transfer-ownership", memberId=company.ids[heir.user_id], **of_it)
    await heir.post("/organization/delete", **of_it)
    told: dict[str, Any] = {}
    for person in (owner, heir, plain):
        for event in await manager.get(f"/users/{person.user_id}/logs"):
            if event.get("organization_id") == company.id:
                told[event["type"]] = event
    assert {type: event["user_id"] for type, event in told.items()} == {
        "organization_created": owner.user_id,
        "organization_updated": owner.user_id,
        "organization_deleted": heir.user_id,
        "organization_ownership_transferred": heir.user_id,
        "organization_member_added": plain.user_id,
        "organization_member_role_changed": plain.user_id,
        "organization_member_removed": plain.user_id,
    }
    changed = told["organization_member_role_changed"]["details"]
    assert (changed["before"], changed["after"]) == ("member", "admin")
    for type in ("member_role_changed", "member_removed", "ownership_transferred"):
        assert told[f"organization_{type}"]["details"]["by"] == owner.user_id
