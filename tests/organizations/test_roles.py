"""Roles that an organization makes for itself: nobody gives what they do not hold, and no name means two things."""

from typing import Any

import pytest

from tenant_runtime.organizations.roles.units import MOST
from tests.installation import Installation
from tests.organizations.people import AuthClient, member, signed_in
from tests.organizations.places import invited, organization_of, taken_back, telling

pytestmark = pytest.mark.anyio

INVITES = {"invitation": ["create"]}


async def owner_with_organization(shared: Installation) -> tuple[AuthClient, str]:
    owner = await signed_in(shared)
    return owner, (await organization_of(owner))["id"]


async def role_of(owner: AuthClient, name: str, permission: dict[str, list[str]]) -> dict[str, Any]:
    made = await owner.post("/organization/create-role", role=name, permission=permission)
    assert made.status == 200, made
    return dict(made.body["roleData"])


async def member_with(owner: AuthClient, shared: Installation, organization_id: str, role: str) -> AuthClient:
    person = await member(shared, organization_id)
    await person.post("/organization/set-active", organizationId=organization_id)
    [found] = [
        row
        for row in (await owner.get("/organization/list-members")).body["members"]
        if row["userId"] == person.user_id
    ]
    given = await owner.post("/organization/update-member-role", memberId=found["id"], role=role)
    assert given.status == 200, given
    return person


async def may(person: AuthClient, **permissions: list[str]) -> bool:
    answer = await person.post("/organization/has-permission", permissions=permissions)
    return bool(answer.body["success"])


async def test_a_role_is_made_read_listed_and_permits_what_it_says(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    made = await owner.post("/organization/create-role", role="  Recruiter ", permission=INVITES)
    role = made.body["roleData"]
    assert made.body == {"success": True, "roleData": role, "statements": INVITES}
    assert role == {
        "id": role["id"],
        "organizationId": organization_id,
        "role": "recruiter",
        "permission": INVITES,
        "createdAt": role["createdAt"],
        "updatedAt": None,
    }
    assert (await owner.get("/organization/list-roles")).body == [role]
    assert (await owner.get("/organization/get-role", roleName="recruiter")).body == role
    assert (await owner.get("/organization/get-role", roleId=role["id"])).body == role
    robin = await member_with(owner, shared, organization_id, "recruiter")
    assert await may(robin, invitation=["create"])
    assert not await may(robin, invitation=["create", "cancel"])
    assert (await robin.get("/organization/list-roles")).code == "YOU_ARE_NOT_ALLOWED_TO_LIST_A_ROLE"


async def test_nobody_gives_what_they_do_not_hold(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    await role_of(owner, "role-maker", {"ac": ["create", "update", "read"], "team": ["create"]})
    maker = await member_with(owner, shared, organization_id, "role-maker")
    refused = await maker.post(
        "/organization/create-role", role="more", permission={"team": ["create", "fly"], "member": ["delete"]}
    )
    assert (refused.status, refused.code) == (403, "YOU_ARE_NOT_ALLOWED_TO_CREATE_A_ROLE")
    assert refused.body["missingPermissions"] == ["team:fly", "member:delete"]
    await role_of(maker, "teams", {"team": ["create"]})
    raised = await maker.post(
        "/organization/update-role", roleName="teams", data={"permission": {"team": ["create", "delete"]}}
    )
    assert (raised.status, raised.code) == (403, "YOU_ARE_NOT_ALLOWED_TO_UPDATE_A_ROLE")
    assert raised.body["missingPermissions"] == ["team:delete"]
    own = await maker.post(
        "/organization/update-role", roleName="role-maker", data={"permission": {"organization": ["delete"]}}
    )
    assert own.status == 403
    nothing = await owner.post("/organization/create-role", role="x", permission={"rocket": ["fly"]})
    assert (nothing.status, nothing.code) == (400, "INVALID_RESOURCE")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("owner", "ROLE_NAME_IS_ALREADY_TAKEN"),
        (" ADMIN ", "ROLE_NAME_IS_ALREADY_TAKEN"),
        ("guest", "ROLE_NAME_IS_ALREADY_TAKEN"),
        ("   ", "VALIDATION_ERROR"),
        ("\uff2fwner", "ROLE_NAME_IS_ALREADY_TAKEN"),
        ("a,owner", "VALIDATION_ERROR"),
        ("a\uff0cowner", "VALIDATION_ERROR"),
        ("a\u0000b", "VALIDATION_ERROR"),
        ("x" * 65, "VALIDATION_ERROR"),
    ],
)
async def test_a_name_that_could_mean_another_role_is_none(
    shared: Installation, name: str, code: str
) -> None:
    owner, _ = await owner_with_organization(shared)
    made = await owner.post("/organization/create-role", role=name, permission=INVITES)
    assert (made.status, made.code) == (400, code)
    await role_of(owner, "mine", INVITES)
    renamed = await owner.post("/organization/update-role", roleName="mine", data={"roleName": name})
    assert (renamed.status, renamed.code) == (400, code)


