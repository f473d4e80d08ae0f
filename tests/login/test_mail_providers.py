"""By whose server a tenant's letters go: its own, tenant one's, or the installation's, and none waits for another's."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from entrypoints.demo_content import Demo
from tests.authority import new_authority
from tests.mailbox import SENDER, Mailed, mailed
from tests.smtp import smtp_server

pytestmark = pytest.mark.anyio

PROVIDER = "/emails/provider"
PASSWORD = "only for the server"


def provider(port: int, sender: str = "Acme <post@acme.example.com>", **more: Any) -> dict[str, Any]:
    credentials = {"smtp_host": "127.0.0.1", "smtp_port": port, **more}
    return {"name": "smtp", "default_from_address": sender, "credentials": credentials}


async def forgot(mail: Mailed, tenant_id: str = "acme", **headers: str) -> httpx.Response:
    """Somebody asks for a link; the letter is sent in the background."""
    tenant = mail.tenant(tenant_id)
    body = {
        "client_id": tenant.clients["spa"].client_id,
        "connection": "Username-Password-Authentication",
        "email": tenant.users[0].email,
    }
    url = f"{tenant.issuer}dbconnections/change_password"
    answer = await mail.http.post(url, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def allowing(*ports: int) -> dict[str, Any]:
    return {"outbound_allowed": frozenset(f"127.0.0.1:{port}" for port in ports)}


@asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Takes every connection and says nothing, until it is over."""
    over = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], over
        over.set()


async def test_a_tenants_own_provider_sends_under_tls_as_its_user_and_over_a_kept_connection(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    authority = new_authority(tmp_path)
    async with smtp_server(tls=authority.server, credentials=("acme", PASSWORD)) as own:
        settings = {**allowing(own.port), "outbound_authorities": authority.file}
        async with mailed(golden, tmp_path, **settings) as mail:
            manager = await mail.installation.manager("acme")
            await manager.post(PROVIDER, provider(own.port, smtp_user="acme", smtp_pass=PASSWORD))
            await forgot(mail)
            await mail.settle()
            await forgot(mail)
            await mail.settle()
            await forgot(mail, "globex")
            await mail.settle("globex")
            assert [letter.was_encrypted for letter in own.received] == [True, True]
            assert own.received[0].sender == "post@acme.example.com"
            assert own.received[0].message["from"] == "Acme <post@acme.example.com>"
            assert len(own.greetings) == 2  # before and after STARTTLS, of one connection for both letters
            assert [letter.recipients for letter in mail.server.received] == [
                (mail.tenant("globex").users[0].email,)
            ]
            await manager.delete(PROVIDER)
            await forgot(mail)
            await mail.settle()
            assert len(mail.server.received) == 2
            assert mail.server.received[1].message["from"] == f"Acme <{SENDER.partition('<')[2]}"


async def test_tenant_ones_provider_sends_for_all_who_have_none_and_nobody_there_sees_it(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with (
        smtp_server(credentials=("all", PASSWORD)) as shared,
        smtp_server() as own,
        mailed(golden, tmp_path, smtp_url=None, **allowing(shared.port, own.port)) as mail,
    ):
        tenant = mail.tenant()
        url = f"{tenant.issuer}dbconnections/change_password"
        body = {
            "client_id": tenant.clients["spa"].client_id,
            "connection": "Username-Password-Authentication",
            "email": tenant.users[0].email,
        }
        refused = await mail.http.post(url, json=body)
        assert (refused.status_code, "does not send mail" in refused.text) == (400, True)
        operator = await mail.installation.operator()
        said = provider(shared.port, "Everybody <all@one.example.com>", smtp_user="all", smtp_pass=PASSWORD)
        await operator.post(PROVIDER, said)
        lifecycle = mail.installation.running.platform.lifecycle
        assert await lifecycle.wait_synced() == 0
        await forgot(mail)
        await mail.settle()
        [letter] = shared.received
        assert letter.sender == "all@one.example.com"
        assert letter.message["from"].addresses[0].display_name == "Acme"
        manager = await mail.installation.manager("acme")
        assert await manager.status("GET", PROVIDER) == 404
        shown = await manager.get(PROVIDER, include_provenance="true")
        assert shown.keys() == {"name", "enabled", "provenance"}
        await manager.post(PROVIDER, provider(own.port))
        await forgot(mail)
        await mail.settle()
        assert (len(shared.received), len(own.received)) == (1, 1)
        rows = await mail.rows("acme", "SELECT value FROM settings WHERE key = 'emails:provider'")
        assert len(rows) == 2
        assert PASSWORD not in str(rows)


async def test_a_server_that_is_slow_or_gone_delays_no_other_tenants_letters(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        gone = probe.getsockname()[1]
    async with silent_server() as (silent, over), mailed(golden, tmp_path, **allowing(silent, gone)) as mail:
        await (await mail.installation.manager("acme")).post(PROVIDER, provider(silent))
        await (await mail.installation.manager("initech")).post(PROVIDER, provider(gone))
        for _ in range(4):
            await forgot(mail)
            await forgot(mail, "initech")
        await forgot(mail, "globex")
        await mail.server.letters(1)
        [row] = await mail.rows("initech", "SELECT DISTINCT last_error FROM deliveries")
        assert "reached" in row.last_error
        waiting = "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL"
        assert [tuple(row) for row in await mail.rows("acme", waiting)] == [(4,)]
        over.set()


async def test_who_is_refused_for_good_is_given_up_and_the_tenants_log_says_so(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with (
        smtp_server(refuse=lambda _: "550 no such user") as own,
        mailed(golden, tmp_path, **allowing(own.port)) as mail,
    ):
        await (await mail.installation.manager("acme")).post(PROVIDER, provider(own.port))
        await forgot(mail)
        await mail.settle()
        [row] = await mail.rows("acme", "SELECT last_error, failed_at FROM deliveries")
        assert ("550" in row.last_error, row.failed_at is not None) == (True, True)
        assert len(await mail.rows("acme", "SELECT 1 FROM log_events WHERE type = 'fn'")) == 1
        assert mail.server.received == []


async def test_a_name_that_leads_inside_by_the_time_of_the_letter_is_not_followed(
    golden: tuple[Path, Demo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad inputs 119: what was public when it was saved is looked up and judged again at every connection."""
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host == "mail.acme.example.com" else host, port, *args, **more)

    async with smtp_server() as inside, mailed(golden, tmp_path) as mail:
        said = provider(inside.port)
        said["credentials"]["smtp_host"] = "mail.acme.example.com"
        await (await mail.installation.manager("acme")).post(PROVIDER, said)
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        await forgot(mail)
        await mail.settle()
        assert (inside.greetings, mail.server.received) == ([], [])
        [row] = await mail.rows("acme", "SELECT last_error FROM deliveries")
        assert "not a public one" in row.last_error
