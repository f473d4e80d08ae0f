"""What goes out after a change goes out later, again and again, and by one worker at a time (F31)."""

import asyncio
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
import structlog
from sqlalchemy import Connection, text

from core.tenants import Tenant
from provisioning.waiting_deliveries import WaitingDeliveries
from tenant_runtime.deliveries import Deliveries, DeliveryFailed, Outgoing, enqueue
from tenant_runtime.deliveries.queue import sweep_deliveries
from tests.installation import Installation, MovableClock
from tests.waiting import until

pytestmark = pytest.mark.anyio

DAY = 86_400


@dataclass
class Carrier:
    """A way out that does as it is told, by recipient: how often it fails, how long it takes, what it waits for."""

    failures: dict[str, list[DeliveryFailed]] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    arrived: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def __call__(self, tenant: Tenant, payload: Mapping[str, Any]) -> None:
        name = payload["to"]
        self.tried.append(payload["name"])
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.slow.get(name, 0.0))
            if name in self.held:
                await self.held[name].wait()
        finally:
            self.at_once -= 1
        if self.failures.get(name):
            raise self.failures[name].pop(0)
        self.arrived.append(payload["name"])

    async def has_tried(self, *names: str) -> None:
        await until(lambda: _is(self.tried, names))

    async def has_brought(self, *names: str) -> None:
        await until(lambda: _is(self.arrived, names))


async def _is(names: list[str], wanted: tuple[str, ...]) -> bool:
    return names == list(wanted)


@dataclass
class Post:
    """One tenant's queue."""

    tenant: Tenant
    clock: MovableClock

    async def put(self, *names: str, to: str = "somebody") -> None:
        await self.tenant.database.write(self._put, names, to)

    def _put(self, connection: Connection, names: tuple[str, ...], to: str) -> None:
        for name in names:
            outgoing = Outgoing(f"dlv_{name}", "probe", to, {"name": name, "to": to})
            enqueue(connection, self.tenant.data_key, outgoing, int(self.clock.now() * 1000))

    async def rows(self) -> dict[str, Any]:
        def unit(connection: Connection) -> dict[str, Any]:
            found = connection.execute(text("SELECT * FROM deliveries")).all()
            return {row.id.removeprefix("dlv_"): row for row in found}

        return await self.tenant.database.read(unit)

    def by(self, carrier: Carrier) -> Deliveries:
        return Deliveries(self.clock, {"probe": carrier})


@pytest.fixture
async def post(installation: Installation) -> Post:
    tenant = await installation.running.platform.directory.by_id("acme")
    assert tenant is not None
    return Post(tenant, installation.clock)


