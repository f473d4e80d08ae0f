"""The administration of one libSQL server (sqld): its namespaces and their configuration.

A 404 is asked about again before it is believed: a server that has more namespaces open than it may keep answers it
of databases that it has. A configuration is written whole, so it is read, changed and written back.
"""

import time
from collections.abc import Mapping
from typing import Any, cast

import httpx

from core.errors import Conflict, DatabaseMissing, DatabaseUnavailable
from provisioning.backends.configuration import LibsqlServer
from provisioning.backends.slug import Slug

Config = dict[str, Any]

SECONDS = 30.0
PAUSES = (0.01, 0.04)
PATIENT_PAUSES = (0.05, 0.2, 0.5)
"""Seconds before a 404 is asked about again: longer where believing a false one would leave a database for ever."""


class Namespaces:
    def __init__(self, server: LibsqlServer) -> None:
        self._http = httpx.Client(
            base_url=f"{server.admin_url}/v1/namespaces/",
            headers={"Authorization": f"basic {server.admin_key.reveal()}"},
            timeout=SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),  # seldom used: nothing stays open
            trust_env=False,
        )

    def create(self, name: Slug, config: Mapping[str, Any]) -> bool:
        """Whether it is new. What `config` says holds from its first moment."""
        answer = self._send("POST", f"{name}/create", config)
        if answer.status_code == 400 and "already exists" in answer.text:
            return False
        _check(answer)
        return True

    def config(self, name: Slug) -> Config | None:
        """None when there is no such namespace."""
        answer = self._found("GET", f"{name}/config")
        return None if answer is None else cast(Config, answer.json())

    def configure(self, name: Slug, changes: Mapping[str, Any]) -> None:
        before = self.config(name)
        if before is None:
            raise DatabaseMissing
        _check(self._send("POST", f"{name}/config", {**before, **changes}))

    def fork(self, name: Slug, copy: Slug) -> None:
        """With its configuration, its key too."""
        answer = self._send("POST", f"{name}/fork/{copy}")
        if answer.status_code == 400 and "already exists" in answer.text:
            raise Conflict("A database lies where the copy would go.", code="database_exists")
        _check(answer)

    def delete(self, name: Slug) -> None:
        """Safe to repeat."""
        self._found("DELETE", name, PATIENT_PAUSES)

    def _found(self, method: str, path: str, pauses: tuple[float, ...] = PAUSES) -> httpx.Response | None:
        for pause in (*pauses, None):
            answer = self._send(method, path)
            if answer.status_code != 404:
                _check(answer)
                return answer
            if pause is not None:
                time.sleep(pause)
        return None

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise DatabaseUnavailable from error


def _check(answer: httpx.Response) -> None:
    """An unknown path is answered 200 by gRPC's rules, so what is asked for must also be what came."""
    is_grpc = answer.headers.get("content-type", "").startswith("application/grpc")
    if answer.status_code != 200 or is_grpc:
        raise DatabaseUnavailable from RuntimeError(
            f"libSQL's administration answered {answer.status_code}: {answer.text[:200]}"
        )
