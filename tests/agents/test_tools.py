"""What agents do for the person whose token they show, and what they cannot."""

import asyncio
import secrets
from typing import Any

import pytest

from entrypoints.demo_content import DemoUser
from tests.agents.callers import Agent, agent_for, message, tokens
from tests.installation import Installation
from tests.organizations.people import member
from tests.organizations.places import suspend

pytestmark = pytest.mark.anyio

TOOLS = [
    "list-organizations", "create-organization", "switch-organization", "list-members", "invite-member",
    "update-member-role", "remove-member",
]  # fmt: skip


def user(installation: Installation, name: str, tenant_id: str = "acme") -> DemoUser:
    return next(one for one in installation.tenant(tenant_id).users if one.email.startswith(f"{name}@"))


async def agent(
    installation: Installation, name: str, tenant_id: str = "acme", **changes: str | None
) -> Agent:
    return await agent_for(installation, tenant_id, user(installation, name, tenant_id), **changes)


async def new_organization(owner: Agent) -> str:
    made = await owner.use("create-organization", name="Ours", slug=f"ours-{secrets.token_hex(4)}")
    assert not made.is_error, made
    organization_id: str = made.value["organization"]["id"]
    return organization_id


async def add(installation: Installation, organization_id: str, name: str) -> str:
    """The id of the membership of somebody whom the Management API put there: a plain member."""
    manager = await installation.manager("acme")
    person = (await manager.get("/users-by-email", email=user(installation, name).email))[0]
    await manager.post(f"/organizations/{organization_id}/members", {"members": [person["user_id"]]})
    members = (
        await (await agent(installation, "ada")).use("list-members", organizationId=organization_id)
    ).value
    return next(one["id"] for one in members["members"] if one["userId"] == person["user_id"])


async def log_of(installation: Installation, type: str, tenant_id: str = "acme") -> list[dict[str, Any]]:
    manager = await installation.manager(tenant_id)
    return list(await manager.get("/logs", q=f"type:{type}", sort="date:-1", per_page="5"))


async def test_an_owner_makes_an_organization_and_looks_after_its_people(shared: Installation) -> None:
    ada = await agent(shared, "ada")
    organization = await new_organization(ada)
    ben = await add(shared, organization, "ben")

    listed = await ada.use("list-members", organizationId=organization)
    assert {one["user"]["email"]: one["role"] for one in listed.value["members"]} == {
        "ada@acme.example": "owner",
        "ben@acme.example": "member",
    }
    raised = await ada.use("update-member-role", organizationId=organization, memberId=ben, roles=["admin"])
    assert raised.value["member"]["role"] == "admin"
    invited = await ada.use("invite-member", organizationId=organization, email="New@elsewhere.example")
    assert (
        invited.value["invitation"] | {"email": "new@elsewhere.example", "role": "member"}
        == (invited.value["invitation"])
    )
    gone = await ada.use("remove-member", organizationId=organization, memberIdOrEmail="ben@acme.example")
    assert gone.value["member"]["id"] == ben
    assert (await ada.use("list-members", organizationId=organization)).value["total"] == 1


async def test_the_log_names_the_client_beside_the_person(shared: Installation) -> None:
    ada = await agent(shared, "ada")
    organization = await new_organization(ada)
    ben = await add(shared, organization, "ben")
    await ada.use("update-member-role", organizationId=organization, memberId=ben, roles=["admin"])
    await ada.use("remove-member", organizationId=organization, memberIdOrEmail=ben)
    await ada.use("invite-member", organizationId=organization, email="logged@elsewhere.example")
    client_id = shared.tenant("acme").clients["web"].client_id
    for type in (
        "organization_created",
        "organization_member_role_changed",
        "organization_member_removed",
        "organization_invitation_created",
    ):
        event = (await log_of(shared, type))[0]
        assert event["client_id"] == client_id, type
        assert event["organization_id"] == organization, type


