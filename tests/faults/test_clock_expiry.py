"""F23, continued: what was given out ends once, and lives no longer than it was given for, wherever the clock goes."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from entrypoints.browser import Browser
from entrypoints.demo_content import Demo, DemoUser
from tests.faults.checks import file_of, query
from tests.faults.test_clock import two
from tests.installation import Installation, MovableClock
from tests.login.test_password_reset import follow, link
from tests.login.test_setup import set_up
from tests.mailbox import Mailed, mailed
from tests.protocol.phone import Phone, assert_wrong
from tests.registrations import ask_to_register, consented_code, let_register, registered, stranger
from tests.relying_party import RelyingParty

__all__ = ["two"]
pytestmark = [pytest.mark.anyio, pytest.mark.faults]

MINUTE, HOUR, DAY = 60, 3600, 86_400
YEARS = 3653 * DAY
AHEAD = [2 * HOUR, YEARS]
BACK = [62, HOUR, YEARS]


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path) as made:
        yield made


# --- Pushed requests -------------------------------------------------------------------------------------------------


async def push(rp: RelyingParty) -> str:
    form = dict(httpx.URL(rp.authorize_url()).params)
    basic = base64.b64encode(f"{rp.client.client_id}:{rp.client.client_secret}".encode()).decode()
    answer = await rp.http.post(
        f"{rp.issuer}oauth/par", data=form, headers={"Authorization": f"Basic {basic}"}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["request_uri"])


async def opens(rp: RelyingParty, request_uri: str) -> bool:
    query = httpx.QueryParams(client_id=rp.client.client_id, request_uri=request_uri)
    return (await rp.http.get(f"{rp.issuer}authorize?{query}")).status_code in (302, 303)


@pytest.mark.parametrize("jump", AHEAD)
async def test_a_pushed_request_that_was_refused_as_too_old_is_not_revived(
    installation: Installation, jump: float
) -> None:
    rp = installation.relying_party("acme")
    request_uri, untouched = await push(rp), await push(rp)
    assert await opens(rp, request_uri)
    installation.clock.advance(jump)
    assert not await opens(rp, request_uri)
    installation.clock.advance(-jump)
    assert not await opens(rp, request_uri)
    assert await opens(rp, untouched), "its minute is not over"


@pytest.mark.parametrize("back", BACK)
async def test_a_pushed_request_lives_no_longer_because_the_clock_was_set_back(
    installation: Installation, back: float
) -> None:
    rp = installation.relying_party("acme")
    request_uri = await push(rp)
    installation.clock.advance(-back)
    assert not await opens(rp, request_uri)
    assert await opens(rp, await push(rp))


# --- Links, codes and tokens of a letter or an operator --------------------------------------------------------------


@pytest.mark.parametrize("jump", AHEAD)
async def test_a_reset_link_that_was_refused_as_too_old_is_not_revived(mail: Mailed, jump: float) -> None:
    url, clock = await link(mail), mail.installation.clock
    clock.advance(jump)
    assert (await follow(mail, url)).status_code == 403
    clock.advance(-jump)
    assert (await follow(mail, url)).status_code == 403
    assert (await follow(mail, await link(mail))).status_code == 200


@pytest.mark.parametrize("back", BACK)
async def test_a_reset_link_lives_no_longer_because_the_clock_was_set_back(mail: Mailed, back: float) -> None:
    url = await link(mail)
    mail.installation.clock.advance(-back)
    assert (await follow(mail, url)).status_code == 403
    mail.installation.clock.advance(back)
    assert (await follow(mail, url)).status_code == 200, "it was not presented too late"


async def test_a_setup_link_that_was_refused_as_too_old_is_not_revived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from entrypoints.asgi import create_app
    from provisioning.installation import initialise
    from tests.conftest import settings_for

    settings, clock = settings_for(tmp_path / "data"), MovableClock()
    made = await initialise(settings)
    assert made.setup_url is not None
    app = create_app(settings, clock=clock)
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as http:
        browser = Browser(http, stops=())
        assert (await browser.open(made.setup_url)).status_code == 200
        clock.advance(YEARS)
        late = await browser.submit(
            {"email": "late@example.com", "password": "a long and unrelated sentence"}
        )
        assert late.status_code == 403
        clock.advance(-YEARS)
        assert (await http.get(made.setup_url)).status_code == 403
        clock.advance(-HOUR)
        again = await initialise(settings)
        assert again.setup_url is not None
        assert (await http.get(again.setup_url)).status_code == 403, "made an hour from now"
        clock.advance(HOUR)
        assert (await set_up(http, again.setup_url)).status_code == 200


@pytest.mark.parametrize("jump", AHEAD)
async def test_a_code_of_a_letter_that_was_refused_as_too_old_is_not_revived(
    mail: Mailed, jump: float
) -> None:
    phone = Phone(mail, await mail.client())
    code, clock = await phone.code(), mail.installation.clock
    clock.advance(jump)
    assert_wrong(await phone.redeem(code))
    clock.advance(-jump)
    assert_wrong(await phone.redeem(code))
    assert (await phone.redeem(await phone.code())).status_code == 200


@pytest.mark.parametrize("back", BACK)
async def test_a_code_of_a_letter_lives_no_longer_because_the_clock_was_set_back(
    mail: Mailed, back: float
) -> None:
    phone = Phone(mail, await mail.client())
    code = await phone.code()
    mail.installation.clock.advance(-back)
    assert_wrong(await phone.redeem(code))


@pytest.mark.parametrize("jump", [8 * DAY, YEARS])
async def test_an_initial_token_that_was_refused_as_too_old_is_not_revived(
    installation: Installation, jump: float
) -> None:
    await let_register(installation, "acme", mode="initial_token")
    manager = await installation.manager("acme")
    made = await manager.post("/client-registration-tokens", {"max_uses": 5, "expires_in": 3600})
    assert (await ask_to_register(installation, "acme", token=made["token"])).status_code == 201
    for moved, expected in ((jump, 401), (-jump, 401), (-HOUR, 401)):
        installation.clock.advance(moved)
        assert (await ask_to_register(installation, "acme", token=made["token"])).status_code == expected


# --- Sessions and what is begun in a browser -------------------------------------------------------------------------


async def is_signed_in(rp: RelyingParty) -> bool:
    return "code" in await rp.silent()


@pytest.mark.parametrize("jump", [3 * DAY + HOUR, 8 * DAY, YEARS])  # idle, too old, and long ago
@pytest.mark.parametrize("prompt", ["none", None])
async def test_a_session_that_was_refused_as_over_is_not_revived(
    installation: Installation, jump: float, prompt: str | None
) -> None:
    rp = installation.relying_party("acme")
    tokens = await rp.sign_in()
    assert await is_signed_in(rp)
    installation.clock.advance(jump)
    await rp.authorize(prompt=prompt)
    assert rp.browser.landed is None or rp.landed["error"] == "login_required"
    installation.clock.advance(-jump)
    assert not await is_signed_in(rp)
    assert (await rp.refresh(tokens.refresh_token)).status == 200, "a line of its own"
    assert await rp.code()
    assert await is_signed_in(rp)


@pytest.mark.parametrize("jump", AHEAD)
async def test_a_session_that_nobody_came_with_meanwhile_goes_on(
    installation: Installation, jump: float
) -> None:
    rp = installation.relying_party("acme")
    await rp.sign_in()
    installation.clock.advance(jump)
    installation.clock.advance(-jump)
    assert await is_signed_in(rp)


@pytest.mark.parametrize("back", BACK)
async def test_a_session_of_a_clock_that_was_ahead_counts_for_nothing_until_then(
    installation: Installation, back: float
) -> None:
    rp = installation.relying_party("acme")
    await rp.sign_in()
    installation.clock.advance(-back)
    assert not await is_signed_in(rp)
    await rp.sign_in()
    assert await is_signed_in(rp)


async def test_a_use_while_the_clock_was_ahead_lets_nobody_stay_longer(installation: Installation) -> None:
    rp, file = installation.relying_party("acme"), file_of(installation.app.settings.data_dir, "acme")
    await rp.sign_in()
    [(end, idle)] = query(file, "SELECT expires_at, idle_expires_at FROM sessions")
    installation.clock.advance(HOUR)
    assert await is_signed_in(rp)
    installation.clock.advance(-HOUR)
    assert await is_signed_in(rp)
    [(end_now, idle_now)] = query(file, "SELECT expires_at, idle_expires_at FROM sessions")
    assert end_now == end
    assert idle <= idle_now < idle + MINUTE * 1000


@pytest.mark.parametrize("back", BACK)
async def test_a_sign_in_that_was_begun_ahead_is_begun_again(installation: Installation, back: float) -> None:
    rp = installation.relying_party("acme")
    await rp.authorize()
    installation.clock.advance(-back)
    page = await rp.browser.submit({"email": rp.user.email})
    assert page.status_code == 400
    assert await rp.code()


@pytest.mark.parametrize("jump", AHEAD)
async def test_who_got_a_new_password_while_the_clock_was_ahead_is_not_kept_out(
    installation: Installation, jump: float
) -> None:
    rp, old = installation.relying_party("acme"), installation.relying_party("acme")
    before = await rp.sign_in()
    installation.clock.advance(jump)
    installation._tokens.clear()
    manager = await installation.manager("acme")
    person = next(user for user in await manager.get("/users") if user["email"] == rp.user.email)
    await manager.patch(f"/users/{person['user_id']}", {"password": "seven unrelated words"})
    installation.clock.advance(-jump)
    rp.user = DemoUser(rp.user.email, "seven unrelated words")
    tokens = await rp.sign_in()
    assert await is_signed_in(rp)
    assert (await rp.userinfo(tokens.access_token)).status_code == 200
    assert (await rp.refresh(tokens.refresh_token)).status == 200
    assert (await old.userinfo(before.access_token)).status_code == 401
    assert (await old.refresh(before.refresh_token)).error == "invalid_grant"


@pytest.mark.parametrize("jump", AHEAD)
async def test_who_withdrew_their_consent_while_the_clock_was_ahead_may_give_it_again(
    installation: Installation, jump: float
) -> None:
    await let_register(installation, "acme", mode="open")
    client = await registered(installation, "acme", token_endpoint_auth_method="none")
    async with installation.browser() as http:
        party = stranger(installation, "acme", client, http=http)
        alone = {"scope": "openid read:invoices"}
        before = await party.redeem(await consented_code(party, **alone))
        assert (await party.userinfo(before.access_token)).status_code == 200
        installation.clock.advance(jump)
        installation._tokens.clear()
        manager = await installation.manager("acme")
        for grant in await manager.get("/grants", client_id=client["client_id"]):
            await manager.delete(f"/grants/{grant['id']}")
        installation.clock.advance(-jump)
        assert (await party.userinfo(before.access_token)).status_code == 401
        again = await party.redeem(await consented_code(party, **alone))
        assert (await party.userinfo(again.access_token)).status_code == 200
        assert (await party.userinfo(before.access_token)).status_code == 401


# --- Tokens that count more than once --------------------------------------------------------------------------------


@pytest.mark.parametrize("audience", ["api", None])
async def test_a_token_is_good_whenever_the_clock_says_so_and_never_before_it_was_made(
    installation: Installation, audience: str | None
) -> None:
    """Opaque or JWT: told apart by nothing but what they look like."""
    rp = installation.relying_party("acme")
    changes = {} if audience else {"audience": None, "scope": "openid"}
    token = (await rp.sign_in(**changes)).access_token
    assert ("." in token) is (audience is not None)
    for moved, expected in (
        (YEARS, 401),
        (-YEARS, 200),
        (-50, 200),
        (-20, 401),
        (-YEARS, 401),
        (YEARS + 70, 200),
    ):
        installation.clock.advance(moved)
        assert (await rp.userinfo(token)).status_code == expected, moved


# --- Two processes, five seconds apart -------------------------------------------------------------------------------


async def test_what_one_gives_out_the_other_takes_at_once(two: tuple[Installation, Installation]) -> None:
    for here, there in (two, two[::-1]):
        rp, same = here.relying_party("acme"), there.relying_party("acme", http=here.http)
        same.http = there.http
        assert await opens(same, await push(rp))
        await let_register(here, "acme", mode="initial_token")
        manager = await here.manager("acme")
        made = await manager.post("/client-registration-tokens", {"max_uses": 1})
        assert (await ask_to_register(there, "acme", token=made["token"])).status_code == 201
        await rp.authorize()
        there.http.cookies = here.http.cookies
        same.browser, rp.browser.http = rp.browser, there.http
        same.verifier = rp.verifier
        await rp.log_in()
        tokens = await same.redeem(rp.landed["code"])
        assert tokens.status == 200, tokens.body
        assert await is_signed_in(same)
        opaque = await rp.sign_in(audience=None, scope="openid")
        assert (await same.userinfo(opaque.access_token)).status_code == 200
        here.http.cookies.clear()
        there.http.cookies.clear()
