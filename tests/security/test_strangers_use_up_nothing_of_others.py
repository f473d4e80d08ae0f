"""What one caller does without proving anything takes nothing from everybody else: neither bounds nor places."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from entrypoints.demo_content import CALLBACK, Demo
from tenant_runtime.configuration import configuration
from tenant_runtime.oauth.clients import documents
from tenant_runtime.registration import rates
from tenant_runtime.registration.rates import Rate
from tests.elsewhere import Elsewhere
from tests.installation import Installation
from tests.mailbox import Mailed, mailed
from tests.protocol.phone import Phone
from tests.protocol.test_client_id_metadata_documents import Both, beside, known, party_of, publish
from tests.registrations import ask_to_register, consented_code, let_register

pytestmark = pytest.mark.anyio

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CODES = 60


@pytest.fixture
async def both(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Both]:
    async with beside(tmp_path, golden) as opened:
        yield opened


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path) as made:
        yield made


@asynccontextmanager
async def caller(installation: Installation, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody elsewhere in the world."""
    transport = httpx.ASGITransport(installation.app, client=(address, 50000))
    async with httpx.AsyncClient(transport=transport) as http:
        yield http


async def make_up(installation: Installation, *client_ids: str) -> None:
    url = f"{installation.tenant('acme').issuer}authorize"
    await asyncio.gather(
        *(installation.http.get(url, params={"client_id": client_id}) for client_id in client_ids)
    )


# --- Bounds --------------------------------------------------------------------------------------------------------