@pytest.fixture
def lines(logged: io.BytesIO, monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """What is logged from here on; a logger that another test has used goes on writing where it did."""
    for module in ("tenant_runtime.deliveries.sending", "provisioning.waiting_deliveries"):
        monkeypatch.setattr(f"{module}._log", structlog.get_logger(module))
    return logged


async def test_what_is_due_is_sent_once_and_what_it_said_is_not_kept(post: Post) -> None:
    carrier = Carrier()
    deliveries = post.by(carrier)
    await post.put("one", "two")
    before = await post.rows()
    assert b"one" not in before["one"].payload
    await deliveries.run_due(post.tenant)
    await deliveries.run_due(post.tenant)
    assert sorted(carrier.tried) == ["one", "two"]
    for row in (await post.rows()).values():
        assert (row.attempts, row.due_at, row.payload, row.last_error) == (1, None, b"", None)
        assert row.delivered_at is not None
        assert row.failed_at is None


async def test_a_failure_is_repeated_at_growing_distances_for_a_day_and_then_given_up(
    post: Post, lines: io.BytesIO
) -> None:
    carrier = Carrier(failures={"somebody": [DeliveryFailed("status 500") for _ in range(20)]})
    deliveries = post.by(carrier)
    await post.put("one")
    distances, began = [], post.clock.now()
    while True:
        await deliveries.run_due(post.tenant)
        row = (await post.rows())["one"]
        assert row.last_error == "status 500"
        if row.due_at is None:
            break
        distances.append(row.due_at / 1000 - post.clock.now())
        post.clock.advance(distances[-1] / 2)
        await deliveries.run_due(post.tenant)
        assert len(carrier.tried) == row.attempts  # too early
        post.clock.advance(distances[-1] / 2 + 0.1)
    assert row.failed_at is not None
    assert row.payload == b""
    assert row.attempts == len(distances) + 1 == 9
    assert all(later > earlier for earlier, later in pairwise(distances))
    assert 4 <= distances[0] <= 6
    assert 0.7 * DAY < post.clock.now() - began < 1.4 * DAY
    logs = lines.getvalue().decode()
    assert logs.count("delivery_failed") == 8
    assert logs.count("delivery_dead") == 1
    await deliveries.close()


async def test_a_dead_one_is_seen_in_the_tenants_log(post: Post, installation: Installation) -> None:
    deliveries = post.by(Carrier(failures={"somebody": [DeliveryFailed("status 410", is_final=True)]}))
    await post.put("one")
    await deliveries.run_due(post.tenant)
    row = (await post.rows())["one"]
    assert (row.attempts, row.last_error, row.due_at) == (1, "status 410", None)
    api = await installation.manager("acme")
    events = await api.get("/logs", q="type:fn")
    assert [event["details"]["delivery"] for event in events] == ["dlv_one"]
    assert "status 410" in events[0]["description"]


async def test_a_slow_receiver_holds_neither_others_nor_those_who_come_later(post: Post) -> None:
    carrier = Carrier(held={"slow": (let_go := asyncio.Event())})
    deliveries = post.by(carrier)
    await post.put(*(f"slow{n}" for n in range(12)), to="slow")
    await post.put("quick")
    deliveries.soon(post.tenant)
    await carrier.has_brought("quick")
    await post.put("later")
    deliveries.soon(post.tenant)
    await carrier.has_brought("quick", "later")
    assert carrier.most_at_once <= 8
    let_go.set()
    await deliveries.run_due(post.tenant)
    assert len(carrier.arrived) == 14
    assert len(set(carrier.tried)) == len(carrier.tried) == 14


async def test_two_workers_never_send_the_same_one(post: Post) -> None:
    carrier = Carrier(slow={f"r{n}": 0.02 for n in range(10)})
    workers = [post.by(carrier) for _ in range(3)]
    for n in range(60):
        await post.put(f"m{n}", to=f"r{n % 10}")
    await asyncio.gather(*(worker.run_due(post.tenant) for worker in workers))
    assert sorted(carrier.tried) == sorted(f"m{n}" for n in range(60))
    assert all(row.attempts == 1 for row in (await post.rows()).values())


async def test_what_a_dead_worker_held_is_sent_when_its_lease_ends(post: Post) -> None:
    dead, other = Carrier(held={"somebody": asyncio.Event()}), Carrier()
    stuck = post.by(dead)
    await post.put("one")
    stuck.soon(post.tenant)
    await dead.has_tried("one")
    deliveries = post.by(other)
    await deliveries.run_due(post.tenant)
    assert other.tried == []
    post.clock.advance(121)
    await deliveries.run_due(post.tenant)
    assert other.arrived == ["one"]
    assert (await post.rows())["one"].attempts == 2


async def test_a_late_failure_does_not_undo_what_another_worker_delivered(post: Post) -> None:
    answers = asyncio.Event()
    late = Carrier(failures={"somebody": [DeliveryFailed("status 500")]}, held={"somebody": answers})
    first, second = post.by(late), post.by(Carrier())
    await post.put("one")
    first.soon(post.tenant)
    await late.has_tried("one")
    post.clock.advance(121)
    await second.run_due(post.tenant)
    answers.set()
    await first.run_due(post.tenant)
    row = (await post.rows())["one"]
    assert row.delivered_at is not None
    assert (row.due_at, row.last_error) == (None, None)


async def test_a_kind_that_this_process_does_not_know_waits_for_one_that_does(post: Post) -> None:
    await post.put("one")
    await Deliveries(post.clock, {"other": Carrier()}).run_due(post.tenant)
    assert (await post.rows())["one"].attempts == 0


async def test_closing_waits_for_what_is_being_sent(post: Post) -> None:
    carrier = Carrier(held={"somebody": (answers := asyncio.Event())})
    deliveries = post.by(carrier)
    await post.put("one")
    deliveries.soon(post.tenant)
    await carrier.has_tried("one")
    closing = asyncio.create_task(deliveries.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    answers.set()
    await closing
    assert carrier.arrived == ["one"]
    assert (await post.rows())["one"].delivered_at is not None
    await post.put("two")
    deliveries.soon(post.tenant)
    await asyncio.sleep(0.1)
    assert carrier.tried == ["one"]


async def test_delivered_ones_go_after_a_day_and_dead_ones_after_two_weeks(post: Post) -> None:
    carrier = Carrier(failures={"gone": [DeliveryFailed("status 410", is_final=True)]})
    await post.put("dead", to="gone")
    await post.put("well")
    await post.by(carrier).run_due(post.tenant)
    await post.put("waiting", to="nobody")
    left = []
    for days in (0.9, 0.2, 12, 2):
        post.clock.advance(days * DAY)
        await post.tenant.database.write(sweep_deliveries, int(post.clock.now() * 1000))
        left.append(sorted(await post.rows()))
    assert left == [["dead", "waiting", "well"], ["dead", "waiting"], ["dead", "waiting"], ["waiting"]]


async def test_a_tenants_database_that_is_away_is_tried_again(
    post: Post, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = Carrier()
    monkeypatch.setattr("tenant_runtime.deliveries.sending.RETRY_SECONDS", 0.3)
    deliveries = Deliveries(post.clock, {"probe": carrier}, installation.running.platform.directory.by_id)
    await post.put("one")
    file = post.tenant.database.ref.path
    away = file.with_name("away")
    file.rename(away)
    await deliveries.run_due(post.tenant)
    assert carrier.tried == []
    away.rename(file)

    async def arrived() -> bool:
        return carrier.arrived == ["one"]

    await until(arrived)
    await deliveries.close()


async def test_an_answer_that_could_not_be_noted_at_once_is_noted_a_moment_later(post: Post) -> None:
    carrier = Carrier(held={"somebody": (answers := asyncio.Event())})
    deliveries = post.by(carrier)
    await post.put("one")
    deliveries.soon(post.tenant)
    await carrier.has_tried("one")
    file = post.tenant.database.ref.path
    away = file.rename(file.with_name("away"))
    answers.set()
    await carrier.has_brought("one")
    await asyncio.sleep(0.2)  # long enough for a try to note it
    away.rename(file)
    await deliveries.run_due(post.tenant)
    assert carrier.tried == ["one"]
    assert (await post.rows())["one"].delivered_at is not None


async def test_what_waits_is_found_by_looking_into_files_that_changed_and_only_those(
    post: Post, installation: Installation, lines: io.BytesIO
) -> None:
    found: list[str] = []

    async def resume(tenant_id: str) -> None:
        found.append(tenant_id)

    waiting = WaitingDeliveries(installation.running.platform.parts, resume)
    assert await waiting.look() == 0
    await post.put("one")
    assert await waiting.look() == 1
    assert await waiting.look() == 1
    assert found == ["acme", "acme"]
    await post.by(Carrier()).run_due(post.tenant)
    assert await waiting.look() == 0
    await asyncio.sleep(1.1)
    await waiting.look()
    other = await installation.running.platform.directory.by_id("globex")
    assert other is not None
    path = other.database.ref.path
    was = path.stat()
    with path.open("r+b") as file:
        file.write(bytes(16))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert await waiting.look() == 0
    assert await WaitingDeliveries(installation.running.platform.parts, resume).look() == 0  # the next start
    assert b"waiting_deliveries_unknown" not in lines.getvalue()  # it was not opened
    os.utime(path)
    await post.put("two")
    assert await waiting.look() == 1
    assert b"waiting_deliveries_unknown" in lines.getvalue()


async def test_a_timer_sends_what_becomes_due(post: Post, installation: Installation) -> None:
    carrier = Carrier(failures={"somebody": [DeliveryFailed("status 500")]})
    deliveries = Deliveries(post.clock, {"probe": carrier}, installation.running.platform.directory.by_id)
    await post.put("one")
    await deliveries.run_due(post.tenant)
    assert carrier.arrived == []
    await carrier.has_brought("one")
    await deliveries.close()
