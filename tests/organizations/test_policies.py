"""What an organization asks of its people, as it is said, and as it is asked at `/api/auth`."""

from typing import Any

import pytest

from tests.installation import Installation
from tests.organizations.people import AuthAnswer, AuthClient, member, new_address, signed_in
from tests.organizations.test_joining import at, owning

pytestmark = pytest.mark.anyio


async def entitlements(person: AuthClient) -> int:
    return (await person.http.get(f"{person.issuer}api/v1/licenses/entitlements")).status_code


async def test_what_an_organization_says_is_kept_and_checked(shared: Installation) -> None:
    owner, id, _ = await owning(shared, "says", "off")
    plain = await member(shared, id)
    wanted = {
        "requireMfa": True,
        "sessionMaxAge": 3600,
        "requireDomain": True,
        "domainJoining": "approval",
        "domainJoiningRole": "guest",
    }
    changed = await owner.post("/organization/update-settings", data=wanted)
    assert changed.body == {**wanted, "allowedConnections": []}
    assert (await owner.get("/organization/get-settings")).body == changed.body
    manager = await shared.manager("acme")
    assert await manager.get(f"/organizations/{id}/settings") == {
        "require_mfa": True,
        "session_max_age": 3600,
        "require_domain": True,
        "domain_joining": "approval",
        "domain_joining_role": "guest",
    }
    for data, code in (
        ({"domainJoiningRole": "owner"}, "ROLE_NOT_ALLOWED"),
        ({"domainJoiningRole": "admin"}, "ROLE_NOT_ALLOWED"),
        ({"domainJoiningRole": "nobody"}, "ROLE_NOT_FOUND"),
        ({"domainJoining": "always"}, "VALIDATION_ERROR"),
        ({"sessionMaxAge": 1}, "VALIDATION_ERROR"),
        ({}, "VALIDATION_ERROR"),
    ):
        refused = await owner.post("/organization/update-settings", data=data)
        assert (refused.status, refused.code) == (400, code)
    back = dict.fromkeys(wanted)
    cleared = (await owner.post("/organization/update-settings", data=back)).body
    assert cleared == {
        "requireMfa": False,
        "sessionMaxAge": None,
        "requireDomain": False,
        "domainJoining": "off",
        "domainJoiningRole": "member",
        "allowedConnections": [],
    }
    for answer in (
        await plain.get("/organization/get-settings", organizationId=id),
        await plain.post("/organization/update-settings", organizationId=id, data=wanted),
    ):
        assert (answer.status, answer.code) == (403, "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_ORGANIZATION")


async def keeper_of(installation: Installation, owner: AuthClient, id: str) -> AuthClient:
    """Who may update the organization and ask people in, and not do what a `boss` may."""
    for role, permission in (
        ("keeper", {"organization": ["update"], "invitation": ["create"]}),
        ("boss", {"organization": ["update", "delete"]}),
    ):
        made = await owner.post("/organization/create-role", role=role, permission=permission)
        assert made.status == 200, made
    keeper = await member(installation, id)
    found = (await owner.get("/organization/list-members")).body["members"]
    [membership] = [each["id"] for each in found if each["userId"] == keeper.user_id]
    await owner.post("/organization/update-member-role", memberId=membership, role="keeper")
    await keeper.post("/organization/set-active", organizationId=id)
    return keeper


def lacks_deletion(answer: AuthAnswer) -> bool:
    return answer.status == 403 and answer.body["missingPermissions"] == ["organization:delete"]


async def test_nobody_gives_to_people_yet_to_come_what_they_do_not_hold(shared: Installation) -> None:
    owner, id, domain = await owning(shared, "gives", "off")
    keeper = await keeper_of(shared, owner, id)

    async def says(person: AuthClient, **data: Any) -> AuthAnswer:
        return await person.post("/organization/update-settings", data=data)

    assert lacks_deletion(await says(keeper, domainJoining="automatic", domainJoiningRole="boss"))
    assert (await says(keeper, domainJoiningRole="keeper")).status == 200
    assert (await says(owner, domainJoiningRole="boss")).status == 200
    assert lacks_deletion(await says(keeper, domainJoining="automatic")), "as what the owner said once"
    person = await signed_in(shared, email=at(domain))
    assert (await person.post("/organization/join", organizationId=id)).status == 403
    assert (await says(owner, domainJoining="request")).status == 200
    added = (await keeper.post("/organization/add-domain", domain="keepers.example")).body
    assert lacks_deletion(await keeper.post("/organization/verify-domain", domainId=added["id"]))
    request = (await person.post("/organization/request-to-join", organizationId=id)).body["id"]
    assert lacks_deletion(await keeper.post("/organization/approve-join-request", requestId=request))
    assert (await says(keeper, domainJoiningRole="member")).status == 200
    assert (await keeper.post("/organization/approve-join-request", requestId=request)).status == 200
    assert (await says(keeper, domainJoining="automatic")).status == 200
    assert (await says(keeper, domainJoining="off")).status == 200


