"""Letters of invitation that the installation's own code sends, and answers that it has a say in."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from entrypoints.asgi import create_app
from entrypoints.browser import Browser
from entrypoints.demo_content import CALLBACK, Demo
from tenant_runtime.organizations.wire import refusal
from tests.conftest import settings_for
from tests.installation import Installation, MovableClock
from tests.mailbox import Mailed
from tests.organizations.people import AuthClient, new_address, signed_in
from tests.smtp import SmtpServer

pytestmark = pytest.mark.anyio


@dataclass
class Courier:
    """Sends invitations itself, if it is not broken."""

    is_broken: bool = False
    is_against: bool = False
    meanwhile: Callable[[], Awaitable[Any]] | None = None
    handed: list[dict[str, Any]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    async def send_invitation(self, invitation: dict[str, Any], about: dict[str, Any]) -> None:
        if self.is_broken:
            raise ConnectionError("the courier is out")
        self.handed.append(invitation | about)

    async def before_accept_invitation(self, values: dict[str, Any], about: dict[str, Any]) -> None:
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.is_against:
            raise refusal(403, "NOT_TODAY", "Not today")

    async def after_accept_invitation(self, about: dict[str, Any]) -> None:
        self.told.append(about["invitation"]["email"])


@dataclass(frozen=True)
class Office:
    mail: Mailed
    courier: Courier

    async def owner(self, slug: str) -> AuthClient:
        owner = await signed_in(self.mail.installation, name="Ada Owner")
        assert (await owner.post("/organization/create", name=slug.title(), slug=slug)).status == 200
        return owner

    async def send(self) -> None:
        await self.mail.settle()


@pytest.fixture(scope="module")
async def office(
    golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    data = tmp_path_factory.mktemp("courier") / "data"
    shutil.copytree(golden[0], data)
    clock, courier = MovableClock(), Courier()
    app = create_app(settings_for(data), clock=clock, organization_hooks=[courier])
    async with app.lifespan() as running, Installation.over(app, running, golden[1], clock) as installation:
        yield Office(Mailed(installation, SmtpServer()), courier)


async def test_a_courier_of_the_installation_s_own_is_handed_the_letter_once(office: Office) -> None:
    owner, email = await office.owner("handed"), new_address()
    made = await owner.post("/organization/invite-member", email=email, role="admin")
    await office.send()
    [handed] = [one for one in office.courier.handed if one["email"] == email]
    assert (handed["id"], handed["role"], handed["tenant"]) == (made.body["id"], "admin", "acme")
    assert handed["organization"]["slug"] == "handed"
    assert (handed["inviter"]["name"], handed["inviter"]["email"]) == ("Ada Owner", owner.email)
    async with office.mail.installation.browser() as http:
        page = Browser(http, stops=(CALLBACK,))
        await page.open(handed["url"])
        await page.submit(button=("decision", "accept"))
        done = await page.submit({"password": "seven unrelated words of a courier"})
        assert "You are a member of Handed now." in done.text
    assert office.courier.told == [email]


async def test_what_the_courier_does_not_take_is_handed_to_it_again(office: Office) -> None:
    owner, email = await office.owner("again"), new_address()
    office.courier.is_broken = True
    assert (await owner.post("/organization/invite-member", email=email, role="member")).status == 200
    await office.send()
    assert [one for one in office.courier.handed if one["email"] == email] == []
    office.courier.is_broken = False
    office.mail.installation.clock.advance(60)
    await office.send()
    assert len([one for one in office.courier.handed if one["email"] == email]) == 1


async def test_a_letter_of_what_was_taken_back_meanwhile_is_not_sent(office: Office) -> None:
    owner, email = await office.owner("meanwhile"), new_address()
    office.courier.is_broken = True
    made = await owner.post("/organization/invite-member", email=email, role="member")
    await office.send()
    await owner.post("/organization/cancel-invitation", invitationId=made.body["id"])
    office.courier.is_broken = False
    office.mail.installation.clock.advance(60)
    await office.send()
    assert [one for one in office.courier.handed if one["email"] == email] == []


async def test_the_installation_s_own_code_has_a_say_on_the_page_as_well(office: Office) -> None:
    owner = await office.owner("against")
    person = await signed_in(office.mail.installation)
    made = await owner.post("/organization/invite-member", email=person.email, role="member")
    page = Browser(person.http, stops=(CALLBACK,))
    await page.open(f"{person.issuer}u/invitation?ticket={made.body['id']}")
    office.courier.is_against = True
    refused = await page.submit(button=("decision", "accept"))
    assert (refused.status_code, "This could not be done." in refused.text) == (403, True)
    answer = await person.post("/organization/accept-invitation", invitationId=made.body["id"])
    assert (answer.status, answer.code) == (403, "NOT_TODAY")
    async with office.mail.installation.browser() as http:
        elsewhere = Browser(http, stops=(CALLBACK,))
        await elsewhere.open(f"{person.issuer}u/invitation?ticket={made.body['id']}")
        await elsewhere.submit(button=("decision", "accept"))
        await elsewhere.submit()
        asked = await elsewhere.submit({"password": person.password})
        assert "You are invited to" in asked.text  # signed in, and nothing accepted
    office.courier.is_against = False
    assert "now" in (await page.submit(button=("decision", "accept"))).text
    assert office.courier.told[-1] == person.email


async def test_whose_address_changes_while_they_accept_is_in_nothing(office: Office) -> None:
    owner = await office.owner("moved")
    person = await signed_in(office.mail.installation)
    made = await owner.post("/organization/invite-member", email=person.email, role="admin")
    manager = await office.mail.installation.manager("acme")

    async def moves() -> None:
        await manager.patch(f"/users/{person.user_id}", {"email": new_address(), "email_verified": True})

    office.courier.meanwhile = moves
    answer = await person.post("/organization/accept-invitation", invitationId=made.body["id"])
    office.courier.meanwhile = None
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")  # a new address ends sessions
    [waiting] = (await owner.get("/organization/list-invitations")).body
    assert waiting["status"] == "pending"
