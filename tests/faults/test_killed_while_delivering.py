"""F31: servers that die, or work beside each other, between a logout and its delivery."""

import asyncio
import json
import sqlite3
from contextlib import AsyncExitStack, closing
from typing import Any

import httpx
import pytest

from core.failpoints import EXIT_STATUS
from tests.faults.checks import file_of, query
from tests.faults.conftest import Ground
from tests.faults.servers import Server, serving, two_serving
from tests.receivers import Receiver, receiving
from tests.relying_party import RelyingParty, payload
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults]


def let_receive(ground: Ground, receiver: Receiver) -> dict[str, str]:
    """The demo's web client has a receiver; answers the settings of servers that may call it."""
    logout = json.dumps({"backchannel_logout_urls": [receiver.url("/logout")]})
    web = ground.demo.tenants[0].clients["web"].client_id
    change(ground, "UPDATE clients SET oidc_logout = ? WHERE client_id = ?", logout, web)
    return {"OUTBOUND_ALLOWED": receiver.address}


def change(ground: Ground, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(file_of(ground.data, ground.demo.tenants[0].id), timeout=10)) as connection:
        connection.execute(statement, values)
        connection.commit()


def rows_of(ground: Ground, columns: str) -> list[tuple[Any, ...]]:
    return query(file_of(ground.data, ground.demo.tenants[0].id), f"SELECT {columns} FROM deliveries")


def jtis(receiver: Receiver) -> list[str]:
    return [payload(sent.form["logout_token"][0])["jti"] for sent in receiver.sent]


async def sign_in_and_out(ground: Ground, server: Server) -> None:
    async with server.client() as http:
        await sign_out(*await sign_in(ground, http))


async def sign_in(ground: Ground, http: httpx.AsyncClient) -> tuple[RelyingParty, str]:
    tenant = ground.demo.tenants[0]
    party = RelyingParty(http, tenant.issuer, tenant.clients["web"], tenant.api_audience, tenant.users[0])
    return party, (await party.sign_in()).body["id_token"]


async def sign_out(party: RelyingParty, hint: str) -> None:
    response = await party.http.get(f"{party.issuer}oidc/logout", params={"id_token_hint": hint})
    assert response.status_code == 200
    assert (await party.silent())["error"] == "login_required"


async def test_a_server_that_is_killed_before_it_could_deliver_delivers_in_its_next_life(
    ground: Ground,
) -> None:
    receiver = Receiver()
    async with receiving(receiver):
        pass  # its port, and nobody there
    settings = let_receive(ground, receiver)
    async with serving(ground.data, **settings) as server:
        await sign_in_and_out(ground, server)

        async def has_failed() -> bool:
            return rows_of(ground, "last_error") == [("ConnectError",)]

        await until(has_failed)
        server.kill()
    async with receiving(receiver, port=receiver.port), serving(ground.data, **settings):
        await receiver.arrivals(1, 20)
        await until(lambda: delivered(ground))
        assert jtis(receiver) == [rows_of(ground, "id")[0][0]]


async def sign_in_and_out_for_ever(ground: Ground, server: Server) -> None:
    while True:
        await sign_in_and_out(ground, server)


async def delivered(ground: Ground) -> bool:
    return [row for (row,) in rows_of(ground, "delivered_at IS NOT NULL") if not row] == []


async def test_a_server_that_dies_before_it_noted_the_answer_sends_the_same_message_again(
    ground: Ground,
) -> None:
    async with receiving(Receiver()) as receiver:
        settings = let_receive(ground, receiver)
        async with serving(ground.data, "deliveries.sent=exit", **settings) as server:
            with pytest.raises(httpx.TransportError):
                await sign_in_and_out_for_ever(ground, server)
            assert await server.ended() == EXIT_STATUS
        waiting = rows_of(ground, "id, leased_until")
        change(ground, "UPDATE deliveries SET leased_until = 1")  # its time passes
        first = len(receiver.sent)
        async with serving(ground.data, **settings):
            await receiver.arrivals(first + len(waiting), 20)
            await until(lambda: delivered(ground))
        assert set(jtis(receiver)) == {row[0] for row in waiting}


async def test_two_servers_share_a_queue_and_send_nothing_twice(ground: Ground) -> None:
    async with receiving(Receiver(delay=0.1)) as receiver:
        settings = let_receive(ground, receiver)
        async with two_serving(ground.data, **settings) as servers:
            async with AsyncExitStack() as stack:
                browsers = [await stack.enter_async_context(servers[n % 2].client()) for n in range(12)]
                parties = [await sign_in(ground, http) for http in browsers]
                await asyncio.gather(*(sign_out(party, hint) for party, hint in parties))
            await until(lambda: delivered(ground))
        assert len(jtis(receiver)) == len(set(jtis(receiver))) == 12
        assert rows_of(ground, "max(attempts)") == [(1,)]
