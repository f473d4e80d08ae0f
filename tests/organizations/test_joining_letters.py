"""Letters about requests to join: to whoever decides, and to the person."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from entrypoints.demo_content import Demo
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
