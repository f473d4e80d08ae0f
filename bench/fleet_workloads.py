"""W9 to W14: what many tenants cost."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.fleet import Fleet, SyncState
from bench.installation import Installation
from bench.processes import Program, until_idle
from bench.protocol import Workload
from bench.rounds import CONNECTIONS, Effort, Side, percentile, take_turns
from bench.table import Row
from bench.tenant_content import Content
from bench.wire import Connection, UnexpectedAnswer, request

BURST = 6
"""Tenants made one after the other: fewer than the spare signing keys a server holds."""

OPEN_TENANTS = 300
CHANGES = 8
CONVERGE_SECONDS = 300
POLL_SECONDS = 0.01
PATIENCE_SECONDS = 10
DOCUMENT = "/.well-known/jwks.json"


# ---- W9: a new tenant ----


async def creating(fleet: Fleet, floor_ms: float) -> Row:
    """CPU of a burst until the server is idle again, without what its key-making thread used."""
    program, connection, known = fleet.installation.program, await fleet.connect(), fleet.size
    until_idle(program)
    cpu, threads = program.cpu_ns(), program.cpu_of_threads()
    seconds = [await fleet.create(connection) for _ in range(BURST)]
    until_idle(program)
    used, keys = program.cpu_ns() - cpu, making_keys(threads, program.cpu_of_threads())
    connection.close()
    return Row(
        workload="W9",
        work=f"new tenant, beside {known:,} others",
        unit="CPU ms",
        measured=(used - keys) / BURST / 1e6,
        floor=floor_ms,
        aim=3 / 0.3,
        target=3,
        p50_ms=median(seconds) * 1000,
        p99_ms=max(seconds) * 1000,
        notes=f"and {keys / BURST / 1e6:.0f} ms for its successor's signing key",
        more={"tenants": known, "key_ms": keys / BURST / 1e6},
    )


def making_keys(before: dict[int, int], after: dict[int, int]) -> int:
    """A key takes tens of milliseconds, and one thread makes them all: the busiest but the loop's."""
    loop = min(after)
    return max((used - before.get(thread, 0) for thread, used in after.items() if thread != loop), default=0)


# ---- W10: a change of the catalogue ----


@dataclass(frozen=True, slots=True)
class Change:
    request_ms: float
    next_request_ms: float
    seconds: float
    """Until every tenant holds it."""

    cpu_ms: float
    """Of the server, in that time."""


async def changing(fleet: Fleet, active: str) -> list[Row]:
    """One permission of a shared role is taken away and given back, eight times."""
    connection = await fleet.connect()
    await until_converged(fleet, connection, below=None)
    changes = [await change(fleet, connection, active, number) for number in range(CHANGES)]
    connection.close()
    work = f"change a role, {fleet.size:,} tenants"
    requests, following = [each.request_ms for each in changes], [each.next_request_ms for each in changes]
    seconds, cpu_ms = [each.seconds for each in changes], median(each.cpu_ms for each in changes)
    return [
        Row(
            workload="W10",
            work=f"{work}: the request",
            unit="ms",
            measured=median(requests),
            target=2,
            p50_ms=median(requests),
            p99_ms=max(requests),
        ),
        Row(
            workload="W10",
            work=f"{work}: an active tenant's next",
            unit="ms",
            measured=median(following),
            p50_ms=median(following),
            p99_ms=max(following),
            notes="which holds the change",
        ),
        Row(
            workload="W10",
            work=f"{work}: all hold it",
            unit="s",
            measured=median(seconds),
            target=2 if fleet.size <= 1_100 else 20,
            notes=f"{cpu_ms / fleet.size:.2f} CPU ms a tenant; slowest {max(seconds):.2f} s",
            more={"cpu_ms": cpu_ms},
        ),
    ]


async def change(fleet: Fleet, connection: Connection, active: str, number: int) -> Change:
    gives = number % 2 == 1
    path = f"/api/v2/roles/{fleet.role}/permissions"
    body = {"permissions": fleet.permissions[:1]}
    before = (await fleet.state(connection)).wanted
    cpu, began = fleet.installation.program.cpu_ns(), time.perf_counter()
    answer = await connection.send(fleet.call("POST" if gives else "DELETE", path, body))
    asked = time.perf_counter()
    if answer.status not in (201, 204):
        raise UnexpectedAnswer(f"the change answered {answer.status}: {answer.body[:300]!r}")
    await expect_permissions(fleet, connection, active, len(fleet.permissions) - (0 if gives else 1))
    followed = time.perf_counter()
    await until_converged(fleet, connection, below=before)
    ended = time.perf_counter()
    used = fleet.installation.program.cpu_ns() - cpu
    return Change((asked - began) * 1000, (followed - asked) * 1000, ended - began, used / 1e6)


async def expect_permissions(fleet: Fleet, connection: Connection, tenant: str, count: int) -> None:
    """A tenant may ask for patience (503 with Retry-After); it may not show what was before."""
    path = f"/api/v2/roles/{fleet.role}/permissions?per_page=100"
    message = fleet.call("GET", path, host=fleet.installation.host(tenant))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (answer := await connection.send(message)).status == 503 and time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)
    found = answer.body.count(b'"permission_name"')
    if found != count:
        raise UnexpectedAnswer(f"the next request of {tenant} sees {found} permissions, not {count}")


