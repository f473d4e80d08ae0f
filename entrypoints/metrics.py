"""Prometheus metrics of one process, on a listener of their own: never on an address that tenants' hosts reach."""

from collections.abc import Callable
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Labels are few and bounded: no tenant, no path. Children are resolved once, when first seen."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "keystead_requests", "Requests answered", ("method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "keystead_request_seconds", "Time to answer", buckets=BUCKETS, registry=self.registry
        )
        self._open_databases = Gauge(
            "keystead_open_databases", "Databases open in this process", registry=self.registry
        )
        self._children: dict[tuple[str, int], Counter] = {}

    def observe(self, method: str, status: int, seconds: float) -> None:
        key = (method if method in _METHODS else "other", status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._requests.labels(key[0], str(status))
        child.inc()
        self._seconds.observe(seconds)

    def watch_open_databases(self, count: Callable[[], int]) -> None:
        self._open_databases.set_function(count)

    def listen(self, host: str, port: int) -> tuple[WSGIServer, Thread]:
        return start_http_server(port, host, self.registry)


_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})