async def test_a_member_has_a_members_rights_and_is_told_which_are_missing(shared: Installation) -> None:
    organization = await new_organization(await agent(shared, "ada"))
    ben_id = await add(shared, organization, "ben")
    ben = await agent(shared, "ben")
    refused = await ben.use("invite-member", organizationId=organization, email="x@elsewhere.example")
    assert refused.code == "YOU_ARE_NOT_ALLOWED_TO_INVITE_USERS_TO_THIS_ORGANIZATION"
    refused = await ben.use(
        "update-member-role", organizationId=organization, memberId=ben_id, roles=["owner"]
    )
    assert refused.code == "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_MEMBER"
    refused = await ben.use("remove-member", organizationId=organization, memberIdOrEmail="ada@acme.example")
    assert refused.code == "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER"


async def test_a_stranger_learns_nothing_of_an_organization(shared: Installation) -> None:
    organization = await new_organization(await agent(shared, "ada"))
    cleo = await agent(shared, "cleo")
    for wanted in (organization, "org_of_nobody"):
        answers = [
            await cleo.use("list-members", organizationId=wanted),
            await cleo.use("invite-member", organizationId=wanted, email="x@elsewhere.example"),
            await cleo.use("remove-member", organizationId=wanted, memberIdOrEmail="ada@acme.example"),
            await cleo.use("switch-organization", organizationId=wanted),
        ]
        assert [answer.code for answer in answers] == [
            "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION",
            "MEMBER_NOT_FOUND",
            "MEMBER_NOT_FOUND",
            "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION",
        ]
    listed = await cleo.use("list-organizations")
    assert organization not in [one["id"] for one in listed.value["organizations"]]


async def test_the_last_owner_stays_whoever_asks(shared: Installation) -> None:
    ada = await agent(shared, "ada")
    organization = await new_organization(ada)
    mine = (await ada.use("list-members", organizationId=organization)).value["members"][0]["id"]
    kept = await ada.use("remove-member", organizationId=organization, memberIdOrEmail=mine)
    assert kept.code == "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER"
    kept = await ada.use("update-member-role", organizationId=organization, memberId=mine, roles=["member"])
    assert kept.code == "YOU_CANNOT_LEAVE_THE_ORGANIZATION_WITHOUT_AN_OWNER"


async def test_switching_is_getting_another_token(shared: Installation) -> None:
    party, answer = await tokens(shared, "acme", user(shared, "ada"))
    ada = Agent(shared.http, party.issuer, answer.access_token)
    organization = await new_organization(ada)
    told = (await ada.use("switch-organization", organizationId=organization)).value
    assert told["organization"]["id"] == organization
    assert not told["isCurrent"]
    by_refresh = next(way for way in told["ways"] if way["endpoint"] == f"{party.issuer}oauth/token")

    assert (await ada.use("list-members")).code == "NO_ACTIVE_ORGANIZATION", "nothing was switched"
    refreshed = await party.refresh(answer.refresh_token, **by_refresh["parameters"])
    there = Agent(shared.http, party.issuer, refreshed.access_token)
    assert (await there.use("list-members")).value["total"] == 1
    assert (await there.use("switch-organization", organizationId=organization)).value["isCurrent"]

    silently = next(way for way in told["ways"] if way["endpoint"] == f"{party.issuer}authorize")
    asked = {"audience": None, "scope": "organizations:read", **silently["parameters"]}
    await party.authorize(**asked)
    again = await party.redeem(party.landed["code"])
    assert again.claims["org_id"] == organization
    assert (await Agent(shared.http, party.issuer, again.access_token).use("list-members")).value[
        "total"
    ] == 1


async def test_a_token_for_one_organization_opens_no_other(shared: Installation) -> None:
    ada = await agent(shared, "ada")
    mine, other = await new_organization(ada), await new_organization(ada)
    bound = await agent(shared, "ada", organization=mine)
    answers = [
        await bound.use("list-members", organizationId=other),
        await bound.use("invite-member", organizationId=other, email="x@elsewhere.example"),
        await bound.use("create-organization", name="More", slug="more-of-it"),
    ]
    assert {answer.code for answer in answers} == {"TOKEN_IS_FOR_ANOTHER_ORGANIZATION"}
    assert (await bound.use("list-members", organizationId=mine)).value["total"] == 1
    listed = (await bound.use("list-organizations")).value["organizations"]
    shown = {one["id"]: set(one) for one in listed}
    assert shown[other] == {"id", "name", "slug", "isCurrent"}, "enough to switch to it"
    assert shown[mine] > shown[other]


