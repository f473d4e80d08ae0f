"""Owners who give up at the same moment, over two processes' worth of Keystead on one folder: one of them stays."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.installation import Installation
from tests.organizations.people import AuthAnswer, AuthClient
from tests.organizations.test_members import Company

ROUNDS = 4


async def demote_other(company: Company, by: AuthClient, other: AuthClient) -> AuthAnswer:
    return await company.give(by, other, "member")


async def demote_oneself(company: Company, by: AuthClient, other: AuthClient) -> AuthAnswer:
    return await company.give(by, by, "member")


async def remove_other(company: Company, by: AuthClient, other: AuthClient) -> AuthAnswer:
    return await company.remove(by, other)


async def leave(company: Company, by: AuthClient, other: AuthClient) -> AuthAnswer:
    return await by.post("/organization/leave", organizationId=company.id)


async def hand_over(company: Company, by: AuthClient, other: AuthClient) -> AuthAnswer:
    body = {"memberId": company.ids[other.user_id], "organizationId": company.id}
    return await by.post("/organization/transfer-ownership", **body)


Act = Callable[[Company, AuthClient, AuthClient], Awaitable[AuthAnswer]]
PAIRS: list[tuple[Act, Act]] = [
    (demote_other, demote_other),
    (demote_oneself, demote_oneself),
    (remove_other, remove_other),
    (leave, leave),
    (demote_oneself, leave),
    (remove_other, hand_over),
]


@pytest.mark.parametrize(("one", "another"), PAIRS, ids=lambda act: act.__name__)
async def test_of_two_owners_who_give_up_at_once_one_stays(
    shared: Installation, elsewhere: Callable[[AuthClient], AuthClient], one: Act, another: Act
) -> None:
    manager = await shared.manager("acme")
    for _ in range(ROUNDS):
        company = await Company.of(shared)
        first, second = company.owner, await company.person("owner")
        witness = await company.person()
        answers = await asyncio.gather(
            one(company, first, second), another(company, elsewhere(second), first)
        )
        assert {answer.status for answer in answers} <= {200, 400, 403}
        assert 200 in {answer.status for answer in answers}
        listed = await witness.get("/organization/list-members", organizationId=company.id)
        roles = {each["userId"]: each["role"] for each in listed.body["members"]}
        assert "owner" in roles.values(), [answer.body for answer in answers]
        shown = await manager.get(f"/organizations/{company.id}/members")
        assert {each["user_id"] for each in shown} == roles.keys()


async def test_of_two_who_come_for_the_last_place_one_gets_in(
    shared: Installation, elsewhere: Callable[[AuthClient], AuthClient]
) -> None:
    """A limit is counted in the transaction that fills it."""
    company = await Company.of(shared)
    guests = [await company.person() for _ in range(2)]
    other = await Company.of(shared)
    for guest in guests:
        await other.owner.post("/organization/invite-member", email=guest.email, role="member")
    listed = (await other.owner.get("/organization/list-invitations")).body
    ids = {each["email"]: each["id"] for each in listed}
    manager = await shared.manager("acme")
    await manager.patch("/tenants/organizations", {"membership_limit": 2})
    try:
        answers = await asyncio.gather(
            guests[0].post("/organization/accept-invitation", invitationId=ids[guests[0].email]),
            elsewhere(guests[1]).post("/organization/accept-invitation", invitationId=ids[guests[1].email]),
        )
    finally:
        await manager.patch("/tenants/organizations", {"membership_limit": None})
    assert sorted(answer.status for answer in answers) == [200, 403]
    assert len(await other.roles()) == 2
