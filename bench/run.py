"""One run: the floor and a small installation for the workloads of one tenant, a second one that grows."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench import fleet_workloads as many
from bench import many_people, tenant_content
from bench.bare_files import copy_floor_ms, open_floor_ms
from bench.bare_program import BareProgram
from bench.engines import measure_engines
from bench.fleet import share_a_catalogue
from bench.fleet_workloads import Measured
from bench.installation import Installation
from bench.plan import Plan
from bench.processes import keep_bytecode
from bench.protocol import WORKLOADS, is_possible, measure
from bench.table import Row
from bench.tenant_content import Content

_BEGAN = time.monotonic()
OF_FLEETS = frozenset({"W9", "W10", "W11", "W12", "W13", "W14"})


@dataclass(frozen=True, slots=True)
class Grounds:
    """What every measurement of a run stands on."""

    folder: Path
    plan: Plan
    only: frozenset[str]
    bare: BareProgram
    small: Installation
    content: Content


async def measure_all(
    folder: Path, plan: Plan, only: frozenset[str], synchronous: str, rows: list[Row]
) -> None:
    """Rows are added as they are measured, so that an interrupted run still shows what it knows."""
    started: list[BareProgram | Installation] = []
    keep_bytecode(folder / "bytecode")
    try:
        bare = BareProgram(folder / "floor", synchronous)
        started.append(bare)
        _say("a small installation")
        small = Installation(folder / "small", synchronous)
        started.append(small)
        users = tenant_content.USERS if "W8" in only else 0
        content = await tenant_content.prepare(small, users)
        small.restart()
        grounds = Grounds(folder, plan, only, bare, small, content)
        await _measure_protocol(grounds, rows)
        if "W8" in only:
            _say(f"W8 at {plan.people:,} people")
            rows += await many_people.measure(small, plan.people, plan.effort)
        if "ENGINES" in only:
            _say("databases behind servers")
            rows += await measure_engines(folder, small, content, plan.effort)
        if only & OF_FLEETS:
            grown = Installation(folder / "grown", synchronous)
            started.append(grown)
            await _measure_fleet(grounds, grown, rows)
    finally:
        for program in started:
            program.stop()


async def _measure_protocol(grounds: Grounds, rows: list[Row]) -> None:
    for workload in WORKLOADS:
        if workload.id in grounds.only and is_possible(workload, grounds.content):
            _say(f"{workload.id} {workload.work}")
            program, effort = grounds.small.program, grounds.plan.effort
            rows.append(await measure(workload, program, grounds.content, grounds.bare, effort))


async def _measure_fleet(grounds: Grounds, installation: Installation, rows: list[Row]) -> None:
    content = await tenant_content.prepare(installation, users=0)
    installation.restart()
    fleet = await share_a_catalogue(installation)
    copy_ms, open_ms = (
        measured(installation.data, grounds.folder) for measured in (copy_floor_ms, open_floor_ms)
    )
    for size in grounds.plan.sizes:
        _say(f"a fleet of {size:,}")
        await fleet.grow(size - many.BURST if "W9" in grounds.only else size)
        if "W9" in grounds.only:
            rows.append(await many.creating(fleet, copy_ms))
        if "W10" in grounds.only:
            _say(f"W10 at {size:,}")
            rows += await many.changing(fleet, "acme")
    if grounds.only & {"W11", "W13"}:
        _say("W11, W13")
        rows += await many.opening(fleet, grounds.bare.program, open_ms)
    if "W12" in grounds.only:
        _say("W12")
        rows += many.starting(grounds.small, fleet, grounds.bare.restart, grounds.plan.starts)
    if "W14" in grounds.only:
        _say("W14")
        few = Measured(grounds.small.program, grounds.content, len(grounds.small.demo.tenants))
        all_of_them = Measured(installation.program, content, fleet.size)
        rows.append(await many.comparing(WORKLOADS[0], few, all_of_them, grounds.plan.compare))


def _say(text: str) -> None:
    print(f"{time.monotonic() - _BEGAN:6.1f} s  {text}", file=sys.stderr, flush=True)