async def test_a_name_is_taken_once_whatever_its_spelling(shared: Installation) -> None:
    owner, _ = await owner_with_organization(shared)
    await role_of(owner, "one", INVITES)
    await role_of(owner, "two", INVITES)
    for spelling in ("one", "ONE", " One"):
        again = await owner.post("/organization/create-role", role=spelling, permission=INVITES)
        assert (again.status, again.code) == (400, "ROLE_NAME_IS_ALREADY_TAKEN")
        renamed = await owner.post("/organization/update-role", roleName="two", data={"roleName": spelling})
        assert (renamed.status, renamed.code) == (400, "ROLE_NAME_IS_ALREADY_TAKEN")
    same = await owner.post("/organization/update-role", roleName="one", data={"roleName": "ONE"})
    assert (same.status, same.body["roleData"]["role"]) == (200, "one")


async def test_a_role_is_renamed_for_who_holds_it_and_who_is_invited_to_it(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    await role_of(owner, "helper", INVITES)
    await role_of(owner, "help", {"team": ["create"]})
    robin = await member_with(owner, shared, organization_id, "helper,member")
    await invited(owner, role="helper,member")
    await invited(owner, role="help")
    renamed = await owner.post("/organization/update-role", roleName="helper", data={"roleName": "Aide"})
    assert renamed.body["roleData"]["role"] == "aide"
    assert (await robin.get("/organization/get-active-member")).body["role"] == "aide,member"
    assert await may(robin, invitation=["create"])
    invitations = (await owner.get("/organization/list-invitations")).body
    assert sorted(row["role"] for row in invitations) == ["aide,member", "help"]


async def test_what_a_role_permits_changes_for_who_holds_it_at_once(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    role = await role_of(owner, "helper", INVITES)
    robin = await member_with(owner, shared, organization_id, "helper")
    assert await may(robin, invitation=["create"])
    changed = await owner.post(
        "/organization/update-role", roleId=role["id"], data={"permission": {"team": ["create"]}}
    )
    assert changed.body["roleData"]["permission"] == {"team": ["create"]}
    assert not await may(robin, invitation=["create"])
    assert await may(robin, team=["create"])


async def test_a_role_that_is_held_or_invited_to_is_not_deleted(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    await role_of(owner, "held", INVITES)
    await role_of(owner, "asked", INVITES)
    robin = await member_with(owner, shared, organization_id, "held")
    invitation = await invited(owner, role="asked")
    for name in ("held", "asked"):
        answer = await owner.post("/organization/delete-role", roleName=name)
        assert (answer.status, answer.code) == (400, "ROLE_IS_ASSIGNED_TO_MEMBERS")
    await owner.post("/organization/cancel-invitation", invitationId=invitation)
    await owner.post("/organization/remove-member", memberIdOrEmail=robin.email)
    for name in ("held", "asked"):
        assert (await owner.post("/organization/delete-role", roleName=name)).body == {"success": True}
    assert (await owner.get("/organization/list-roles")).body == []
    built_in = await owner.post("/organization/delete-role", roleName="admin")
    assert (built_in.status, built_in.code) == (400, "CANNOT_DELETE_A_PRE_DEFINED_ROLE")


async def test_nothing_of_another_organization_is_reached(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    role = await role_of(owner, "ours", INVITES)
    stranger, _ = await owner_with_organization(shared)
    named, inside = {"roleId": role["id"]}, {"organizationId": organization_id}
    for path, body in (
        ("create-role", {"role": "x", "permission": INVITES}),
        ("update-role", {**named, "data": {"roleName": "x"}}),
        ("delete-role", named),
    ):
        answer = await stranger.post(f"/organization/{path}", **body, **inside)
        assert (answer.status, answer.code) == (403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION"), path
    for path, query in (("list-roles", {}), ("get-role", named)):
        answer = await stranger.get(f"/organization/{path}", **query, **inside)
        assert (answer.status, answer.code) == (403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION"), path
    for answer in (
        await stranger.get("/organization/get-role", **named),
        await stranger.post("/organization/delete-role", **named),
        await stranger.post("/organization/update-role", **named, data={"roleName": "x"}),
    ):
        assert (answer.status, answer.code) == (400, "ROLE_NOT_FOUND")


async def test_what_is_not_named_or_not_there_is_refused(shared: Installation) -> None:
    person = await signed_in(shared)
    made = await person.post("/organization/create-role", role="x", permission=INVITES)
    assert made.code == "YOU_MUST_BE_IN_AN_ORGANIZATION_TO_CREATE_A_ROLE"
    assert (await person.get("/organization/list-roles")).code == "NO_ACTIVE_ORGANIZATION"
    await organization_of(person)
    assert (await person.get("/organization/get-role")).code == "VALIDATION_ERROR"
    assert (await person.get("/organization/get-role", roleName="OURS")).code == "ROLE_NOT_FOUND"
    empty = await person.post("/organization/update-role", roleName="x", data={})
    assert (empty.status, empty.code) == (400, "VALIDATION_ERROR")
    listed = await person.post("/organization/create-role", role="x", permission=INVITES, additionalFields=[])
    assert (listed.status, listed.code) == (400, "VALIDATION_ERROR")
    await person.post("/sign-out")
    assert (await person.get("/organization/list-roles")).code == "UNAUTHORIZED"


async def test_resources_and_roles_of_the_tenant_are_known_beside_the_built_in_ones(
    shared: Installation,
) -> None:
    statements = {"project": ["create", "share"]}
    roles = {"owner": statements, "billing": {"project": ["share"]}}
    owner, organization_id = await owner_with_organization(shared)
    async with telling(shared, statements=statements, roles=roles):
        assert await may(owner, project=["create", "share"])
        await role_of(owner, "sharer", {"project": ["share"]})
        taken = await owner.post("/organization/create-role", role="Billing", permission=INVITES)
        assert taken.code == "ROLE_NAME_IS_ALREADY_TAKEN"
        robin = await member_with(owner, shared, organization_id, "billing")
        assert await may(robin, project=["share"])
        assert not await may(robin, project=["create"])
    assert not await may(owner, project=["share"])


async def test_the_limit_holds_and_without_dynamic_roles_there_are_no_such_paths(
    shared: Installation,
) -> None:
    owner, _ = await owner_with_organization(shared)
    await role_of(owner, "one", INVITES)
    async with telling(shared, dynamic_access_control={"maximum_roles_per_organization": 1}):
        more = await owner.post("/organization/create-role", role="two", permission=INVITES)
        assert (more.status, more.code) == (400, "TOO_MANY_ROLES")
    async with telling(shared, dynamic_access_control={"enabled": False}):
        for method, path in (("GET", "list-roles"), ("GET", "get-role"), ("POST", "create-role")):
            answer = await owner.call(method, f"/organization/{path}")
            assert (answer.status, answer.text) == (404, "")


async def test_the_role_of_people_yet_to_come_is_renamed_with_it_and_not_deleted(
    shared: Installation,
) -> None:
    owner, _ = await owner_with_organization(shared)
    role = await role_of(owner, "reader", {"ac": ["read"]})
    said = await owner.post("/organization/update-settings", data={"domainJoiningRole": "reader"})
    assert said.status == 200, said
    await owner.post("/organization/update-role", roleId=role["id"], data={"roleName": "visitor"})
    assert (await owner.get("/organization/get-settings")).body["domainJoiningRole"] == "visitor"
    kept = await owner.post("/organization/delete-role", roleId=role["id"])
    assert (kept.status, kept.code) == (400, "ROLE_IS_ASSIGNED_TO_MEMBERS")
    await owner.post("/organization/update-settings", data={"domainJoiningRole": None})
    assert (await owner.post("/organization/delete-role", roleId=role["id"])).status == 200


async def test_nobody_heaps_up_roles_where_the_tenant_says_no_number(shared: Installation) -> None:
    owner, _ = await owner_with_organization(shared)
    answers = [
        await owner.post("/organization/create-role", role=f"r{place}", permission=INVITES)
        for place in range(MOST + 1)
    ]
    assert {answer.status for answer in answers[:MOST]} == {200}
    assert answers[MOST].code == "TOO_MANY_ROLES"


async def test_what_was_done_to_roles_is_in_the_log(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    await role_of(owner, "one", INVITES)
    await owner.post("/organization/update-role", roleName="one", data={"roleName": "two"})
    await owner.post("/organization/delete-role", roleName="two")
    manager = await shared.manager("acme")
    events = await manager.get("/logs", q=f"user_id:{owner.user_id}", per_page=100)
    told = [
        (event["type"], event["details"])
        for event in events
        if event.get("organization_id") == organization_id and event["type"].startswith("organization_role")
    ]
    assert told == [
        ("organization_role_deleted", {"role": "two", "permission": INVITES}),
        ("organization_role_updated", {"role": "two", "permission": INVITES, "former_role": "one"}),
        ("organization_role_created", {"role": "one", "permission": INVITES}),
    ]


async def test_who_may_do_less_by_a_changed_role_has_asked_nobody_to_more(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    whole = {"invitation": ["create"], "member": ["create", "update", "delete"], "ac": ["read"]}
    await role_of(owner, "steward", whole)
    steward = await member_with(owner, shared, organization_id, "steward")
    for role in ("steward", "member"):
        await invited(steward, role)
    await owner.post(
        "/organization/update-role", roleName="steward", data={"permission": {"member": ["create"]}}
    )
    listed = (await owner.get("/organization/list-invitations")).body
    assert {each["role"]: each["status"] for each in listed} == {"steward": "canceled", "member": "canceled"}
    told = await taken_back(shared, steward.user_id)
    assert sorted((role, reason) for _, role, reason in told) == [
        ("member", "role_changed"),
        ("steward", "role_changed"),
    ]


async def test_nobody_has_asked_others_to_what_a_role_has_become_since(shared: Installation) -> None:
    """Who asks somebody to a role gives what is in it; what is put in later, they do not hold."""
    owner, organization_id = await owner_with_organization(shared)
    await role_of(owner, "helper", {"team": ["create"]})
    admin = await member_with(owner, shared, organization_id, "admin")
    for person, role in ((admin, "helper"), (admin, "member"), (owner, "helper")):
        await invited(person, role)
    wide = {"organization": ["delete"]}
    assert (
        await owner.post("/organization/update-role", roleName="helper", data={"permission": wide})
    ).status == 200
    assert [(role, reason) for _, role, reason in await taken_back(shared, admin.user_id)] == [
        ("helper", "role_changed")
    ]
    left = [
        each
        for each in (await owner.get("/organization/list-invitations")).body
        if each["status"] == "pending"
    ]
    assert sorted((each["role"], each["inviterId"]) for each in left) == sorted(
        [("member", admin.user_id), ("helper", owner.user_id)]
    )
