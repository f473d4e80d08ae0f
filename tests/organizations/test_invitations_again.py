"""Invitations that are sent again, run out, are too many, or lead into teams."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from entrypoints.demo_content import Demo
from tenant_runtime.limits import take
from tenant_runtime.organizations.invitations.letters import LETTERS_PER_INVITER
from tests.mailbox import Mailed, mailed
from tests.organizations.inviting import NOT_FOUND, NOT_THIS_ROLE, invited, joins, owner_of, set_options, told
from tests.organizations.people import new_address, signed_in
from tests.organizations.places import telling

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def mail(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path_factory.mktemp("invitations")) as made:
        yield made


async def test_sent_again_it_keeps_id_and_role_and_lives_longer(mail: Mailed) -> None:
    owner = await owner_of(mail, "again")
    admin = await joins(mail, owner, role="admin")
    email = new_address()
    first = await invited(owner, email, role="owner")
    mail.installation.clock.advance(3600)
    second = await invited(owner, email, role="guest", resend=True)
    assert (second["id"], second["role"]) == (first["id"], "owner")
    assert second["expiresAt"] > first["expiresAt"]
    body = {"email": email, "role": "guest", "resend": True}
    assert told(await admin.post("/organization/invite-member", **body)) == NOT_THIS_ROLE
    received = [letter for letter in await mail.settle() if letter.recipients == (email,)]
    assert len(received) == 2


async def test_one_that_has_run_its_time_is_invited_anew(mail: Mailed) -> None:
    owner = await owner_of(mail, "late")
    person = await signed_in(mail.installation)
    first = await invited(owner, person.email)
    mail.installation.clock.advance(48 * 3600 + 1)
    mail.installation._tokens.clear()
    sent = {"invitationId": first["id"]}
    assert told(await person.post("/organization/accept-invitation", **sent)) == NOT_FOUND
    [mine] = (await person.get("/organization/list-user-invitations")).body
    assert mine["id"] == first["id"]
    second = await invited(owner, person.email)
    assert second["id"] != first["id"]
    assert (await person.post("/organization/reject-invitation", invitationId=second["id"])).status == 200


async def test_the_option_lets_a_new_invitation_take_the_place_of_the_old(mail: Mailed) -> None:
    owner = await owner_of(mail, "replacing")
    await set_options(mail, cancel_pending_invitations_on_re_invite=True)
    only_asks = {"role": "asker", "permission": {"invitation": ["create"]}}
    assert (await owner.post("/organization/create-role", **only_asks)).status == 200
    asker, admin = await joins(mail, owner, role="asker"), await joins(mail, owner, role="admin")
    try:
        email = new_address()
        first, second = await invited(owner, email), await invited(owner, email, role="guest")
        assert (second["id"] != first["id"], second["role"]) == (True, "guest")
        other = await asker.post("/organization/invite-member", email=email, role="member")
        assert told(other) == (400, "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION"), "who may not cancel it"
        assert (await invited(admin, email))["id"] != second["id"]
        assert (await invited(asker, own := new_address()))["id"] != (await invited(asker, own))["id"]
    finally:
        await set_options(mail, cancel_pending_invitations_on_re_invite=False)


async def test_mass_invitations_end_at_the_limit_and_the_address_is_asked_now_and_then(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 97."""
    owner = await owner_of(mail, "masses")
    statuses: list[int] = []
    for start in range(0, 1000, 100):
        emails = [f"n{start + place}@masses.example" for place in range(100)]
        answer = await owner.post("/organization/invite-members", email=emails, role="member")
        results = answer.body["results"]
        assert [result["email"] for result in results] == emails
        statuses += [200 if result["error"] is None else result["error"]["status"] for result in results]
    assert statuses == [200] * 100 + [403] * 400 + [429] * 500
    owner = await owner_of(mail, "same")
    mail.begin_a_window()
    codes = []
    for _ in range(50):
        answer = await owner.post("/organization/invite-member", email="same@acme.example", role="member")
        codes.append(told(answer))
        if answer.status == 200:
            await owner.post("/organization/cancel-invitation", invitationId=answer.body["id"])
    assert [code[0] for code in codes] == [200] * 5 + [429] * 45


