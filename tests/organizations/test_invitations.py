"""Invitations by the organization API: who may ask whom, as what, and whose they are to answer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from entrypoints.asgi import create_app
from entrypoints.demo_content import Demo
from tests.mailbox import Mailed, link_in, mailed
from tests.organizations.inviting import NOT_FOUND, NOT_THIS_ROLE, invited, joins, owner_of, set_options, told
from tests.organizations.people import AuthAnswer, AuthClient, new_address, signed_in

pytestmark = pytest.mark.anyio

VERIFY = "EMAIL_VERIFICATION_REQUIRED_BEFORE_ACCEPTING_OR_REJECTING_INVITATION"


@pytest.fixture(scope="module")
async def mail(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path_factory.mktemp("invitations")) as made:
        yield made


async def statuses(member: AuthClient) -> list[str]:
    """Of the invitations of the organization that they are in."""
    return [one["status"] for one in (await member.get("/organization/list-invitations")).body]


async def test_who_is_invited_accepts_and_their_session_is_in_the_organization(mail: Mailed) -> None:
    owner = await owner_of(mail, "north")
    person = await signed_in(mail.installation)
    invitation = await invited(owner, person.email.upper(), role=["admin", " Member "])
    assert (invitation["email"], invitation["role"], invitation["status"]) == (
        person.email,
        "admin,member",
        "pending",
    )
    assert len(invitation["id"]) >= 43
    assert (invitation["inviterId"], invitation["teamId"]) == (owner.user_id, None)
    seen = await person.get("/organization/get-invitation", id=invitation["id"])
    names = ("organizationName", "organizationSlug", "inviterEmail")
    assert [seen.body[name] for name in names] == ["North", "north", owner.email]
    [mine] = (await person.get("/organization/list-user-invitations")).body
    assert (mine["id"], mine["organizationName"]) == (invitation["id"], "North")
    accepted = await person.post("/organization/accept-invitation", invitationId=invitation["id"])
    assert accepted.body["invitation"]["status"] == "accepted"
    assert (accepted.body["member"]["role"], accepted.body["member"]["userId"]) == (
        "admin,member",
        person.user_id,
    )
    session = await person.session()
    assert session is not None
    assert session["activeOrganizationId"] == invitation["organizationId"]
    types = [row[0] for row in await mail.rows("acme", "SELECT type FROM log_events")]
    assert {"organization_invitation_created", "organization_invitation_accepted"} <= set(types)


async def test_refusals_come_in_their_order(mail: Mailed) -> None:
    owner = await owner_of(mail, "refusing")
    nobody = await signed_in(mail.installation)
    plain = await joins(mail, owner)
    organization_id = (await owner.session() or {})["activeOrganizationId"]

    async def ask(who: AuthClient, email: str = "x@acme.example", **more: Any) -> AuthAnswer:
        body = {"role": "member", "organizationId": organization_id, **more}
        return await who.post("/organization/invite-member", email=email, **body)

    body = {"email": "x@acme.example", "role": "member"}
    assert told(await nobody.post("/organization/invite-member", **body)) == (400, "ORGANIZATION_NOT_FOUND")
    for malformed in ("x", "a@b@acme.example", "", "x" * 400 + "@acme.example"):
        assert told(await ask(nobody, malformed)) == (400, "INVALID_EMAIL")
    assert told(await ask(nobody, role="nonsense")) == (400, "MEMBER_NOT_FOUND")
    code = "YOU_ARE_NOT_ALLOWED_TO_INVITE_USERS_TO_THIS_ORGANIZATION"
    assert told(await ask(plain, role="nonsense")) == (403, code)
    assert told(await ask(owner, role=[])) == (400, "ROLE_NOT_FOUND")
    unknown = await ask(owner, role="nonsense,member")
    assert (unknown.status, unknown.body) == (400, {"message": "ROLE_NOT_FOUND: nonsense"})
    assert told(await ask(owner, plain.email)) == (400, "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION")
    assert (await ask(owner, role="member")).status == 200
    assert told(await ask(owner, "X@Acme.example")) == (400, "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION")
    assert told(await ask(owner, "y@acme.example", teamId="a,b")) == (400, "INVALID_TEAM_ID")
    assert told(await ask(owner, "y@acme.example", teamId=["team_unknown"])) == (400, "TEAM_NOT_FOUND")
    stranger = AuthClient(nobody.http.__class__(transport=nobody.http._transport), owner.issuer)
    assert told(await ask(stranger)) == (401, "UNAUTHORIZED")


async def test_nobody_gives_a_role_that_they_do_not_hold(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 90."""
    owner = await owner_of(mail, "roles")
    await owner.post(
        "/organization/create-role", role="recruiter", permission={"invitation": ["create"], "ac": ["read"]}
    )
    await owner.post("/organization/create-role", role="steward", permission={"team": ["create"]})
    admin, recruiter = await joins(mail, owner, role="admin"), await joins(mail, owner, role="recruiter")

    async def ask(who: AuthClient, role: str | list[str]) -> AuthAnswer:
        return await who.post("/organization/invite-member", email=new_address(), role=role)

    for spelling in ("owner", " OWNER ", "member,owner", ["member", "Owner"]):
        assert told(await ask(admin, spelling)) == NOT_THIS_ROLE
    for role in ("admin", "steward", ["member", "steward"]):
        refused = await ask(recruiter, role)
        assert told(refused) == NOT_THIS_ROLE
        assert "team:create" in refused.body["missingPermissions"]
    assert "pending" not in await statuses(owner)
    for role in ("member", "guest", "recruiter"):
        assert (await ask(recruiter, role)).status == 200
    assert (await ask(admin, "steward")).status == 200


