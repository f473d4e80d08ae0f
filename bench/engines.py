"""W1 to W5 on databases behind servers, beside the same on SQLite files: what an engine costs the server's process.

The engines are those of the tests, on loopback; one that is not installed is left out, and said to be.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench import tenant_content
from bench.fleet import share_a_catalogue
from bench.fleet_workloads import OPEN_TENANTS, ask
from bench.installation import Installation
from bench.processes import until_idle
from bench.protocol import WORKLOADS, Workload, is_possible
from bench.rounds import CONNECTIONS, Effort, Side, take_turns
from bench.table import Row
from bench.tenant_content import Content
from bench.wire import Connection, UnexpectedAnswer
from tests.engines import postgres, sqld

ENGINES = ("libsql", "postgresql")
PATIENCE = 5
OF_ENGINES = frozenset({"W1", "W2", "W3", "W4", "W5"})


async def measure_engines(folder: Path, files: Installation, content: Content, effort: Effort) -> list[Row]:
    rows = []
    for engine in ENGINES:
        with _running(engine, folder / engine) as environ:
            if environ is None:
                print(f"          {engine}: not installed (make test-packages)", file=sys.stderr)
                continue
            rows += await _measure(engine, environ, folder / engine, (files, content), effort)
    return rows


async def _measure(
    engine: str,
    environ: Mapping[str, str],
    folder: Path,
    files: tuple[Installation, Content],
    effort: Effort,
) -> list[Row]:
    there = Installation(folder / "installation", "FULL", **environ)
    try:
        content = await tenant_content.prepare(there, 0)
        there.restart()
        chosen = [each for each in WORKLOADS if each.id in OF_ENGINES and is_possible(each, content)]
        rows = [await _row(engine, each, (there, content), files, effort) for each in chosen]
        return [*rows, await _memory(engine, there)]
    finally:
        there.stop()


async def _row(
    engine: str,
    workload: Workload,
    there: tuple[Installation, Content],
    files: tuple[Installation, Content],
    effort: Effort,
) -> Row:
    """Both take turns; SQLite's is in the column of the floor."""
    opened: list[Connection] = []
    sides = []
    try:
        for installation, content in (there, files):
            mine = [await Connection.open(content.port) for _ in range(CONNECTIONS)]
            opened += mine
            operations = [await workload.server(content, connection) for connection in mine]
            sides.append(Side(installation.program, operations))
        measured, beside = await take_turns(sides, effort)
    finally:
        for connection in opened:
            connection.close()
    return Row(
        workload=workload.id,
        work=f"{workload.work}: {engine} / SQLite",
        unit="CPU ms",
        measured=measured.cpu_ms,
        floor=beside.cpu_ms,
        rate=measured.rate,
        p50_ms=measured.p50_ms,
        p99_ms=measured.p99_ms,
        spread=measured.spread,
        notes=f"SQLite p50 {beside.p50_ms:.1f} ms",
    )


async def _memory(engine: str, there: Installation) -> Row:
    """Of the server's process, just started and then with many tenants open: each has asked something."""
    fleet = await share_a_catalogue(there)
    await fleet.grow(OPEN_TENANTS + fleet.size)
    there.restart()
    until_idle(there.program)
    at_start, connection = there.program.memory_mb(), await fleet.connect()
    for host in fleet.hosts[:OPEN_TENANTS]:
        await _ask_again(connection, host)
    connection.close()
    opened = there.program.memory_mb()
    each = (opened - at_start) / OPEN_TENANTS * 1024
    return Row(
        workload="W11",
        work=f"memory with {OPEN_TENANTS} open: {engine}",
        unit="MB",
        measured=opened,
        target=300,
        notes=f"{at_start:.0f} MB at start, {each:.0f} KiB each; {there.program.descriptors()} descriptors",
    )


async def _ask_again(connection: Connection, host: str) -> None:
    """A server that has just begun may be told to come again."""
    for _ in range(PATIENCE):
        try:
            await ask(connection, host)
            return
        except UnexpectedAnswer:
            await asyncio.sleep(1)
    await ask(connection, host)


@contextmanager
def _running(engine: str, folder: Path) -> Iterator[Mapping[str, str] | None]:
    """What the server must be told of it; None if it is not installed."""
    folder.mkdir()
    if engine == "libsql" and sqld.binary().exists():
        server = sqld.Sqld(folder / "sqld").start()
        lines = ("[libsql]", f'url = "{server.url}"', f'admin_url = "{server.admin_url}"')
        try:
            yield _told(engine, folder, "\n".join((*lines, f'admin_key = "{server.admin_key}"')))
        finally:
            server.stop()
    elif engine == "postgresql" and postgres.binaries() is not None:
        cluster = postgres.Postgres(settings=("-c", "max_connections=1000")).start()
        try:
            yield _told(engine, folder, f'[postgresql]\nurl = "{cluster.url()}"')
        finally:
            cluster.remove()
    else:
        yield None


def _told(engine: str, folder: Path, table: str) -> Mapping[str, str]:
    file = folder / "backends.toml"
    file.touch(mode=0o600)
    file.write_text(f"{table}\n")
    return {"KEYSTEAD_BACKENDS_FILE": str(file), "KEYSTEAD_DEFAULT_BACKEND": engine}
