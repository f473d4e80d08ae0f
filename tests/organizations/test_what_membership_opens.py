"""At every moment a session and a token open exactly what the rows say: random acts, compared with an account of them.

Acts come one after another here, and after each everything is asked. What happens at the same moment as a removal is
below: whatever it opened is closed.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from entrypoints.demo_content import DemoUser
from entrypoints.network import Api
from tests.installation import Installation
from tests.matrices import in_ci
from tests.organizations.ledger import Family, Ledger
from tests.organizations.people import AuthAnswer, AuthClient, signed_in, visitor
from tests.organizations.test_lifecycle import made, place
from tests.organizations.test_members import Company
from tests.organizations.test_removal import OFFLINE, is_active
from tests.relying_party import RelyingParty

SEEDS = in_ci([str(seed) for seed in range(40)], ["7", "23"])
STEPS, PEOPLE, ORGANIZATIONS, SESSIONS = 30, 2, 2, 2
ASKED = {"permissions": {"invitation": ["create"]}}


def relying_party(installation: Installation, person: AuthClient) -> RelyingParty:
    tenant = installation.tenant("acme")
    user = DemoUser(person.email, person.password)
    return RelyingParty(person.http, tenant.issuer, tenant.clients["web"], tenant.api_audience, user)


@dataclass(slots=True)
class World:
    """`root` owns every organization and stays; the people come and go."""

    root: AuthClient
    manager: Api
    organizations: list[str]
    sessions: dict[tuple[int, int], AuthClient]
    parties: list[RelyingParty]
    random: random.Random
    ledger: Ledger

    @classmethod
    async def of(cls, installation: Installation, seed: str) -> "World":
        root = await signed_in(installation)
        organizations = [(await made(root))["id"] for _ in range(ORGANIZATIONS)]
        sessions: dict[tuple[int, int], AuthClient] = {}
        for user in range(PEOPLE):
            person = await signed_in(installation)
            again = visitor(installation, email=person.email, password=person.password)
            sessions[user, 0], sessions[user, 1] = person, await again.sign_in()
        parties = [relying_party(installation, sessions[user, 0]) for user in range(PEOPLE)]
        ledger = Ledger(places=dict.fromkeys(sessions))
        manager = await installation.manager("acme")
        return cls(root, manager, organizations, sessions, parties, random.Random(seed), ledger)

    async def step(self) -> None:
        acts = [self.add, self.remove, self.leave, self.change_role, self.choose, self.sign_in]
        act = self.random.choice([*acts, self.choose, self.sign_in, self.refresh, self.refresh])
        await act(self.random.randrange(ORGANIZATIONS), self.random.randrange(PEOPLE))

    # --- Acts ---------------------------------------------------------------------------------------------------------

    async def add(self, organization: int, user: int) -> None:
        await self.manager.post(self._members(organization), {"members": [self._id(user)]})
        self.ledger.roles.setdefault((organization, user), "member")

    async def remove(self, organization: int, user: int) -> None:
        if self.random.random() < 0.5:
            await self.manager.delete(self._members(organization), {"members": [self._id(user)]})
        else:
            body = {"memberIdOrEmail": self.sessions[user, 0].email, **self._named(organization)}
            answer = await self.root.post("/organization/remove-member", **body)
            assert answer.status == (200 if self.ledger.is_member(organization, user) else 400)
        self.ledger.removed(organization, user)

    async def leave(self, organization: int, user: int) -> None:
        person = self._anywhere(user)
        answer = await person.post("/organization/leave", **self._named(organization))
        assert answer.status == (200 if self.ledger.is_member(organization, user) else 400)
        self.ledger.removed(organization, user)

    async def change_role(self, organization: int, user: int) -> None:
        listed = await self.root.get("/organization/list-members", **self._named(organization))
        ids = {each["userId"]: each["id"] for each in listed.body["members"]}
        assert (self._id(user) in ids) == self.ledger.is_member(organization, user)
        if self._id(user) not in ids:
            return
        role = self.random.choice(["guest", "member", "admin", "owner"])
        body = {"memberId": ids[self._id(user)], "role": role, **self._named(organization)}
        assert (await self.root.post("/organization/update-member-role", **body)).status == 200
        self.ledger.roles[organization, user] = role

    async def choose(self, organization: int, user: int) -> None:
        session = (user, self.random.randrange(SESSIONS))
        answer = await self.sessions[session].post("/organization/set-active", **self._named(organization))
        is_member = self.ledger.is_member(organization, user)
        assert answer.status == (200 if is_member else 403)
        self.ledger.places[session] = organization if is_member else None

    async def sign_in(self, organization: int, user: int) -> None:
        """In an organization, or in none."""
        chosen = self.random.choice([organization, organization, None])
        party = self.parties[user]
        named = {} if chosen is None else {"organization": self.organizations[chosen]}
        landed = await party.silent(scope=OFFLINE, **named)
        assert ("code" in landed) == self.ledger.is_member(chosen, user), landed
        if "code" not in landed:
            assert landed["error"] == "access_denied"
            return
        answer = await party.redeem(landed["code"])
        family = Family(user, chosen, chosen, answer.refresh_token)
        family.access.append((chosen, answer.access_token))
        self.ledger.families.append(family)

    async def refresh(self, organization: int, user: int) -> None:
        """As it is, or over to another organization."""
        mine = [family for family in self.ledger.families if family.user == user]
        if not mine:
            return
        family, goes_over = self.random.choice(mine), self.random.random() < 0.5
        wanted = organization if goes_over else family.now
        named = {"organization": self.organizations[organization]} if goes_over else {}
        answer = await self.parties[user].refresh(family.refresh_token, **named)
        assert (answer.status == 200) == self.ledger.opens(family, wanted), answer.body
        if answer.status == 200:
            family.now, family.refresh_token = wanted, answer.refresh_token
            family.access.append((wanted, answer.access_token))

    # --- What is so ---------------------------------------------------------------------------------------------------

    async def compare(self) -> None:
        for session, person in self.sessions.items():
            await self._compare_session(session, person)
        for family in self.ledger.families:
            party = self.parties[family.user]
            for organization, token in family.access[-3:]:
                assert await is_active(party, token) == self.ledger.opens(family, organization)
            opens = self.ledger.opens(family, family.now)
            assert await is_active(party, family.refresh_token) == opens
        for organization, id in enumerate(self.organizations):
            shown = {each["user_id"] for each in await self.manager.get(f"/organizations/{id}/members")}
            ours = {self._id(user) for (where, user) in self.ledger.roles if where == organization}
            assert shown == {self.root.user_id, *ours}

    async def _compare_session(self, session: tuple[int, int], person: AuthClient) -> None:
        where = self.ledger.places[session]
        found, _ = await place(person)
        assert found == (None if where is None else self.organizations[where])
        answer = await person.post("/organization/has-permission", **ASKED)
        if where is None:
            assert answer.code == "NO_ACTIVE_ORGANIZATION"
            return
        assert answer.body["success"] == (self.ledger.roles[where, session[0]] in ("admin", "owner"))

    def _members(self, organization: int) -> str:
        return f"/organizations/{self.organizations[organization]}/members"

    def _named(self, organization: int) -> dict[str, Any]:
        return {"organizationId": self.organizations[organization]}

    def _id(self, user: int) -> str:
        return self.sessions[user, 0].user_id

    def _anywhere(self, user: int) -> AuthClient:
        return self.sessions[user, self.random.randrange(SESSIONS)]


@pytest.mark.parametrize("seed", SEEDS)
async def test_sessions_and_tokens_open_exactly_what_the_rows_say(shared: Installation, seed: str) -> None:
    world = await World.of(shared, seed)
    for _ in range(STEPS):
        await world.step()
        await world.compare()


async def test_nothing_that_was_opened_at_the_moment_of_removal_outlives_it(
    shared: Installation, elsewhere: Callable[[AuthClient], AuthClient]
) -> None:
    """The removal at one process, everything else at another."""
    for turns in range(0, 60, 10):
        company = await Company.of(shared)
        person = await company.person("admin")
        there = elsewhere(person)
        here, far = relying_party(shared, person), relying_party(shared, there)
        begun = await here.sign_in(organization=company.id, scope=OFFLINE)
        over = await here.sign_in(scope=OFFLINE)
        far.verifier, code = here.verifier, await here.code(organization=company.id, scope=OFFLINE)
        await person.post("/organization/set-active", organizationId=None)
        removed, chosen, invited, *issued = await asyncio.gather(
            _after(turns, company.remove(company.owner, person)),
            there.post("/organization/set-active", organizationId=company.id),
            there.post(
                "/organization/invite-member", email="e@out.example", role="admin", organizationId=company.id
            ),
            far.refresh(begun.refresh_token),
            far.refresh(over.refresh_token, organization=company.id),
            far.redeem(code),
        )
        assert removed.status == 200
        assert {chosen.status, invited.status} <= {200, 400, 403}
        assert {answer.status for answer in issued} <= {200, 400, 403}
        assert await place(person) == (None, None)
        for answer in (begun, *(each for each in issued if each.status == 200)):
            assert not await is_active(here, answer.access_token)
            assert (await here.refresh(answer.refresh_token)).error == "invalid_grant"
        listed = (await company.owner.get("/organization/list-invitations")).body
        assert [each["status"] for each in listed] == (["canceled"] if invited.status == 200 else [])


async def _after(turns: int, act: Awaitable[AuthAnswer]) -> AuthAnswer:
    """Later by so many turns of the loop: sometimes the others are first."""
    for _ in range(turns):
        await asyncio.sleep(0)
    return await act
