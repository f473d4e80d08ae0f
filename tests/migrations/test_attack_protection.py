"""A tenant that waits to be migrated is protected all the same: its failures are counted in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.migrations.behind import demo_of_an_earlier_release

pytestmark = pytest.mark.anyio


@pytest.fixture
async def behind(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Installation]:
    data = demo_of_an_earlier_release(golden, tmp_path / "data", version="0004", held=True)
    async with serving(settings_for(data), golden[1], None) as installation:
        yield installation


async def test_wrong_passwords_slow_down_whoever_types_them(behind: Installation) -> None:
    party = behind.relying_party("acme", "spa")
    await party.authorize()
    await party.browser.submit({"email": party.user.email})
    page = party.browser.response
    statuses = []
    for number in range(12):
        party.browser.response = page
        statuses.append((await party.browser.submit({"password": f"wrong {number}"})).status_code)
    assert statuses == [400] * 10 + [429] * 2
    behind.clock.advance(10)
    party.browser.response = page
    await party.browser.submit({"password": party.user.password})
    assert party.browser.landed is not None
    assert (await behind.relying_party("acme").silent()).get("code")


async def test_accounts_are_made_and_no_block_is_shown(behind: Installation) -> None:
    tenant, manager = behind.tenant("acme"), await behind.manager("acme")
    body = {
        "client_id": tenant.clients["spa"].client_id,
        "connection": "Username-Password-Authentication",
        "email": "new@example.org",
        "password": "five plain words nobody knows",
    }
    assert (await behind.http.post(f"{tenant.issuer}dbconnections/signup", json=body)).status_code == 200
    assert await manager.get("/user-blocks", identifier="new@example.org") == {"blocked_for": []}
    assert await manager.status("DELETE", "/user-blocks?identifier=new@example.org") == 204
