"""Calls that this server makes because a stranger said so are few: they share their places with everybody's."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from entrypoints.demo_content import CALLBACK, Demo
from tests.conftest import serving, settings_for
from tests.elsewhere import elsewhere
from tests.installation import Installation
from tests.protocol.requesters import unsigned
from tests.receivers import Receiver, receiving
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


async def test_strangers_whose_keys_are_slow_leave_room_for_others(
    golden: tuple[Path, Demo], data_dir: Path
) -> None:
    """Anybody may send a request in the name of each, and so have all of them asked for their keys."""
    receivers = [Receiver(delay=1.0) for _ in range(3)]
    async with AsyncExitStack() as stack:
        for receiver in receivers:
            await stack.enter_async_context(receiving(receiver))
        settings = settings_for(data_dir, outbound_allowed=frozenset(one.address for one in receivers))
        installation = await stack.enter_async_context(serving(settings, golden[1]))
        await let_register(installation, "acme", mode="open")
        urls = [receiver.url(f"/{number}") for receiver in receivers[:2] for number in range(6)]
        clients = [await registered(installation, "acme", jwks_uri=url) for url in urls]
        manager, own = await installation.manager("acme"), receivers[2].url("/own")
        body = {"name": "Own", "app_type": "regular_web", "callbacks": [CALLBACK], "jwks_uri": own}
        clients.append(await manager.post("/clients", body))
        answers = await asyncio.gather(*(ask_in_its_name(installation, client) for client in clients))
        assert {answer.status_code for answer in answers} == {400}
        assert [receiver.connections for receiver in receivers] == [6, 2, 1]


async def ask_in_its_name(installation: Installation, client: dict[str, Any]) -> httpx.Response:
    client_id = client["client_id"]
    asked = {"client_id": client_id, "request": unsigned({"client_id": client_id}, "ES256", "A" * 86)}
    return await installation.http.get(f"{installation.tenant('acme').issuer}authorize", params=asked)