async def test_nobody_else_uses_up_what_an_organization_may_send(mail: Mailed) -> None:
    owner = await owner_of(mail, "spent")
    found = (await owner.get("/organization/get-full-organization")).body
    stranger = await signed_in(mail.installation)
    for _ in range(6):
        emails = [f"n{place}@spent.example" for place in range(100)]
        answer = await stranger.post(
            "/organization/invite-members", email=emails, role="member", organizationId=found["id"]
        )
    assert {result["error"]["status"] for result in answer.body["results"]} == {429}, "their own is used up"
    assert (await invited(owner, new_address()))["status"] == "pending"


async def test_many_organizations_of_one_person_send_no_more_than_one(mail: Mailed) -> None:
    owner = await owner_of(mail, "hydra")
    for head in range(5):
        await owner.post("/organization/create", name="Hydra", slug=f"hydra-{head}")
        emails = [f"n{place}@hydra.example" for place in range(100)]
        answer = await owner.post("/organization/invite-members", email=emails, role="nobody")
        assert {each["error"]["status"] for each in answer.body["results"]} == {400}
    answer = await owner.post("/organization/invite-member", email=new_address(), role="member")
    assert answer.status == 429


async def test_what_one_person_may_send_is_counted_for_all_processes(mail: Mailed) -> None:
    owner = await owner_of(mail, "many-nodes")
    mail.begin_a_window()
    tenant = await mail.installation.running.platform.directory.by_id("acme")
    assert tenant is not None
    now = int(mail.installation.clock.now() * 1000)

    def elsewhere(connection: Connection, letters: int) -> None:
        for _ in range(letters):
            take(connection, "inviter", owner.user_id, now, LETTERS_PER_INVITER)

    for letters in (*[50] * 9, 49):
        await tenant.database.write(elsewhere, letters)
    assert (await invited(owner, new_address()))["status"] == "pending"
    beyond = await owner.post("/organization/invite-member", email=new_address(), role="member")
    assert beyond.status == 429
    other = await owner_of(mail, "another-person")
    assert (await invited(other, new_address()))["status"] == "pending"


async def test_an_invitation_leads_into_each_team_once_and_into_no_heap_of_them(mail: Mailed) -> None:
    owner = await owner_of(mail, "heaps")
    team = (await owner.post("/organization/create-team", name="one")).body["id"]
    assert (await invited(owner, new_address(), teamId=[team, team]))["teamId"] == team
    heap = await owner.post(
        "/organization/invite-member", email=new_address(), role="member", teamId=["x"] * 101
    )
    assert told(heap) == (400, "VALIDATION_ERROR")


async def test_teams_of_an_invitation_are_the_members_and_one_alone_is_the_session_s(mail: Mailed) -> None:
    owner = await owner_of(mail, "teams")
    teams = [(await owner.post("/organization/create-team", name=name)).body["id"] for name in "ab"]
    one, both = await signed_in(mail.installation), await signed_in(mail.installation)
    for person, ids in ((one, teams[:1]), (both, teams)):
        invitation = await invited(owner, person.email, teamId=ids)
        assert invitation["teamId"] == ",".join(ids)
        await person.post("/organization/accept-invitation", invitationId=invitation["id"])
        mine = (await person.get("/organization/list-user-teams")).body
        assert {team["id"] for team in mine} == set(ids)
        session = await person.session() or {}
        assert session["activeTeamId"] == (ids[0] if len(ids) == 1 else None)


async def test_nobody_has_the_letter_lead_strangers_anywhere_by_what_they_are_called(mail: Mailed) -> None:
    owner = await signed_in(mail.installation)
    await owner.post("/update-user", name="Eve https://evil.example/now")
    name = "Booking.com www.evil.example evil.example/now"
    assert (await owner.post("/organization/create", name=name, slug="booking")).status == 200
    await invited(owner, (email := new_address()))
    [letter] = [one for one in await mail.settle() if one.recipients == (email,)]
    assert "Eve invites you, with the address" in letter.text
    assert "a member of Booking.com at Acme" in letter.text
    assert b"evil" not in letter.raw


async def test_who_accepts_is_shown_with_the_fields_that_the_tenant_added(mail: Mailed) -> None:
    fields = {"title": {"type": "string"}, "note": {"type": "string", "returned": False}}
    async with telling(mail.installation, additional_fields={"member": fields}):
        owner, person = await owner_of(mail, "titled"), await signed_in(mail.installation)
        invitation = await invited(owner, person.email)
        accepted = await person.post("/organization/accept-invitation", invitationId=invitation["id"])
        active = (await person.get("/organization/get-active-member")).body
    assert accepted.body["member"] == {name: value for name, value in active.items() if name != "user"}
    assert accepted.body["member"]["title"] is None
