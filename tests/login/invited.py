"""Organizations that invite, and people who open their letters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from entrypoints.browser import Browser
from entrypoints.demo_content import CALLBACK, DemoUser
from tests.mailbox import Mailed, link_in
from tests.organizations.people import AuthClient, signed_in
from tests.relying_party import RelyingParty

PASSWORD = "seven unrelated words of this test"
PAGE = "u/invitation"
WORDS = "/prompts/invitation/custom-text/en"
ACCEPT, DECLINE, SWITCH = ("decision", "accept"), ("decision", "decline"), ("decision", "switch")


@dataclass(frozen=True, slots=True)
class House:
    """An organization, and who owns it."""

    mail: Mailed
    owner: AuthClient
    id: str
    name: str

    async def invite(self, email: str, **more: Any) -> dict[str, Any]:
        body = {"role": "member", "organizationId": self.id, **more}
        answer = await self.owner.post("/organization/invite-member", email=email, **body)
        assert answer.status == 200, answer
        invitation: dict[str, Any] = answer.body
        return invitation

    async def invite_by_api(self, email: str, **more: Any) -> dict[str, Any]:
        """In Auth0's shape, for the demo's `web` client."""
        manager = await self.mail.installation.manager("acme")
        client_id = self.mail.tenant().clients["web"].client_id
        body = {"inviter": {"name": "Ada"}, "invitee": {"email": email}, "client_id": client_id, **more}
        made: dict[str, Any] = await manager.post(f"/organizations/{self.id}/invitations", body)
        return made

    async def link(self, email: str) -> str:
        """Of the newest letter to this address."""
        [*_, letter] = [one for one in await self.mail.settle() if one.recipients == (email,)]
        return link_in(letter)

    async def roles(self, email: str) -> list[str]:
        found = (await self.owner.get("/organization/list-members", organizationId=self.id, limit=100)).body
        return [one["role"] for one in found["members"] if one["user"]["email"] == email]


async def house(mail: Mailed, slug: str) -> House:
    owner = await signed_in(mail.installation, name="Ada Owner")
    made = await owner.post("/organization/create", name=slug.title(), slug=slug)
    assert made.status == 200, made
    return House(mail, owner, made.body["id"], slug.title())


@asynccontextmanager
async def browser(mail: Mailed) -> AsyncIterator[Browser]:
    """Of somebody who has never been here."""
    async with mail.installation.browser() as http:
        yield Browser(http, stops=(CALLBACK, "https://"))


async def verified(mail: Mailed, email: str) -> list[bool]:
    manager = await mail.installation.manager("acme")
    return [bool(user["email_verified"]) for user in await manager.get("/users-by-email", email=email)]


@asynccontextmanager
async def application(mail: Mailed, email: str = "", password: str = PASSWORD) -> AsyncIterator[RelyingParty]:
    async with mail.installation.browser() as http:
        party = mail.installation.relying_party("acme", "web", http=http)
        party.user = DemoUser(email, password)
        yield party
