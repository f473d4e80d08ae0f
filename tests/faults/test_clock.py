"""F23: the clock jumps ahead and back, stands still, differs between processes, and passes 2038."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from core.crypto import jwt
from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.faults.checks import file_of, query
from tests.installation import Installation, MovableClock
from tests.keyholders import keyholder, kid_of, stolen_key
from tests.relying_party import payload

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

HOUR, DAY = 3600, 86400
YEARS = 3653 * DAY
JUMPS = [HOUR, YEARS]
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
async def two(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[tuple[Installation, Installation]]:
    """Two applications on one data folder, the second of which is five seconds ahead."""
    data = tmp_path / "data"
    shutil.copytree(golden[0], data, ignore=shutil.ignore_patterns("generations", "workers"))
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(serving(settings_for(data), golden[1])) for _ in range(2)
        ]
        second.clock.advance(5)
        yield first, second


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_code_that_was_refused_as_too_old_is_not_revived(
    installation: Installation, jump: float
) -> None:
    rp = installation.relying_party("acme")
    code = await rp.code()
    installation.clock.advance(jump)
    assert (await rp.redeem(code)).error == "invalid_grant"
    installation.clock.advance(-jump)
    again = await rp.redeem(code)
    assert (again.status, again.error) == (400, "invalid_grant")


@pytest.mark.parametrize("back", [62, HOUR, YEARS])
async def test_a_code_does_not_live_longer_because_the_clock_was_set_back(
    installation: Installation, back: float
) -> None:
    rp = installation.relying_party("acme")
    code = await rp.code()
    installation.clock.advance(-back)
    assert (await rp.redeem(code)).error == "invalid_grant"
    assert (await rp.redeem(await rp.code(prompt="login"))).status == 200


@pytest.mark.parametrize("jump", [16 * DAY, 31 * DAY, YEARS])
async def test_a_refresh_token_that_was_refused_as_too_old_is_not_revived(
    installation: Installation, jump: float
) -> None:
    rp = installation.relying_party("acme")
    tokens = await rp.sign_in()
    installation.clock.advance(jump)
    assert (await rp.refresh(tokens.refresh_token)).error == "invalid_grant"
    installation.clock.advance(-jump)
    for _ in range(2):
        again = await rp.refresh(tokens.refresh_token)
        assert (again.status, again.error) == (400, "invalid_grant")
    assert again.body["error_description"] == "The refresh token has expired."
    assert (await rp.userinfo(tokens.access_token)).status_code == 200, "which has an end of its own"


async def test_a_device_code_that_was_refused_as_too_old_is_not_revived(installation: Installation) -> None:
    holder = keyholder(installation)
    body = {"name": "Screen", "app_type": "native", "grant_types": [DEVICE]}
    made = await holder.call("POST", "/clients", body)
    client = {"client_id": made.json()["client_id"]}
    issuer = holder.tenant.issuer
    codes = (await holder.http.post(f"{issuer}oauth/device/code", data={**client, "scope": "openid"})).json()
    form = {**client, "grant_type": DEVICE, "device_code": codes["device_code"]}

    async def error() -> str:
        return str((await holder.http.post(f"{issuer}oauth/token", data=form)).json()["error"])

    assert await error() == "authorization_pending"
    installation.clock.advance(YEARS)
    assert await error() == "expired_token"
    for back in (YEARS, HOUR):
        installation.clock.advance(-back)
        assert await error() == "expired_token"


async def test_an_expired_refresh_token_of_another_client_is_left_as_it_is(
    installation: Installation,
) -> None:
    rp, other = installation.relying_party("acme"), installation.relying_party("acme", "web2")
    tokens = await rp.sign_in()
    installation.clock.advance(YEARS)
    assert (await other.refresh(tokens.refresh_token)).error == "invalid_grant"
    installation.clock.advance(-YEARS)
    assert (await rp.refresh(tokens.refresh_token)).status == 200


async def test_nothing_lives_longer_because_the_clock_was_set_back(installation: Installation) -> None:
    """A use while the clock is behind does not move an end, and the first use stays the first."""
    rp = installation.relying_party("acme")
    tokens = await rp.sign_in()
    (before,) = _ends(installation)
    installation.clock.advance(-HOUR)
    refreshed = await rp.refresh(tokens.refresh_token)
    assert refreshed.status == 200
    (after,) = _ends(installation)
    assert after[0] == before[0]
    assert after[1] <= before[1]
    assert (await rp.refresh(tokens.refresh_token)).error == "invalid_grant", (
        "used is used, whenever that was"
    )
    assert (await rp.refresh(refreshed.refresh_token)).error == "invalid_grant"


async def test_a_rotation_while_the_clock_is_years_behind_leaves_every_token_verifiable(
    installation: Installation,
) -> None:
    """A machine that starts without its battery, until it has asked for the time."""
    holder = keyholder(installation)
    token = await holder.api_token()
    await installation.running.services.audit.flush()
    installation.clock.advance(-YEARS)
    await holder.rotate(immediately=True)
    meanwhile = await holder.api_token()
    installation.clock.advance(YEARS)
    assert await holder.verifies(await holder.api_token())
    assert await holder.verifies(token)
    assert kid_of(token) != kid_of(meanwhile)
    installation.clock.advance(30 * DAY)
    assert await holder.verifies(token)


async def test_how_far_ahead_an_issuer_may_be_is_bounded(installation: Installation) -> None:
    holder, key = keyholder(installation), await stolen_key(installation)
    claims, now = payload(await holder.token()), int(installation.clock.now())
    for ahead, expected in ((50, 200), (90, 401), (HOUR, 401)):
        for name in ("iat", "nbf"):
            early = jwt.sign({**claims, "iat": now, name: now + ahead}, key, typ="at+jwt")
            assert (await holder.call("GET", "/roles", token=early)).status_code == expected, (name, ahead)
    over = jwt.sign({**claims, "exp": now}, key, typ="at+jwt")
    assert (await holder.call("GET", "/roles", token=over)).status_code == 401, "no leeway for an end"


async def test_a_token_of_a_clock_that_ran_ahead_is_refused_until_its_time(
    installation: Installation,
) -> None:
    holder = keyholder(installation)
    installation.clock.advance(HOUR)
    token = await holder.token()
    installation.clock.advance(-HOUR)
    assert (await holder.call("GET", "/roles", token=token)).status_code == 401
    installation.clock.advance(HOUR)
    assert (await holder.call("GET", "/roles", token=token)).status_code == 200


@pytest.mark.parametrize("seconds", [HOUR, -HOUR, YEARS, -YEARS, 13 * 365 * DAY])
async def test_wherever_the_clock_goes_people_sign_in_and_the_log_is_written(
    installation: Installation, seconds: float
) -> None:
    rp, holder = installation.relying_party("acme"), keyholder(installation)
    await rp.sign_in()
    installation.clock.advance(seconds)
    for _ in range(2):  # there, and back again
        tokens = await rp.sign_in(prompt="login")
        assert (await rp.userinfo(tokens.access_token)).status_code == 200
        refreshed = await rp.refresh(tokens.refresh_token)
        assert refreshed.status == 200
        await holder.rotate()
        made = await holder.call("POST", "/roles", {"name": f"role {installation.clock.offset}"})
        assert made.status_code == 201
        await asyncio.wait_for(installation.running.services.audit.flush(), 5)
        count = query(
            file_of(installation.app.settings.data_dir, "acme"),
            "SELECT count(*) FROM log_events WHERE abs(created_at - ?) < 60000",
            int(installation.clock.now() * 1000),
        )
        assert count[0][0] >= 4
        installation.clock.advance(-seconds)
    health = await installation.http.get("http://localhost:8000/health")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})


async def test_a_tenant_is_made_and_follows_the_catalogue_whatever_the_clock_did(
    installation: Installation,
) -> None:
    """Leases and next attempts are the registry's rows: one of a future time must not hold anybody up."""
    operator = await installation.operator()
    await operator.post("/tenants", {"id": "before", "display_name": "Before"})
    installation.clock.advance(HOUR)
    installation._tokens.clear()
    operator = await installation.operator()
    await operator.post("/roles", {"name": "Made an hour ahead"}, wait="sync")
    installation.clock.advance(-HOUR)
    installation._tokens.clear()
    operator = await installation.operator()
    await operator.post("/tenants", {"id": "after", "display_name": "After"})
    await operator.post("/roles", {"name": "Made back in time"}, wait="sync")
    for tenant in ("before", "after", "acme"):
        names = query(file_of(installation.app.settings.data_dir, tenant), "SELECT name FROM roles")
        assert {("Made an hour ahead",), ("Made back in time",)} <= set(names)


