"""F31: servers that die, or work beside each other, while log streams and webhooks are sent."""

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest

from core.failpoints import EXIT_STATUS
from tests.faults.checks import file_of, query
from tests.faults.conftest import Ground
from tests.faults.servers import Server, serving, two_serving
from tests.operators import Caller, machine_token
from tests.receivers import Receiver, receiving
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults]


class Reader:
    """A receiver of log events, and what it should have got."""

    def __init__(self, ground: Ground, receiver: Receiver) -> None:
        self.ground = ground
        self.receiver = receiver
        self.tenant = ground.demo.tenants[0]
        self.settings = {"OUTBOUND_ALLOWED": receiver.address}

    async def caller(self, http: httpx.AsyncClient) -> Caller:
        tenant = self.tenant
        return Caller(
            http,
            await machine_token(http, tenant.issuer, tenant.clients["m2m"], tenant.management_audience),
        )

    async def post(self, server: Server, path: str, body: Any) -> None:
        async with server.client() as http:
            answer = await (await self.caller(http)).call("POST", f"{self.tenant.issuer}api/v2{path}", body)
            assert answer.status_code == 201, answer.text

    async def listen(self, server: Server) -> None:
        sink = {"httpEndpoint": self.receiver.url("/logs"), "httpContentFormat": "JSONARRAY"}
        await self.post(server, "/log-streams", {"name": "N", "type": "http", "sink": sink})

    async def hook(self, server: Server) -> None:
        configuration = {"webhook_endpoint": self.receiver.url("/hook")}
        body = {
            "subscriptions": [{"event_type": "user.created"}],
            "destination": {"type": "webhook", "configuration": configuration},
        }
        await self.post(server, "/event-streams", body)

    async def make_users(self, server: Server, numbers: range) -> list[str]:
        """Until the server is gone; answers those of which it said that they are made."""
        made = []
        async with server.client() as http:
            caller = await self.caller(http)
            for number in numbers:
                body = {"email": f"user{number}@streams.example"}
                try:
                    answer = await caller.call("POST", f"{self.tenant.issuer}api/v2/users", body)
                except httpx.TransportError:
                    break
                assert answer.status_code == 201, answer.text
                made.append(answer.json()["user_id"])
        return made

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return query(file_of(self.ground.data, self.tenant.id), statement)

    def let_leases_end(self) -> None:
        path = file_of(self.ground.data, self.tenant.id)
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            connection.execute("UPDATE log_streams SET leased_until = 1")
            connection.execute("UPDATE deliveries SET leased_until = 1")
            connection.commit()

    def received(self) -> list[str]:
        return [event["log_id"] for sent in self.receiver.sent for event in json.loads(sent.body)]

    def in_order(self) -> list[str]:
        """Each for the first time."""
        return list(dict.fromkeys(self.received()))

    def wanted(self) -> list[str]:
        """What the log holds since the stream was made, in the order of its commits."""
        statement = (
            "SELECT id FROM log_events WHERE sequence > (SELECT sequence FROM log_events"
            " WHERE description = 'Create log stream') ORDER BY sequence"
        )
        return [row[0] for row in self.rows(statement)]

    async def has_everything(self) -> bool:
        wanted = self.wanted()
        return bool(wanted) and self.in_order()[-len(wanted) :] == wanted


async def test_a_server_that_dies_before_it_noted_a_batch_leaves_nothing_out_and_keeps_the_order(
    ground: Ground,
) -> None:
    async with receiving(Receiver()) as receiver:
        reader = Reader(ground, receiver)
        async with serving(ground.data, "streams.sent=exit@3", **reader.settings) as server:
            await reader.listen(server)
            made = await reader.make_users(server, range(500))
            assert await server.ended() == EXIT_STATUS
        assert 0 < len(made) < 500
        reader.let_leases_end()
        async with serving(ground.data, **reader.settings) as server:
            await reader.make_users(server, range(500, 503))
            await until(reader.has_everything)


async def test_a_killed_server_s_events_are_sent_by_its_next_life(ground: Ground) -> None:
    async with receiving(Receiver(delay=0.05)) as receiver:
        reader = Reader(ground, receiver)
        async with serving(ground.data, **reader.settings) as server:
            await reader.listen(server)
            making = asyncio.create_task(reader.make_users(server, range(1000)))
            await receiver.arrivals(2)
            server.kill()
            made = await making
        reader.let_leases_end()
        async with serving(ground.data, **reader.settings):
            await until(reader.has_everything)
        assert len(reader.wanted()) >= len(made)


async def test_two_servers_send_each_event_once_and_in_order_whoever_wrote_it(ground: Ground) -> None:
    async with receiving(Receiver(delay=0.02)) as receiver:
        reader = Reader(ground, receiver)
        async with two_serving(ground.data, **reader.settings) as servers:
            await reader.listen(servers[0])
            await asyncio.gather(
                *(reader.make_users(server, range(100 * n, 100 * n + 30)) for n, server in enumerate(servers))
            )
            await until(reader.has_everything)
        wanted = reader.wanted()
        assert reader.received()[-len(wanted) :] == wanted
        assert len(set(reader.received())) == len(reader.received())


async def test_a_change_is_told_although_the_server_died_right_after_it(ground: Ground) -> None:
    async with receiving(Receiver()) as receiver:
        reader = Reader(ground, receiver)
        async with serving(ground.data, "streams.fanned_out=exit@2", **reader.settings) as server:
            await reader.hook(server)
            made = await reader.make_users(server, range(500))
            assert await server.ended() == EXIT_STATUS
        reader.let_leases_end()
        async with serving(ground.data, **reader.settings):

            def told() -> set[str]:
                messages = [json.loads(sent.body) for sent in receiver.sent]
                return {message["data"]["object"]["user_id"] for message in messages}

            async def are_all() -> bool:
                return set(made) <= told()

            await until(are_all)
            ids = {row[0] for row in reader.rows("SELECT json_extract(data, '$.user_id') FROM changes")}
            assert set(made) <= ids