async def test_a_session_that_the_organization_would_not_take_is_not_in_it(shared: Installation) -> None:
    owner, id, _ = await owning(shared, "strict", "off")
    person = await member(shared, id)
    await owner.post("/organization/update-settings", data={"requireMfa": True})
    refused = await person.post("/organization/set-active", organizationId=id)
    assert (refused.status, refused.code) == (403, "ORGANIZATION_POLICY_NOT_MET")
    assert refused.body["message"] == "The organization asks for a second factor."
    session = await person.session()
    assert session is not None
    assert session["activeOrganizationId"] is None
    stranger = await (await signed_in(shared)).post("/organization/set-active", organizationId=id)
    assert stranger.code == "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION", "a stranger learns nothing of it"
    await owner.post("/organization/update-settings", organizationId=id, data={"requireMfa": False})
    assert (await person.post("/organization/set-active", organizationId=id)).status == 200


async def test_an_age_is_counted_from_the_log_in_of_that_session(installation: Installation) -> None:
    owner, id, _ = await owning(installation, "young", "off")
    person = await member(installation, id)
    await owner.post("/organization/update-settings", data={"sessionMaxAge": 600})
    assert (await person.post("/organization/set-active", organizationId=id)).status == 200
    installation.clock.advance(601)
    late = await person.post("/organization/set-active", organizationId=id)
    assert (late.status, late.code) == (403, "ORGANIZATION_POLICY_NOT_MET")
    await person.sign_in()
    assert (await person.post("/organization/set-active", organizationId=id)).status == 200


async def test_an_address_in_a_domain_of_the_organization_opens_its_session(shared: Installation) -> None:
    owner, id, domain = await owning(shared, "addressed", "off", requireDomain=True)
    inside, outside = await member(shared, id, email=f"ada@{domain}"), await member(shared, id)
    assert (await inside.post("/organization/set-active", organizationId=id)).status == 200
    refused = await outside.post("/organization/set-active", organizationId=id)
    assert (refused.status, refused.code) == (403, "ORGANIZATION_POLICY_NOT_MET")
    assert (await owner.post("/organization/set-active", organizationId=id)).status == 403


async def test_a_session_that_the_organization_would_not_take_does_nothing_in_it(
    installation: Installation,
) -> None:
    owner, id, _ = await owning(installation, "idle", "off")
    admin, plain = await member(installation, id), await member(installation, id)
    found = (await owner.get("/organization/list-members")).body["members"]
    member_ids = {each["userId"]: each["id"] for each in found}
    raised = {"memberId": member_ids[admin.user_id], "role": "admin"}
    assert (await owner.post("/organization/update-member-role", **raised)).status == 200
    team = (await owner.get("/organization/list-teams")).body[0]["id"]
    for person in (admin, owner):
        await owner.post("/organization/add-team-member", teamId=team, userId=person.user_id)
    await owner.post("/organization/update-settings", data={"sessionMaxAge": 600})
    acts: dict[str, dict[str, Any]] = {
        "invite-member": {"email": new_address(), "role": "member"},
        "update-member-role": {"memberId": member_ids[plain.user_id], "role": "guest"},
        "remove-member": {"memberIdOrEmail": plain.email},
        "update": {"data": {"name": "Other"}},
        "create-team": {"name": "team"},
        "create-role": {"role": "reader", "permission": {"ac": ["read"]}},
        "add-domain": {"domain": "idle.example"},
        "update-settings": {"data": {"sessionMaxAge": None}},
        "has-permission": {"permissions": {"member": ["create"]}},
    }
    await admin.post("/organization/set-active", organizationId=id)
    assert await entitlements(admin) == 200
    installation.clock.advance(601)
    for name, body in acts.items():
        refused = await admin.post(f"/organization/{name}", organizationId=id, **body)
        assert (refused.status, refused.code) == (403, "ORGANIZATION_POLICY_NOT_MET"), name
    handed = await owner.post(
        "/organization/transfer-ownership", organizationId=id, memberId=raised["memberId"]
    )
    assert (handed.status, handed.code) == (403, "ORGANIZATION_POLICY_NOT_MET")
    assert (await plain.post("/organization/leave", organizationId=id)).status == 200, "nobody is kept"
    assert await entitlements(admin) == 403, "the session still is in it"
    named = {"organizationId": id}
    for answer in (
        await admin.get("/organization/list-members", **named),
        await admin.get("/organization/list-invitations", **named),
        await admin.get("/organization/get-full-organization", **named),
        await admin.get("/organization/list-team-members", teamId=team),
    ):
        assert (answer.status, answer.code) == (403, "ORGANIZATION_POLICY_NOT_MET")
    assert (await admin.session() or {})["activeOrganizationId"] == id
    stranger = await (await signed_in(installation)).post(
        "/organization/invite-member", organizationId=id, **acts["invite-member"]
    )
    assert stranger.code == "MEMBER_NOT_FOUND", "a stranger learns nothing of it"
    await admin.sign_in()
    invited = await admin.post("/organization/invite-member", organizationId=id, **acts["invite-member"])
    assert invited.status == 200, invited
    installation.clock.advance(601)
    answer = {"invitationId": invited.body["id"]}
    refused = await admin.post("/organization/cancel-invitation", **answer)
    assert (refused.status, refused.code) == (403, "ORGANIZATION_POLICY_NOT_MET")
    opened = await owner.post(
        "/organization/update-settings", organizationId=id, data={"sessionMaxAge": None}
    )
    assert opened.status == 200, "an owner has a way back from what nobody can meet"
    assert (await admin.post("/organization/cancel-invitation", **answer)).status == 200
