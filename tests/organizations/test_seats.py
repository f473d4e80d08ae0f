"""Seats: an organization has as many members as its subscriptions are for, whoever lets them in, and when."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.installation import Installation
from tests.organizations.people import AuthAnswer, AuthClient, new_address, signed_in
from tests.organizations.places import organization_of
from tests.organizations.test_licenses import refused, subscribed

NO_SEATS = (403, "NO_SEATS_LEFT")
Elsewhere = Callable[[AuthClient], AuthClient]


class Firm:
    """An organization with an owner, who takes a seat, and a subscription for so many."""

    def __init__(self, installation: Installation, owner: AuthClient, id: str, subscription: str) -> None:
        self.installation = installation
        self.owner = owner
        self.id = id
        self.subscription = subscription

    @classmethod
    async def of(cls, installation: Installation, seats: int | None, **more: Any) -> "Firm":
        owner = await signed_in(installation)
        id = (await organization_of(owner))["id"]
        made = await subscribed(await installation.manager("acme"), id, seats=seats, **more)
        return cls(installation, owner, id, made["id"])

    async def sell(self, **changes: Any) -> None:
        await (await self.installation.manager("acme")).patch(f"/subscriptions/{self.subscription}", changes)

    async def invite(self, email: str | None = None) -> AuthAnswer:
        return await self.owner.post(
            "/organization/invite-member", email=email or new_address(), role="member", organizationId=self.id
        )

    async def guest(self) -> tuple[AuthClient, str]:
        """Somebody who was invited, and the invitation."""
        person = await signed_in(self.installation)
        answer = await self.invite(person.email)
        assert answer.status == 200, answer
        return person, answer.body["id"]

    async def members(self) -> set[str]:
        manager = await self.installation.manager("acme")
        return {each["user_id"] for each in await manager.get(f"/organizations/{self.id}/members")}


async def accept(person: AuthClient, invitation: str) -> AuthAnswer:
    return await person.post("/organization/accept-invitation", invitationId=invitation)


def told(answer: AuthAnswer) -> tuple[int, str | None]:
    return answer.status, answer.code


async def test_whoever_is_invited_takes_a_seat_until_the_invitation_is_over(
    installation: Installation,
) -> None:
    firm = await Firm.of(installation, 3)
    first, second = (await firm.invite()).body["id"], (await firm.invite()).body["id"]
    assert told(await firm.invite()) == NO_SEATS
    await firm.owner.post("/organization/cancel-invitation", invitationId=first)
    third = await firm.invite()
    assert (third.status, told(await firm.invite())) == (200, NO_SEATS)
    installation.clock.advance(48 * 3600 + 1)
    await firm.owner.sign_in()
    assert (await firm.invite()).status == 200
    assert second != third.body["id"]


async def test_of_two_who_accept_at_once_one_gets_the_last_seat(
    shared: Installation, elsewhere: Elsewhere
) -> None:
    for _ in range(4):
        firm = await Firm.of(shared, 3)
        (one, first), (other, second) = await firm.guest(), await firm.guest()
        await firm.sell(seats=2)
        answers = await asyncio.gather(accept(one, first), accept(elsewhere(other), second))
        assert sorted(map(told, answers)) == [(200, None), NO_SEATS]
        assert len(await firm.members()) == 2
        late, invitation = (one, first) if answers[0].status == 403 else (other, second)
        await firm.sell(seats=3)
        assert (await accept(late, invitation)).status == 200


async def test_of_two_who_are_invited_at_once_one_gets_the_last_seat(
    shared: Installation, elsewhere: Elsewhere
) -> None:
    firm = await Firm.of(shared, 2)
    there = elsewhere(firm.owner)
    body = {"role": "member", "organizationId": firm.id}
    answers = await asyncio.gather(
        firm.invite(), there.post("/organization/invite-member", email=new_address(), **body)
    )
    assert sorted(map(told, answers)) == [(200, None), NO_SEATS]


async def test_fewer_seats_than_members_throw_nobody_out_and_let_nobody_in(shared: Installation) -> None:
    firm = await Firm.of(shared, 4)
    (one, first), (other, second) = await firm.guest(), await firm.guest()
    assert (await accept(one, first)).status == 200
    await firm.sell(seats=1)
    assert await firm.members() == {firm.owner.user_id, one.user_id}
    mine = await one.get("/organization/list-members", organizationId=firm.id)
    assert mine.status == 200
    assert told(await accept(other, second)) == NO_SEATS
    assert told(await firm.invite()) == NO_SEATS
    assert (await one.post("/organization/leave", organizationId=firm.id)).status == 200
    assert told(await accept(other, second)) == NO_SEATS
    await firm.sell(seats=2)
    assert (await accept(other, second)).status == 200


async def test_when_its_time_is_over_an_organization_keeps_its_members_and_takes_no_more(
    installation: Installation,
) -> None:
    ends_at = datetime.fromtimestamp(installation.clock.now() + 3600, UTC).isoformat()
    firm = await Firm.of(installation, 5, ends_at=ends_at)
    (one, first), (other, second) = await firm.guest(), await firm.guest()
    assert (await accept(one, first)).status == 200
    installation.clock.advance(3601)
    assert told(await accept(other, second)) == NO_SEATS
    assert told(await firm.invite()) == NO_SEATS
    assert await firm.members() == {firm.owner.user_id, one.user_id}
    for status in ("paused", "canceled"):
        await firm.sell(ends_at=None, status=status)
        assert told(await accept(other, second)) == NO_SEATS
    await firm.sell(status="past_due")
    assert (await accept(other, second)).status == 200


async def test_seats_of_several_subscriptions_add_up_and_one_that_names_none_gives_none(
    shared: Installation,
) -> None:
    firm = await Firm.of(shared, None)
    assert [(await firm.invite()).status for _ in range(3)] == [200] * 3
    manager = await shared.manager("acme")
    for seats in (2, 3):
        await subscribed(manager, firm.id, seats=seats)
    assert (await firm.invite()).status == 200
    assert told(await firm.invite()) == NO_SEATS


async def test_the_management_api_lets_nobody_in_without_a_seat(shared: Installation) -> None:
    firm = await Firm.of(shared, 2)
    people = [(await signed_in(shared)).user_id for _ in range(2)]
    manager, path = await shared.manager("acme"), f"/organizations/{firm.id}/members"
    both = await refused(manager, "POST", path, {"members": people})
    assert (both.status_code, both.json()["errorCode"]) == (409, "no_seats_left")
    assert await firm.members() == {firm.owner.user_id}
    await manager.post(path, {"members": people[:1]})
    await firm.sell(seats=0)
    await manager.post(path, {"members": people[:1]})
    assert await firm.members() == {firm.owner.user_id, people[0]}


async def test_a_seat_that_is_kept_for_somebody_who_was_asked_is_nobody_else_s(shared: Installation) -> None:
    firm = await Firm.of(shared, 2)
    asked, invitation = await firm.guest()
    other = (await signed_in(shared)).user_id
    manager, path = await shared.manager("acme"), f"/organizations/{firm.id}/members"
    taken = await refused(manager, "POST", path, {"members": [other]})
    assert (taken.status_code, taken.json()["errorCode"]) == (409, "no_seats_left")
    assert (await accept(asked, invitation)).status == 200
    await firm.sell(seats=3)
    late, _ = await firm.guest()
    await manager.post(path, {"members": [late.user_id]})
    await firm.sell(seats=4)
    assert (await firm.invite()).status == 200