async def until_converged(fleet: Fleet, connection: Connection, *, below: int | None) -> SyncState:
    """Nobody lags behind a version newer than `below`. Asked ever more rarely: the questions cost, too."""
    began = time.monotonic()
    while time.monotonic() < began + CONVERGE_SECONDS:
        state = await fleet.state(connection)
        if state.lagging == 0 and (below is None or (state.wanted or 0) > below):
            return state
        await asyncio.sleep(max(POLL_SECONDS, (time.monotonic() - began) / 10))
    raise UnexpectedAnswer(f"{state.lagging} tenants lag after {CONVERGE_SECONDS} s")


# ---- W11 and W13: closed tenants are asked, one after the other ----


async def opening(fleet: Fleet, bare: Program, open_floor_ms: float) -> list[Row]:
    """On a server just started. Every tenant is asked once: all were closed."""
    fleet.installation.restart()
    program, connection = fleet.installation.program, await fleet.connect()
    until_idle(program)
    at_start = program.memory_mb()
    hosts = random.Random(1).sample(fleet.hosts, len(fleet.hosts))
    cpu = program.cpu_ns()
    first = [await ask(connection, host) for host in hosts[:OPEN_TENANTS]]
    with_open = program.memory_mb()
    rest = [await ask(connection, host) for host in hosts[OPEN_TENANTS:]]
    used = (program.cpu_ns() - cpu) / len(hosts) / 1e6
    connection.close()
    start = f"memory at start, {fleet.size:,} tenants known"
    opened = f"memory with {len(first)} of {fleet.size:,} open"
    each = (with_open - at_start) / len(first) * 1024
    return [
        memory_row(start, at_start, bare, 120, ""),
        memory_row(
            opened, with_open, bare, 300, f"{each:.0f} KiB each; {program.memory_mb():.0f} MB after all"
        ),
        closed_row([*first, *rest], used, open_floor_ms),
    ]


def memory_row(work: str, megabytes: float, bare: Program, target: float, notes: str) -> Row:
    floor = bare.memory_mb()
    return Row(
        workload="W11",
        work=work,
        unit="MB",
        measured=megabytes,
        floor=floor,
        aim=target / 68,
        target=target,
        notes=notes,
    )


def closed_row(seconds: Sequence[float], cpu_ms: float, open_floor_ms: float) -> Row:
    return Row(
        workload="W13",
        work="request to a closed tenant",
        unit="CPU ms",
        measured=cpu_ms,
        floor=open_floor_ms,
        p50_ms=percentile(seconds, 50) * 1000,
        p99_ms=percentile(seconds, 99) * 1000,
        notes="p99 to be at most 15 ms",
    )


async def ask(connection: Connection, host: str) -> float:
    began = time.perf_counter()
    await connection.expect(200, request("GET", host, DOCUMENT))
    return time.perf_counter() - began


# ---- W12: starting ----


def starting(few: Installation, many: Fleet, start_floor: Callable[[], float], repeats: int) -> list[Row]:
    """From the start of the process to its first answer, the three in turn."""
    taken: dict[str, list[float]] = {"floor": [], "few": [], "many": []}
    for _ in range(repeats):
        taken["floor"].append(start_floor())
        taken["few"].append(few.restart())
        taken["many"].append(many.installation.restart())
    floor_seconds = median(taken["floor"])
    sizes = {"few": len(few.demo.tenants), "many": many.size}
    return [
        Row(
            workload="W12",
            work=f"start to first answer, {size:,} tenants",
            unit="s",
            measured=median(taken[name]),
            floor=floor_seconds,
            aim=0.8 / 0.5,
            target=0.8,
            notes=f"slowest {max(taken[name]):.2f} s",
        )
        for name, size in sizes.items()
    ]


# ---- W14: the same request, with few tenants and with many ----


@dataclass(frozen=True, slots=True)
class Measured:
    """An installation and what its tenant is asked with."""

    program: Program
    content: Content
    size: int


async def comparing(workload: Workload, few: Measured, many: Measured, effort: Effort) -> Row:
    sides, connections = [], []
    for side in (few, many):
        opened = [await Connection.open(side.content.port) for _ in range(CONNECTIONS)]
        connections += opened
        operations = [await workload.server(side.content, connection) for connection in opened]
        sides.append(Side(side.program, operations))
    least, measured = await take_turns(sides, effort)
    for connection in connections:
        connection.close()
    return Row(
        workload="W14",
        work=f"{workload.work}: {many.size:,} tenants against {few.size:,}",
        unit="CPU ms",
        measured=measured.cpu_ms,
        floor=least.cpu_ms,
        aim=1.05,
        rate=measured.rate,
        p50_ms=measured.p50_ms,
        p99_ms=measured.p99_ms,
        spread=measured.spread,
        notes="the floor is the same server with few",
    )