async def test_who_is_removed_is_out_with_the_token_they_hold(shared: Installation) -> None:
    ada = await agent(shared, "ada")
    organization = await new_organization(ada)
    await add(shared, organization, "ben")
    bound = await agent(shared, "ben", organization=organization)
    free = await agent(shared, "ben")
    assert not (await bound.use("list-members")).is_error
    await ada.use("remove-member", organizationId=organization, memberIdOrEmail="ben@acme.example")
    assert (await bound.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).status_code == 401
    refused = await free.use("list-members", organizationId=organization)
    assert refused.code == "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION"


async def test_in_a_suspended_organization_nothing_is_done_for_anybody(shared: Installation) -> None:
    ada = await agent(shared, "ada")
    organization = await new_organization(ada)
    bound = await agent(shared, "ada", organization=organization)
    await suspend(shared, organization)
    for answer in (
        await ada.use("list-members", organizationId=organization),
        await ada.use("invite-member", organizationId=organization, email="x@elsewhere.example"),
        await ada.use("update-member-role", organizationId=organization, memberId="mem_x", roles=["member"]),
        await ada.use("remove-member", organizationId=organization, memberIdOrEmail="ada@acme.example"),
        await ada.use("switch-organization", organizationId=organization),
    ):
        assert (answer.code, answer.value["message"]) == ("ACCESS_DENIED", "This organization is suspended.")
    assert (await bound.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).status_code == 401


async def test_of_two_agents_that_make_the_same_organization_one_does(shared: Installation) -> None:
    ada, ben = await agent(shared, "ada"), await agent(shared, "ben")
    slug = f"both-{secrets.token_hex(4)}"
    made = await asyncio.gather(
        *(one.use("create-organization", name="Both", slug=slug) for one in (ada, ben))
    )
    assert sorted(answer.code or "" for answer in made) == ["", "ORGANIZATION_ALREADY_EXISTS"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create-organization", {}),
        ("create-organization", {"name": "x", "slug": "Not A Slug"}),
        ("create-organization", {"name": "x", "slug": "x\n"}),
        ("create-organization", {"name": 1, "slug": "x"}),
        ("list-members", {"limit": -1}),
        ("list-members", {"limit": "all"}),
        ("list-members", {"everything": True}),
        ("update-member-role", {"memberId": "m", "roles": "owner"}),
        ("remove-member", {"memberIdOrEmail": ["a", "b"]}),
    ],
)
async def test_arguments_that_do_not_fit_are_told_to_the_agent(
    shared: Installation, tool: str, arguments: dict[str, Any]
) -> None:
    told = await (await agent(shared, "ada")).use(tool, **arguments)
    assert told.code == "VALIDATION_ERROR"


ODD: list[Any] = [
    "", " ", "x" * 5000, "ü@ünï.example", "🦊@🦊.example", "' OR 1=1 --", "%", "a,b", "owner,owner", "ſ@example.com",
    0, -1, 2**63, 1e308, True, None, [], ["", "x" * 400], {}, {"$ne": None}, [["owner"]], "\x01\x7f", "org_\u202e",
]  # fmt: skip


async def test_no_argument_is_a_server_error(shared: Installation) -> None:
    """Each argument of each tool, beside good ones."""
    ada = await agent(shared, "ada")
    organization = await new_organization(ada)
    robin = await member(shared, organization)
    members = (await ada.use("list-members", organizationId=organization)).value["members"]
    of_robin = next(each["id"] for each in members if each["userId"] == robin.user_id)
    good = {"name": "Odd", "slug": "odd", "organizationId": organization, "memberId": of_robin, "roles": ["member"],
            "memberIdOrEmail": "m", "email": "odd@elsewhere.example"}  # fmt: skip
    for tool in (await ada.ask("tools/list"))["tools"]:
        names = tool["inputSchema"]["properties"]
        for name in names:
            for value in ODD:
                arguments = {**{each: good[each] for each in names if each in good}, name: value}
                asked = message("tools/call", {"name": tool["name"], "arguments": arguments})
                answer = await ada.post(asked)
                assert answer.status_code == 200, (tool["name"], name, value, answer.text)
    surrogate = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\ud800"}}'
    assert (await ada.post(surrogate, **{"Content-Type": "application/json"})).status_code in (200, 400)