async def test_processes_five_seconds_apart_agree(two: tuple[Installation, Installation]) -> None:
    first, second = two
    here, there = keyholder(first), keyholder(second)
    rp, same = first.relying_party("acme"), second.relying_party("acme")
    tokens = await same.sign_in()
    assert (await rp.userinfo(tokens.access_token)).status_code == 200, "issued five seconds from now"
    assert (await same.refresh(tokens.refresh_token)).status == 200
    made = (await there.rotate())["kid"]
    assert (await here.rotate())["kid"] == made
    for moved in two:
        moved.clock.advance(DAY - 2)
    assert kid_of(await there.token()) == made, "due for the one that is ahead"
    token = await here.token()
    assert kid_of(token) == made, "done is done for the other"
    assert await there.verifies(token)
    assert await here.published() == await there.published()


async def test_processes_five_seconds_apart_retire_a_key_once(
    two: tuple[Installation, Installation],
) -> None:
    first, second = two
    here, there = keyholder(first), keyholder(second)
    (old,) = await here.published()
    await here.rotate(immediately=True)
    for moved in two:
        moved.clock.advance(30 * DAY + HOUR - 2)
    for _ in range(3):
        assert old not in await there.published()
        assert old not in await here.published()
    told = query(
        file_of(first.app.settings.data_dir, "acme"),
        "SELECT count(*) FROM log_events WHERE type = 'signing_keys'",
    )
    assert told == [(1,)]


async def test_a_clock_that_stands_still_stops_nobody(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = installation.clock.now()
    monkeypatch.setattr(MovableClock, "now", lambda _: moment)
    rp, holder = installation.relying_party("acme"), keyholder(installation)
    tokens = await rp.sign_in()
    for _ in range(3):
        tokens = await rp.refresh(tokens.refresh_token)
        assert tokens.status == 200
    assert len({payload(await holder.token())["jti"] for _ in range(3)}) == 3
    await holder.rotate(immediately=True)
    assert await holder.verifies(await holder.token())


def _ends(installation: Installation) -> list[tuple[int, int]]:
    file = file_of(installation.app.settings.data_dir, "acme")
    return [
        (int(end), int(idle))
        for end, idle in query(file, "SELECT expires_at, idle_expires_at FROM refresh_families")
    ]
