"""Prometheus metrics of one process, on a listener of their own: never on an address that tenants' hosts reach.

Counted in plain numbers on the event loop, which costs a tenth of the library's locked counters, and turned into
the library's families when they are asked for.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import accumulate
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})


class Metrics:
    """Labels are few and bounded: no tenant, no path."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._answers: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._in_bucket = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0
        self._deliveries: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._gauges: dict[tuple[str, str], Callable[[], float]] = {}
        self._sources: dict[str, Callable[[], Iterator[Metric]]] = {}

    def observe(self, method: str, status: int, seconds: float) -> None:
        self._answers[(method if method in _METHODS else "other", status)] += 1
        self._in_bucket[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds

    def observe_delivery(self, kind: str, outcome: str) -> None:
        self._deliveries[(kind, outcome)] += 1

    def watch(self, name: str, description: str, value: Callable[[], float]) -> None:
        """A number that is read when it is asked for."""
        self._gauges[(name, description)] = value

    def include(self, name: str, source: Callable[[], Iterator[Metric]]) -> None:
        """Families that somebody else counts; another source of this name goes."""
        self._sources[name] = source

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for, in the thread of the listener."""
        requests = CounterMetricFamily("keystead_requests", "Requests answered", labels=("method", "status"))
        for (method, status), count in list(self._answers.items()):
            requests.add_metric((method, str(status)), count)
        yield requests
        bounds = [*map(str, BUCKETS), "+Inf"]
        seconds = HistogramMetricFamily("keystead_request_seconds", "Time to answer")
        counts = accumulate(self._in_bucket)
        seconds.add_metric((), list(zip(bounds, counts, strict=True)), sum_value=self._seconds)
        yield seconds
        deliveries = CounterMetricFamily(
            "keystead_deliveries", "Attempts to deliver a message", labels=("kind", "outcome")
        )
        for (kind, outcome), count in list(self._deliveries.items()):
            deliveries.add_metric((kind, outcome), count)
        yield deliveries
        for (name, description), value in self._gauges.items():
            yield GaugeMetricFamily(name, description, value=value())
        for source in self._sources.values():
            yield from source()

    def listen(self, host: str, port: int) -> tuple[WSGIServer, Thread]:
        return start_http_server(port, host, self.registry)
