"""Letters about requests to join: to whoever decides, and to the person."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from entrypoints.demo_content import Demo
from tests.login.invited import application
from tests.mailbox import Mailed, mailed
from tests.organizations.people import member, signed_in
from tests.organizations.test_joining import at, owning
from tests.smtp import Received

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def mail(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path_factory.mktemp("joining")) as made:
        yield made


async def letters_to(mail: Mailed, email: str) -> list[Received]:
    return [letter for letter in await mail.settle() if email in letter.recipients]


async def test_whoever_decides_is_told_and_then_the_person_is(mail: Mailed) -> None:
    owner, id, domain = await owning(mail.installation, "letters", "request")
    plain = await member(mail.installation, id)
    for verdict, said in (("reject", "decided against it"), ("approve", "let you in")):
        person = await signed_in(mail.installation, email=at(domain), name="Ada <Lovelace>")
        asked = await person.post("/organization/request-to-join", organizationId=id, message="Hello")
        *_, told = await letters_to(mail, owner.email)
        assert told.message["subject"] == f"Ada <Lovelace> ({person.email}) asks to join Letters"
        assert await letters_to(mail, person.email) == []
        await owner.post(f"/organization/{verdict}-join-request", requestId=asked.body["id"])
        [answer] = await letters_to(mail, person.email)
        assert said in answer.text
        assert "Letters" in answer.text
    assert await letters_to(mail, plain.email) == []


async def test_who_asks_at_the_login_page_is_heard_and_comes_in_by_it(mail: Mailed) -> None:
    for joining in ("request", "approval"):
        owner, id, domain = await owning(mail.installation, f"page-{joining}", joining)
        person = await signed_in(mail.installation, email=at(domain))
        async with application(mail, person.email, person.password) as party:
            await party.authorize(organization=id)
            page = await party.log_in()
            if joining == "request":
                page = await party.browser.submit(button=("decision", "ask"))
            assert f"You get a mail at <bdi>{person.email}</bdi> when it is decided." in page.text
            *_, told = await letters_to(mail, owner.email)
            assert f"({person.email}) asks to join" in told.message["subject"]
            [waiting] = (await owner.get("/organization/list-join-requests")).body
            await owner.post("/organization/approve-join-request", requestId=waiting["id"])
            [answer] = await letters_to(mail, person.email)
            assert "let you in" in answer.text
            await party.browser.submit(button=("decision", "look"))
            assert "code" in party.landed
