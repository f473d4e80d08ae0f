"""F23, continued: what a process remembers of a clock that was ahead holds nobody up when it is right again."""

from pathlib import Path

import pytest

from entrypoints.demo_content import Demo, DemoUser
from tests.installation import Installation
from tests.login.test_device_pages import guess
from tests.protocol.test_client_id_metadata_documents import beside, party_of, publish
from tests.registrations import ask_to_register, let_register

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

HOUR = 3600
YEARS = 3653 * 86_400
JUMPS = [HOUR, YEARS]


async def tried(installation: Installation, user: DemoUser) -> int:
    """The status of a password: 303 landed, 400 wrong, 429 too often."""
    async with installation.browser() as http:
        party = installation.relying_party("acme", http=http)
        party.user = user
        await party.authorize()
        page = await party.log_in()
        return 303 if party.browser.landed is not None else page.status_code


@pytest.mark.parametrize("jump", JUMPS)
async def test_wrong_passwords_of_a_clock_that_was_ahead_keep_nobody_out(
    installation: Installation, jump: float
) -> None:
    """Known or not: the wait must not tell which."""
    person = installation.tenant("acme").users[0]
    known, unknown = DemoUser(person.email, "wrong"), DemoUser("nobody@acme.example", "wrong")
    installation.clock.advance(jump)
    for user in (known, unknown):
        statuses = [await tried(installation, user) for _ in range(12)]
        assert statuses[-1] == 429
    installation.clock.advance(-jump)
    manager = await installation.manager("acme")
    assert await manager.get("/user-blocks", identifier=person.email) == {"blocked_for": []}
    assert [await tried(installation, user) for user in (known, unknown)] == [400, 400]
    assert [await tried(installation, user) for user in (known, unknown)] == [429, 429], "still slowed down"
    installation.clock.advance(301)
    assert await tried(installation, person) == 303


async def test_a_wait_that_was_begun_five_seconds_ahead_is_kept(installation: Installation) -> None:
    wrong = DemoUser(installation.tenant("acme").users[0].email, "wrong")
    for _ in range(30):
        await tried(installation, wrong)
        installation.clock.advance(301)
    installation.clock.advance(-301)
    assert await tried(installation, wrong) == 429
    installation.clock.advance(-5)
    assert await tried(installation, wrong) == 429


@pytest.mark.parametrize("jump", JUMPS)
async def test_guesses_of_a_clock_that_was_ahead_keep_nobody_out(
    installation: Installation, jump: float
) -> None:
    issuer = installation.tenant("acme").issuer
    installation.clock.advance(jump)
    assert [await guess(installation, issuer, "192.0.2.1") for _ in range(11)] == [400] * 10 + [429]
    installation.clock.advance(-jump)
    assert [await guess(installation, issuer, "192.0.2.1") for _ in range(11)] == [400] * 10 + [429]


@pytest.mark.parametrize("jump", JUMPS)
async def test_rates_of_a_clock_that_was_ahead_keep_nobody_out(
    installation: Installation, jump: float
) -> None:
    await let_register(installation, "acme", mode="open")
    installation.clock.advance(jump)
    for _ in range(200):
        if (await ask_to_register(installation, "acme")).status_code == 429:
            break
    else:
        pytest.fail("no limit")
    installation.clock.advance(-jump)
    assert (await ask_to_register(installation, "acme")).status_code == 201


async def test_a_document_that_was_fetched_years_ahead_is_fetched_again(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with beside(tmp_path, golden) as (world, host), world.browser() as http:
        party = party_of(world, publish(host, client_name="Before"), http)
        world.clock.advance(YEARS)
        await party.authorize()
        assert "Before" in (await party.log_in()).text
        world.clock.advance(-YEARS)
        publish(host, client_name="After")
        await party.authorize()
        assert "After" in (await party.log_in()).text
        assert len(host.asked) == 2
        await party.authorize()
        assert len(host.asked) == 2, "which is fresh"
