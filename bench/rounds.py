"""A closed loop over some connections, and rounds of it that alternate between a server and its floor.

Rounds alternate so that whatever else the machine does falls on both; the median of the rounds is reported.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.processes import Program

CONNECTIONS = 16
Operation = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to look: the short form is a glance, the full one is for comparing."""

    warm_up: float
    seconds: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Sample:
    operations: int
    cpu_ms: float
    """Per operation, of the server's process tree."""

    seconds: float
    latencies: list[float]


@dataclass(frozen=True, slots=True)
class Result:
    cpu_ms: float
    spread: float
    """Half the distance between the cheapest and the dearest round, as a part of the median."""

    rate: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Side:
    """One of the programs that take turns."""

    program: Program
    operations: Sequence[Operation]


async def take_turns(sides: Sequence[Side], effort: Effort) -> list[Result]:
    for side in sides:
        await closed_loop(side, effort.warm_up)
    samples: list[list[Sample]] = [[] for _ in sides]
    for _ in range(effort.rounds):
        for side, taken in zip(sides, samples, strict=True):
            taken.append(await closed_loop(side, effort.seconds))
    return [summary(taken) for taken in samples]


async def closed_loop(side: Side, seconds: float) -> Sample:
    latencies: list[float] = []
    began = time.perf_counter()
    deadline = began + seconds

    async def repeat(operation: Operation) -> None:
        while (start := time.perf_counter()) < deadline:
            await operation()
            latencies.append(time.perf_counter() - start)

    cpu = side.program.cpu_ns()
    await asyncio.gather(*(repeat(operation) for operation in side.operations))
    used = side.program.cpu_ns() - cpu
    count = max(1, len(latencies))
    return Sample(count, used / count / 1e6, time.perf_counter() - began, latencies)


def summary(samples: Sequence[Sample]) -> Result:
    costs = [sample.cpu_ms for sample in samples]
    middle = median(costs)
    latencies = [latency for sample in samples for latency in sample.latencies]
    return Result(
        cpu_ms=middle,
        spread=(max(costs) - min(costs)) / 2 / middle if middle else 0.0,
        rate=sum(sample.operations for sample in samples) / sum(sample.seconds for sample in samples),
        p50_ms=percentile(latencies, 50) * 1000,
        p99_ms=percentile(latencies, 99) * 1000,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0
