"""Metrics of databases behind servers, by kind. No tenant is named: `/health` and the platform API name them."""

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from core.database.kinds import Kind
from core.database.remote.figures import BUCKETS, Figures
from core.database.remote.kind import RemoteKind


def families(kinds: Mapping[str, Kind]) -> Iterator[Metric]:
    remote = {name: kind for name, kind in kinds.items() if isinstance(kind, RemoteKind)}
    yield _open_circuits(remote)
    figures = {name: kind.figures for name, kind in remote.items()}
    yield from _now(figures)
    yield _seconds(figures)
    yield from _counted(figures)


def _open_circuits(remote: Mapping[str, RemoteKind]) -> Metric:
    family = GaugeMetricFamily(
        "keystead_database_open_circuits",
        "Databases left in peace because they do not answer",
        labels=("kind",),
    )
    for name, kind in remote.items():
        family.add_metric((name,), kind.open_circuits)
    return family


def _now(figures: Mapping[str, Figures]) -> Iterator[Metric]:
    running = GaugeMetricFamily("keystead_database_running", "Units of work in a thread", labels=("kind",))
    waiting = GaugeMetricFamily(
        "keystead_database_waiting", "Units of work that wait for one", labels=("kind",)
    )
    for name, each in figures.items():
        running.add_metric((name,), each.running)
        waiting.add_metric((name,), each.waiting)
    yield running
    yield waiting


def _seconds(figures: Mapping[str, Figures]) -> Metric:
    family = HistogramMetricFamily("keystead_database_seconds", "Time of a unit of work", labels=("kind",))
    bounds = [*map(str, BUCKETS), "+Inf"]
    for name, each in figures.items():
        counts = accumulate(each.in_bucket)
        family.add_metric((name,), list(zip(bounds, counts, strict=True)), sum_value=each.seconds)
    return family


def _counted(figures: Mapping[str, Figures]) -> Iterator[Metric]:
    refused = CounterMetricFamily(
        "keystead_database_refused", "Units of work never begun", labels=("kind", "reason")
    )
    failed = CounterMetricFamily(
        "keystead_database_failed", "Units of work that a fault ended", labels=("kind",)
    )
    repeated = CounterMetricFamily(
        "keystead_database_repeated", "Transactions run again after a fault", labels=("kind",)
    )
    for name, each in figures.items():
        refused.add_metric((name, "queue"), each.refused_by_queue)
        refused.add_metric((name, "circuit"), each.refused_by_circuit)
        refused.add_metric((name, "deadline"), each.withdrawn)
        failed.add_metric((name,), each.failed)
        repeated.add_metric((name,), each.repeated)
    yield from (refused, failed, repeated)
