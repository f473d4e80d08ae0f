"""Teams: who makes them, who is in them, and that nothing of one outlives it."""

from typing import Any

import pytest
from sqlalchemy import insert

from tenant_runtime.models import Team
from tenant_runtime.organizations.teams.units import MOST
from tests.installation import Installation
from tests.organizations.people import AuthClient, member, signed_in
from tests.organizations.places import invited, organization_of, telling

pytestmark = pytest.mark.anyio


async def owner_with_organization(shared: Installation) -> tuple[AuthClient, str]:
    owner = await signed_in(shared)
    return owner, (await organization_of(owner))["id"]


async def team_of(owner: AuthClient, name: str = "Tools") -> dict[str, Any]:
    made = await owner.post("/organization/create-team", name=name)
    assert made.status == 200, made
    return dict(made.body)


async def test_a_new_organization_has_a_team_with_its_creator_and_may_have_more(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    [first] = (await owner.get("/organization/list-teams")).body
    assert first["updatedAt"] is None
    assert (await owner.session() or {})["activeTeamId"] == first["id"]
    made = await team_of(owner)
    assert made == {
        "id": made["id"],
        "name": "Tools",
        "organizationId": organization_id,
        "createdAt": made["createdAt"],
        "updatedAt": made["createdAt"],
    }
    assert [team["id"] for team in (await owner.get("/organization/list-teams")).body] == [
        first["id"],
        made["id"],
    ]
    mine = (await owner.get("/organization/list-user-teams", organizationId="")).body
    assert [team["id"] for team in mine] == [first["id"]]


async def test_a_team_is_renamed_where_it_is_and_never_moves(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    made = await team_of(owner)
    other = (await organization_of(owner, keep=True))["id"]
    changed = await owner.post("/organization/update-team", teamId=made["id"], data={"name": "Works"})
    assert (changed.body["name"], changed.body["organizationId"]) == ("Works", organization_id)
    moved = await owner.post(
        "/organization/update-team", teamId=made["id"], data={"name": "There", "organizationId": other}
    )
    assert (moved.status, moved.code) == (400, "TEAM_NOT_FOUND")
    for data in ({}, {"name": ""}, {"name": "two\nlines"}):
        refused = await owner.post("/organization/update-team", teamId=made["id"], data=data)
        assert (refused.status, refused.code) == (400, "VALIDATION_ERROR")


async def test_members_of_the_organization_come_into_a_team_and_go_again(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    team, robin = (await team_of(owner))["id"], await member(shared, organization_id)
    place = {"teamId": team, "userId": robin.user_id}
    added = await owner.post("/organization/add-team-member", **place)
    assert {name: added.body[name] for name in ("teamId", "userId")} == place
    again = await owner.post("/organization/add-team-member", **place)
    assert again.body == added.body
    assert (await robin.post("/organization/set-active", organizationId=organization_id)).status == 200
    entered = await robin.post("/organization/set-active-team", teamId=team)
    assert (entered.status, entered.body["id"]) == (200, team)
    assert [row["userId"] for row in (await robin.get("/organization/list-team-members")).body] == [
        robin.user_id
    ]
    removed = await owner.post("/organization/remove-team-member", **place)
    assert removed.body == {"message": "Team member removed successfully."}
    assert (await robin.session() or {})["activeTeamId"] is None
    gone = await owner.post("/organization/remove-team-member", **place)
    assert (gone.status, gone.code) == (400, "USER_IS_NOT_A_MEMBER_OF_THE_TEAM")


async def test_a_team_that_goes_is_in_no_session_and_in_no_invitation(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    first, second = (await team_of(owner, "One"))["id"], (await team_of(owner, "Two"))["id"]
    robin = await member(shared, organization_id)
    for team in (first, second):
        await owner.post("/organization/add-team-member", teamId=team, userId=robin.user_id)
    await robin.post("/organization/set-active", organizationId=organization_id)
    await robin.post("/organization/set-active-team", teamId=first)
    both = await invited(owner, teamId=[first, second])
    alone = await invited(owner, teamId=first)
    answer = await owner.post("/organization/remove-team", teamId=first)
    assert answer.body == {"message": "Team removed successfully."}
    session = await robin.session() or {}
    assert (session["activeTeamId"], session["activeOrganizationId"]) == (None, organization_id)
    left = {row["id"]: row["teamId"] for row in (await owner.get("/organization/list-invitations")).body}
    assert left == {both: second, alone: None}
    assert [team["id"] for team in (await robin.get("/organization/list-user-teams")).body] == [second]


async def test_what_one_is_in_is_not_removed_and_one_team_stays(shared: Installation) -> None:
    owner, _ = await owner_with_organization(shared)
    [first] = (await owner.get("/organization/list-teams")).body
    active = await owner.post("/organization/remove-team", teamId=first["id"])
    assert (active.status, active.code) == (403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_TEAM")
    left = await owner.post("/organization/set-active-team", teamId=None)
    assert (left.status, left.text) == (200, "null")
    last = await owner.post("/organization/remove-team", teamId=first["id"])
    assert (last.status, last.code) == (400, "UNABLE_TO_REMOVE_LAST_TEAM")


async def test_a_plain_member_changes_no_team(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    team, robin = (await team_of(owner))["id"], await member(shared, organization_id)
    await robin.post("/organization/set-active", organizationId=organization_id)
    place = {"teamId": team, "userId": robin.user_id}
    refused = {
        "create-team": ({"name": "Mine"}, "YOU_ARE_NOT_ALLOWED_TO_CREATE_TEAMS_IN_THIS_ORGANIZATION"),
        "update-team": (
            {"teamId": team, "data": {"name": "Mine"}},
            "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_TEAM",
        ),
        "remove-team": ({"teamId": team}, "YOU_ARE_NOT_ALLOWED_TO_DELETE_TEAMS_IN_THIS_ORGANIZATION"),
        "add-team-member": (place, "YOU_ARE_NOT_ALLOWED_TO_CREATE_A_NEW_TEAM_MEMBER"),
        "remove-team-member": (place, "YOU_ARE_NOT_ALLOWED_TO_REMOVE_A_TEAM_MEMBER"),
        "set-active-team": ({"teamId": team}, "USER_IS_NOT_A_MEMBER_OF_THE_TEAM"),
    }
    for path, (body, code) in refused.items():
        answer = await robin.post(f"/organization/{path}", **body)
        assert (answer.status, answer.code) == (403, code), path
    looked = await robin.get("/organization/list-user-teams", userId=owner.user_id)
    assert (looked.status, looked.code) == (403, "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_MEMBER")
    outside = await robin.get("/organization/list-team-members", teamId=team)
    assert (outside.status, outside.code) == (400, "USER_IS_NOT_A_MEMBER_OF_THE_TEAM")


async def test_nothing_of_another_organization_is_reached(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    team, stranger = (await team_of(owner))["id"], (await owner_with_organization(shared))[0]
    theirs = {"organizationId": organization_id}
    place, no = {"teamId": team, "userId": stranger.user_id}, "YOU_ARE_NOT_ALLOWED_TO"
    for path, body, status, code in (
        ("create-team", {"name": "x", **theirs}, 403, "YOU_ARE_NOT_ALLOWED_TO_INVITE_USERS_TO_THIS_ORGANIZATION"),
        ("update-team", {"teamId": team, "data": {"name": "x", **theirs}}, 403, f"{no}_UPDATE_THIS_TEAM"),
        ("update-team", {"teamId": team, "data": {"name": "x"}}, 400, "TEAM_NOT_FOUND"),
        ("remove-team", {"teamId": team, **theirs}, 403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_TEAM"),
        ("remove-team", {"teamId": team}, 400, "TEAM_NOT_FOUND"),
        ("add-team-member", {**place, **theirs}, 400, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION"),
        ("add-team-member", place, 400, "TEAM_NOT_FOUND"),
        ("add-team-member", {**place, "userId": owner.user_id}, 400, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION"),
        ("remove-team-member", place, 400, "TEAM_NOT_FOUND"),
        ("set-active-team", {"teamId": team}, 400, "TEAM_NOT_FOUND"),
    ):  # fmt: skip
        answer = await stranger.post(f"/organization/{path}", **body)
        assert (answer.status, answer.code) == (status, code), (path, body)
    for path, query, status, code in (
        ("list-teams", theirs, 403, "YOU_ARE_NOT_ALLOWED_TO_ACCESS_THIS_ORGANIZATION"),
        ("list-user-teams", theirs, 403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION"),
        ("list-user-teams", {"userId": owner.user_id}, 400, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION"),
        ("list-team-members", {"teamId": team}, 400, "TEAM_NOT_FOUND"),
    ):
        answer = await stranger.get(f"/organization/{path}", **query)
        assert (answer.status, answer.code) == (status, code), path


async def test_without_a_session_or_an_organization_nothing_is_asked(shared: Installation) -> None:
    owner = await signed_in(shared)
    for path, body in (("create-team", {"name": "x"}), ("remove-team", {"teamId": "x"})):
        answer = await owner.post(f"/organization/{path}", **body)
        assert (answer.status, answer.code) == (400, "NO_ACTIVE_ORGANIZATION")
    assert (await owner.get("/organization/list-user-teams")).body == []
    assert (await owner.get("/organization/list-team-members")).code == "YOU_DO_NOT_HAVE_AN_ACTIVE_TEAM"
    assert (await owner.post("/organization/set-active-team")).text == "null"
    await owner.post("/sign-out")
    for path, body, answer_to in (
        ("create-team", {"name": "x"}, (401, "")),
        ("remove-team", {"teamId": "x", "organizationId": "x"}, (401, "")),
        ("update-team", {"teamId": "x", "data": {}}, (401, "UNAUTHORIZED")),
    ):
        answer = await owner.post(f"/organization/{path}", **body)
        assert (answer.status, answer.text and answer.code) == answer_to


async def test_nobody_heaps_up_teams_where_the_tenant_says_no_number(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    tenant = await shared.running.platform.directory.by_id("acme")
    assert tenant is not None
    of_it = {
        "organization_id": organization_id,
        "name": "n",
        "fields": {},
        "created_at": 1,
        "updated_at": None,
    }
    heap = [{"id": f"team_{organization_id}_{place}", **of_it} for place in range(MOST - 2)]
    await tenant.database.write(lambda connection: connection.execute(insert(Team.__table__), heap) and None)
    await team_of(owner)
    more = await owner.post("/organization/create-team", name="more")
    assert (more.status, more.code) == (400, "YOU_HAVE_REACHED_THE_MAXIMUM_NUMBER_OF_TEAMS")


async def test_limits_hold_and_a_tenant_without_teams_has_no_such_paths(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    team, robin = (await team_of(owner))["id"], await member(shared, organization_id)
    async with telling(shared, teams={"maximum_teams": 2, "maximum_members_per_team": 1}):
        more = await owner.post("/organization/create-team", name="Three")
        assert (more.status, more.code) == (400, "YOU_HAVE_REACHED_THE_MAXIMUM_NUMBER_OF_TEAMS")
        await owner.post("/organization/add-team-member", teamId=team, userId=owner.user_id)
        full = await owner.post("/organization/add-team-member", teamId=team, userId=robin.user_id)
        assert (full.status, full.code) == (403, "TEAM_MEMBER_LIMIT_REACHED")
    async with telling(shared, teams={"allow_removing_all_teams": True}):
        await owner.post("/organization/set-active-team", teamId=None)
        for each in (await owner.get("/organization/list-teams")).body:
            assert (await owner.post("/organization/remove-team", teamId=each["id"])).status == 200
        assert (await owner.get("/organization/list-teams")).body == []
    async with telling(shared, teams={"enabled": False}):
        for method, path in (("GET", "list-teams"), ("POST", "create-team"), ("POST", "set-active-team")):
            answer = await owner.call(method, f"/organization/{path}")
            assert (answer.status, answer.text) == (404, "")
        here = await owner.session()
        (listed,) = (await owner.get("/list-sessions")).body
        assert here is not None
        assert "activeTeamId" not in {**here, **listed}


async def test_fields_that_the_tenant_added_are_kept_and_shown(shared: Installation) -> None:
    owner, _ = await owner_with_organization(shared)
    fields = {"color": {"type": "string", "required": True}, "cost": {"type": "number", "returned": False}}
    async with telling(shared, additional_fields={"team": fields}):
        missing = await owner.post("/organization/create-team", name="Red")
        assert (missing.status, missing.code) == (400, "VALIDATION_ERROR")
        made = await owner.post("/organization/create-team", name="Red", color="red", cost=3, secret="x")
        assert (made.body["color"], "cost" in made.body, "secret" in made.body) == ("red", False, False)
        changed = await owner.post(
            "/organization/update-team", teamId=made.body["id"], data={"color": "blue"}
        )
        assert (changed.body["name"], changed.body["color"]) == ("Red", "blue")


async def test_what_was_done_to_teams_is_in_the_log(shared: Installation) -> None:
    owner, organization_id = await owner_with_organization(shared)
    team = (await team_of(owner))["id"]
    place = {"teamId": team, "userId": owner.user_id}
    await owner.post("/organization/add-team-member", **place)
    await owner.post("/organization/update-team", teamId=team, data={"name": "x"})
    await owner.post("/organization/remove-team-member", **place)
    await owner.post("/organization/remove-team", teamId=team)
    manager = await shared.manager("acme")
    events = await manager.get("/logs", q=f"user_id:{owner.user_id}", per_page=100)
    found = [event["type"] for event in events if event.get("organization_id") == organization_id]
    assert [type for type in found if type.startswith("organization_team")] == [
        "organization_team_removed",
        "organization_team_member_removed",
        "organization_team_updated",
        "organization_team_member_added",
        "organization_team_created",
    ]