async def test_made_up_names_make_nobody_forget_what_was_counted(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation, _ = both
    monkeypatch.setattr(rates, "REMEMBERED", 100)
    await let_register(installation, "acme", mode="open", client_id_metadata_documents=True)
    statuses = [(await ask_to_register(installation, "acme")).status_code for _ in range(61)]
    assert statuses == [201] * 60 + [429]
    await make_up(installation, *(f"https://h{number}.invalid/x" for number in range(150)))
    assert (await ask_to_register(installation, "acme")).status_code == 429
    assert len(installation.running.services.rates) < 100, "what is refused is not remembered either"


async def test_addresses_of_one_network_are_one_caller(installation: Installation) -> None:
    """Whoever has one address of IPv6 has the others of its network, a new one for each call."""
    await let_register(installation, "acme", mode="open")
    statuses = []
    for number in range(61):
        async with caller(installation, f"2001:db8:1:2::{number:x}") as http:
            url = f"{installation.tenant('acme').issuer}oidc/register"
            statuses.append((await http.post(url, json={"redirect_uris": [CALLBACK]})).status_code)
    assert statuses == [201] * 60 + [429]


# --- Documents -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["everywhere", "at its own host"])
async def test_a_client_that_is_known_by_its_document_stays_known_whatever_others_make_up(
    both: Both, where: str
) -> None:
    installation, host = both
    client_id = publish(host)
    made_up = [
        host.address(f"/{number}") if where == "at its own host" else f"https://h{number}.invalid/x"
        for number in range(61)
    ]
    async with installation.browser() as http:
        party = party_of(installation, client_id, http)
        answer = await party.redeem(await consented_code(party))
        installation.clock.advance(7201)
        await make_up(installation, *made_up)
        host.asked.clear()
        refreshed = await party.refresh(answer.refresh_token)
        assert refreshed.status == 200, refreshed.body
        assert host.asked == ["/app/client.json"]


async def test_documents_that_somebody_keeps_fresh_make_room_like_any_that_nobody_uses(both: Both) -> None:
    installation, host = both
    await let_register(installation, "acme", client_id_metadata_documents=True, max_clients=3)
    mine = [_short(host, number) for number in range(3)]
    await make_up(installation, *mine)
    for name in ("first", "second"):
        for _ in range(7):
            installation.clock.advance(600)
            await make_up(installation, *mine)
        async with installation.browser() as http:
            page = await party_of(installation, publish(host, f"/{name}.json"), http).authorize()
        assert page.status_code == 200, page.text
    assert host.address("/second.json") in await known(installation)


async def test_documents_that_are_fresh_for_minutes_are_not_written_every_few_minutes(both: Both) -> None:
    """Each write makes every process read the tenant's configuration anew."""
    installation, host = both
    client_id = _short(host, 1)
    versions = []
    for _ in range(13):
        await make_up(installation, client_id)
        versions.append(await version(installation))
        installation.clock.advance(301)
    assert len(host.asked) == 13
    assert versions[-1] - versions[0] == 1, "once in the hour"
    host.put("/mine1", {}, status=503)
    await make_up(installation, client_id)
    asked = {"client_id": client_id, "grant_type": "refresh_token", "refresh_token": "x"}
    answer = await installation.http.post(f"{installation.tenant('acme').issuer}oauth/token", data=asked)
    assert answer.json()["error"] == "invalid_grant", "still known"


async def test_documents_that_change_all_the_time_change_the_tenant_so_often_and_no_more(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation, host = both
    monkeypatch.setattr(documents, "CHANGES", Rate(3, 60))
    mine = [_short(host, number) for number in range(5)]
    for client_id in mine:
        await make_up(installation, client_id)
    assert sorted(await known(installation)) == sorted(mine)
    installation.clock.advance(301)
    for number in range(5):
        publish(host, f"/mine{number}", client_name="Changed", answered={"cache_control": "max-age=0"})
    for changed in (3, 5):
        for client_id in mine:
            await make_up(installation, client_id)
        assert (await names(installation)).count("Changed") == changed
        installation.clock.advance(61)


async def names(installation: Installation) -> list[str]:
    clients = await (await installation.manager("acme")).get("/clients", per_page=100)
    return [client["name"] for client in clients]


async def version(installation: Installation) -> int:
    tenant = await installation.running.platform.directory.by_id("acme")
    assert tenant is not None
    return (await configuration(tenant)).version


def _short(host: Elsewhere, number: int) -> str:
    return publish(host, f"/mine{number}", answered={"cache_control": "max-age=0"})


# --- Letters and codes ---------------------------------------------------------------------------------------------


async def test_one_caller_leaves_the_tenants_letters_to_others(mail: Mailed) -> None:
    """Nor does one mailbox with many names get a hundred at once."""
    phone = Phone(mail, await mail.client())
    statuses = [(await phone.start(f"victim+{number}@example.org")).status_code for number in range(40)]
    assert statuses == [200] * 30 + [429] * 10
    async with caller(mail.installation, "203.0.113.7") as http:
        body = {**phone.credentials, "connection": "email", "email": "ada@example.org", "send": "code"}
        assert (await http.post(f"{phone.issuer}passwordless/start", json=body)).status_code == 200
        asked = {
            "client_id": phone.client["client_id"],
            "email": mail.tenant().users[0].email,
            "connection": "Username-Password-Authentication",
        }
        answer = await http.post(f"{phone.issuer}dbconnections/change_password", json=asked)
        assert answer.status_code == 200


async def test_one_caller_leaves_a_clients_device_codes_to_others(installation: Installation) -> None:
    manager, tenant = await installation.manager("acme"), installation.tenant("acme")
    client = await manager.post(
        "/clients",
        {"name": "TV", "app_type": "native", "token_endpoint_auth_method": "none", "grant_types": [DEVICE]},
    )
    url, asked = f"{tenant.issuer}oauth/device/code", {"client_id": client["client_id"]}
    answers = [await installation.http.post(url, data=asked) for _ in range(CODES + 1)]
    assert [answer.status_code for answer in answers] == [200] * CODES + [429]
    assert int(answers[-1].headers["retry-after"]) <= 300
    async with caller(installation, "203.0.113.7") as http:
        assert (await http.post(url, data=asked)).status_code == 200


# --- Accounts ------------------------------------------------------------------------------------------------------


async def test_the_bound_of_sign_ups_holds_for_both_doors_and_for_one_caller(
    installation: Installation,
) -> None:
    """An answer tells whether an address is taken, and each costs the hash of a password."""
    stage = {"pre-user-registration": {"max_attempts": 10, "rate": 60_000}}
    manager = await installation.manager("acme")
    await manager.patch("/attack-protection/suspicious-ip-throttling", {"stage": stage})
    tenant, password = installation.tenant("acme"), "seven unrelated words"
    url, body = f"{tenant.issuer}dbconnections/signup", {"connection": "Username-Password-Authentication"}
    asked = {**body, "client_id": tenant.clients["spa"].client_id, "password": password}
    taken = {**asked, "email": tenant.users[0].email}
    async with installation.browser() as http:
        party = installation.relying_party("acme", "spa", http=http)
        await party.authorize(screen_hint="signup")
        for _ in range(9):
            assert (await installation.http.post(url, json=taken)).status_code == 400
        refused = await party.browser.submit({"email": tenant.users[0].email, "password": password})
        assert refused.status_code == 400
        refused = await party.browser.submit({"email": "new@example.org", "password": password})
        assert (refused.status_code, party.browser.landed) == (429, None)
        assert 0 < int(refused.headers["retry-after"]) <= 600
    new = {**asked, "email": "new@example.org"}
    assert (await installation.http.post(url, json=new)).status_code == 429
    async with caller(installation, "203.0.113.7") as http:
        assert (await http.post(url, json=new)).status_code == 200