async def test_what_the_body_of_an_answer_says_beside_the_id_counts_for_nothing(mail: Mailed) -> None:
    owner = await owner_of(mail, "stored")
    person, other = await signed_in(mail.installation), await signed_in(mail.installation)
    invitation = await invited(owner, person.email)
    accepted = await person.post(
        "/organization/accept-invitation",
        invitationId=invitation["id"],
        role="owner",
        userId=other.user_id,
        organizationId="org_x",
    )
    assert (accepted.body["member"]["role"], accepted.body["member"]["userId"]) == ("member", person.user_id)


LOOKALIKES = (
    "k.im@acme.example", "kim+x@acme.example", "\u212aim@acme.example", "k\u0456m@acme.example",
    "\uff4bim@acme.example",
    "kim@acme.example.org", "kim@acme.ex\u0430mple",
)  # fmt: skip


async def test_only_letter_case_is_folded(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 88: whoever merely resembles the invited address is not the recipient."""
    owner = await owner_of(mail, "folding")
    invitation = await invited(owner, "kim@acme.example")
    for address in LOOKALIKES:
        lookalike = await signed_in(mail.installation, email=address)
        answers = [
            await lookalike.post("/organization/accept-invitation", invitationId=invitation["id"]),
            await lookalike.post("/organization/reject-invitation", invitationId=invitation["id"]),
            await lookalike.get("/organization/get-invitation", id=invitation["id"]),
        ]
        assert {told(each) for each in answers} == {(403, "YOU_ARE_NOT_THE_RECIPIENT_OF_THE_INVITATION")}
        for path in ("list-user-invitations", "list"):
            assert (await lookalike.get(f"/organization/{path}")).body == []
    assert await statuses(owner) == ["pending"]
    kim = await signed_in(mail.installation, email="KIM@Acme.example")
    assert (await kim.post("/organization/accept-invitation", invitationId=invitation["id"])).status == 200


async def test_an_address_that_is_not_verified_answers_nothing_unless_the_tenant_waives_it(
    mail: Mailed,
) -> None:
    owner = await owner_of(mail, "verified")
    person = await signed_in(mail.installation, verified=False)
    invitation = await invited(owner, person.email)
    for path in ("accept-invitation", "reject-invitation"):
        assert told(await person.post(f"/organization/{path}", invitationId=invitation["id"])) == (
            403,
            VERIFY,
        )
    assert await statuses(owner) == ["pending"]
    view = (403, "EMAIL_VERIFICATION_REQUIRED_FOR_INVITATION")
    assert told(await person.get("/organization/get-invitation", id=invitation["id"])) == view
    assert told(await person.get("/organization/list-user-invitations")) == view
    await set_options(mail, require_email_verification_on_invitation=False)
    try:
        assert (await person.get("/organization/get-invitation", id=invitation["id"])).status == 200
        assert told(await person.get("/organization/list-user-invitations")) == view  # always
        answer = await person.post("/organization/accept-invitation", invitationId=invitation["id"])
        assert answer.status == 200
        session = (await person.get("/get-session")).body
        assert session["user"]["emailVerified"] is False
    finally:
        await set_options(mail, require_email_verification_on_invitation=True)


async def test_what_the_letter_says_names_the_invitation_too_and_proves_the_address(mail: Mailed) -> None:
    """An application hands on to the client what stands in its link."""
    owner = await owner_of(mail, "secretive")
    person, other = [await signed_in(mail.installation, verified=False) for _ in range(2)]
    invitation = await invited(owner, person.email)
    letters = [one for one in await mail.settle() if one.recipients == (person.email,)]
    [letter] = [one for one in letters if "u/invitation" in one.text]
    secret = link_in(letter).rpartition("=")[2]
    assert secret != invitation["id"]
    assert told(await other.post("/organization/accept-invitation", invitationId=secret)) == (
        403,
        "YOU_ARE_NOT_THE_RECIPIENT_OF_THE_INVITATION",
    )
    assert told(await owner.post("/organization/cancel-invitation", invitationId=secret)) == NOT_FOUND
    assert (await person.get("/organization/get-invitation", id=secret)).body["id"] == invitation["id"]
    assert (await person.get("/get-session")).body["user"]["emailVerified"] is False
    accepted = await person.post("/organization/accept-invitation", invitationId=secret)
    assert accepted.body["invitation"]["id"] == invitation["id"]
    assert secret not in accepted.text
    assert (await person.get("/get-session")).body["user"]["emailVerified"] is True


async def test_an_invitation_is_answered_once(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 89."""
    owner = await owner_of(mail, "once")
    person = await signed_in(mail.installation)

    async def answers(invitation: dict[str, Any], *, rejects: tuple[int, str]) -> None:
        sent = {"invitationId": invitation["id"]}
        assert told(await person.post("/organization/accept-invitation", **sent)) == NOT_FOUND
        assert told(await person.post("/organization/reject-invitation", **sent)) == rejects
        assert told(await person.get("/organization/get-invitation", id=invitation["id"])) == NOT_FOUND

    cancelled = await invited(owner, person.email)
    assert (await owner.post("/organization/cancel-invitation", invitationId=cancelled["id"])).status == 200
    again = await owner.post("/organization/cancel-invitation", invitationId=cancelled["id"])
    assert told(again) == NOT_FOUND
    await answers(cancelled, rejects=NOT_FOUND)
    rejected = await invited(owner, person.email)
    answer = await person.post("/organization/reject-invitation", invitationId=rejected["id"])
    assert (answer.body["invitation"]["status"], answer.body["member"]) == ("rejected", None)
    await answers(rejected, rejects=NOT_FOUND)
    assert told(await owner.post("/organization/cancel-invitation", invitationId=rejected["id"])) == NOT_FOUND
    used = await invited(owner, person.email)
    assert (await person.post("/organization/accept-invitation", invitationId=used["id"])).status == 200
    await answers(used, rejects=NOT_FOUND)
    assert told(await owner.post("/organization/cancel-invitation", invitationId=used["id"])) == NOT_FOUND
    await answers({"id": used["id"][:-1] + "x"}, rejects=NOT_FOUND)


async def test_of_ten_acceptances_at_once_one_makes_a_member(mail: Mailed) -> None:
    owner = await owner_of(mail, "ten")
    person = await signed_in(mail.installation)
    invitation = await invited(owner, person.email)
    answers = await asyncio.gather(
        *(person.post("/organization/accept-invitation", invitationId=invitation["id"]) for _ in range(10))
    )
    assert [answer.status for answer in answers].count(200) == 1
    assert {told(answer) for answer in answers if answer.status != 200} <= {NOT_FOUND}
    rows = await mail.rows("acme", f"SELECT id FROM memberships WHERE user_id = '{person.user_id}'")
    assert len(rows) == 1


async def test_two_processes_on_one_folder_make_one_member_of_an_invitation(mail: Mailed) -> None:
    owner = await owner_of(mail, "twoworkers")
    other = create_app(mail.installation.app.settings)
    async with other.lifespan():
        transport = httpx.ASGITransport(app=other)
        for _ in range(3):
            person = await signed_in(mail.installation)
            invitation = await invited(owner, person.email)
            http = httpx.AsyncClient(transport=transport, timeout=30, cookies=person.http.cookies)
            there = AuthClient(http, person.issuer)
            answers = await asyncio.gather(
                *(
                    who.post("/organization/accept-invitation", invitationId=invitation["id"])
                    for who in (person, there, person, there)
                )
            )
            assert [answer.status for answer in answers].count(200) == 1
            assert {told(answer) for answer in answers if answer.status != 200} == {NOT_FOUND}
            rows = await mail.rows("acme", f"SELECT id FROM memberships WHERE user_id = '{person.user_id}'")
            assert len(rows) == 1


async def test_an_invitation_of_another_tenant_is_none_here(mail: Mailed) -> None:
    owner = await owner_of(mail, "elsewhere", "globex")
    person = await signed_in(mail.installation)
    invitation = await invited(owner, person.email)
    for path in ("accept-invitation", "reject-invitation", "cancel-invitation"):
        assert told(await person.post(f"/organization/{path}", invitationId=invitation["id"])) == NOT_FOUND
    assert told(await person.get("/organization/get-invitation", id=invitation["id"])) == NOT_FOUND
    assert await statuses(owner) == ["pending"]
    assert (await person.get("/organization/list")).body == []


async def test_only_members_who_may_invite_see_and_take_back(mail: Mailed) -> None:
    owner = await owner_of(mail, "listing")
    admin, plain = await joins(mail, owner, role="admin"), await joins(mail, owner)
    stranger = await signed_in(mail.installation)
    as_owner = await invited(owner, new_address(), role="owner")
    as_member = await invited(admin, new_address())
    organization_id = as_owner["organizationId"]

    async def listed(who: AuthClient) -> list[str]:
        answer = await who.get("/organization/list-invitations", organizationId=organization_id)
        return [one["id"] for one in answer.body if one["status"] == "pending"]

    assert await listed(owner) == [as_owner["id"], as_member["id"]]
    assert await listed(admin) == [as_member["id"]]
    none = await stranger.get("/organization/list-invitations")
    assert (none.status, none.body) == (400, {"message": "Organization ID is required"})
    foreign = await stranger.get("/organization/list-invitations", organizationId=organization_id)
    assert (foreign.status, foreign.body) == (403, {"message": "You are not a member of this organization"})
    refused = await plain.get("/organization/list-invitations", organizationId=organization_id)
    assert told(refused) == (403, "YOU_ARE_NOT_ALLOWED_TO_LIST_INVITATIONS")
    by_stranger = await stranger.post("/organization/cancel-invitation", invitationId=as_member["id"])
    assert told(by_stranger) == (400, "MEMBER_NOT_FOUND")
    by_member = await plain.post("/organization/cancel-invitation", invitationId=as_member["id"])
    assert told(by_member) == (403, "YOU_ARE_NOT_ALLOWED_TO_CANCEL_THIS_INVITATION")
    own = await stranger.get("/organization/list-user-invitations", email=owner.email)
    assert own.body == {"message": "User email cannot be passed for client side API calls."}


async def test_of_somebody_deleted_no_invitation_says_anything(mail: Mailed) -> None:
    owner = await owner_of(mail, "forgetting")
    person = await joins(mail, owner)
    declined = await signed_in(mail.installation)
    invitation = await invited(owner, declined.email)
    await declined.post("/organization/reject-invitation", invitationId=invitation["id"])
    manager = await mail.installation.manager("acme")
    for user in (person, declined):
        await manager.delete(f"/users/{user.user_id}")
    rows = await mail.rows("acme", "SELECT * FROM invitations")
    for user in (person, declined):
        assert user.email not in str([tuple(row) for row in rows])


async def test_no_log_and_no_letter_but_the_invited_one_holds_the_id(mail: Mailed) -> None:
    owner = await owner_of(mail, "quiet")
    invitation = await invited(owner, new_address())
    await owner.post("/organization/cancel-invitation", invitationId=invitation["id"])
    logged = await mail.rows("acme", "SELECT * FROM log_events")
    assert invitation["id"] not in str([tuple(row) for row in logged])
