"""`python -m tests.moving.measure [--rows 40000]`: a tenant of so many rows under four writers goes there and back.

Prints, for each way, how long the move took, for how long nobody could write, the slowest write a client saw, and
what was lost or refused, which must be nothing.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from controlplane.registry.operations import get_operation
from core.logs import configure_logs
from provisioning.platform import Platform
from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
from tests.moving.conftest import libsql_table, postgresql_table
from tests.moving.load import fill, names, tickets, under_load
from tests.provisioning.installations import create, make_installation, opened, settings_for

WAY = ("libsql", "sqlite", "postgresql", "sqlite")
BATCH = 1_000


async def _measure(folder: Path, rows: int) -> None:
    settings = settings_for(folder, backends_file=Path("backends.toml"), converge_seconds=600.0)
    async with opened(settings) as platform:
        await create(platform, "acme")
        tenant = await platform.directory.by_id("acme")
        assert tenant is not None
        for start in range(0, rows, BATCH):
            await tenant.database.write(fill, start, BATCH)
        source = "sqlite"
        for number, target in enumerate(WAY):
            await _move(platform, f"{number}", source, target)
            source = target


async def _move(platform: Platform, run: str, source: str, target: str) -> None:
    async with under_load(platform, "acme", prefix=run, pause=0.0) as load:
        operation = await platform.registry.read(get_operation, await platform.moves.move("acme", target))
    assert operation.state == "succeeded", operation
    database = await platform.directory.database_of("acme")
    assert database is not None
    held = {key: name for key, name in (await database.read(names)).items() if key.startswith(f"load|{run}.")}
    kept = {key for key in await database.read(tickets) if key.startswith(f"load|{run}.")}
    lost = len(load.expected.items() ^ held.items()) + len(load.made ^ kept)
    steps = {step["name"]: step for step in operation.steps}
    took = (operation.steps[-1]["ended_at"] - operation.steps[0]["started_at"]) / 1000
    print(
        f"{source:>10} -> {target:<10} {steps['copy']['rows']:>7,} rows {took:6.1f} s"
        f"  writes paused {steps['fence']['paused_ms']:>4} ms ({steps['fence']['entries']} entries left)"
        f"  {load.writes:>6,} writes, slowest {load.slowest * 1000:5.0f} ms,"
        f" {load.reads:,} reads; lost or added {lost}, refused {len(load.failures)}, stale {len(load.stale)}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="What moving a tenant costs.")
    parser.add_argument("--rows", type=int, default=40_000)
    options = parser.parse_args()
    configure_logs("warning")
    with tempfile.TemporaryDirectory(prefix="keystead-moving-") as folder:
        data = Path(folder) / "data"
        make_installation(data)
        sqld, postgres = Sqld(Path(folder) / "sqld").start(), Postgres().start()
        try:
            (data / "backends.toml").write_text(libsql_table(sqld) + postgresql_table(postgres))
            asyncio.run(_measure(data, options.rows))
        finally:
            sqld.stop()
            postgres.remove()


if __name__ == "__main__":
    main()
