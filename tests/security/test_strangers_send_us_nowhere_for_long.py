"""Calls that this server makes because a stranger said so are few: they share their places with everybody's."""

from pathlib import Path

import pytest

from entrypoints.demo_content import CALLBACK, Demo
from tests.conftest import serving, settings_for
from tests.elsewhere import elsewhere
from tests.installation import Installation
from tests.registrations import ask_to_register, let_register, registered

pytestmark = pytest.mark.anyio

TEN_MINUTES = 60


async def test_nothing_is_fetched_for_a_registration_without_a_good_token(
    golden: tuple[Path, Demo], data_dir: Path
) -> None:
    async with elsewhere() as host:
        settings = settings_for(data_dir, outbound_allowed=frozenset({host.host}))
        async with serving(settings, golden[1]) as installation:
            sector = host.put("/sector.json", [CALLBACK])
            for mode in ("initial_token", "open"):
                await let_register(installation, "acme", mode=mode)
                answer = await ask_to_register(
                    installation, "acme", token="made-up", sector_identifier_uri=sector
                )
                assert answer.status_code == 401
            assert host.asked == []
            assert (
                await ask_to_register(installation, "acme", sector_identifier_uri=sector)
            ).status_code == 201
            assert host.asked == ["/sector.json"]


async def test_a_registered_client_changes_itself_so_often_and_no_more(installation: Installation) -> None:
    """Each change makes every process read the tenant's configuration anew."""
    await let_register(installation, "acme", mode="open")
    client = await registered(installation, "acme")
    url = f"{installation.tenant('acme').issuer}oidc/register/{client['client_id']}"
    bearer = {"Authorization": f"Bearer {client['registration_access_token']}"}
    statuses = []
    for number in range(TEN_MINUTES + 1):
        said = {"client_id": client["client_id"], "redirect_uris": [CALLBACK], "client_name": f"No. {number}"}
        statuses.append((await installation.http.put(url, json=said, headers=bearer)).status_code)
    assert statuses == [200] * TEN_MINUTES + [429]
    assert (await installation.http.get(url, headers=bearer)).json()["client_name"] == "No. 59"
    assert (await installation.http.delete(url, headers=bearer)).status_code == 204
