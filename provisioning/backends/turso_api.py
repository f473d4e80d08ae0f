"""Turso's platform API, as far as databases are made, found, changed and destroyed by it.

Refusals become ours: 404 is None, 409 says that the name is taken, 402 that the plan allows no more, 401 and 403 that
the platform token is not good. 429 and failures of theirs are waited out, as long as asking again is harmless.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from core.errors import Conflict, DatabaseUnavailable, InvalidInput, Unavailable
from provisioning.backends.configuration import TursoAccount

SECONDS = 30.0
PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0)
LONGEST_PAUSE = 10.0
_REPEATABLE = frozenset({"GET", "PATCH", "DELETE"})

Seed = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TursoDatabase:
    """`hostname` is told, never computed from the name."""

    name: str
    hostname: str


class TursoApi:
    def __init__(self, account: TursoAccount) -> None:
        self._http = httpx.Client(
            base_url=f"{account.api_url}/v1/organizations/{account.organization}/",
            headers={"Authorization": f"Bearer {account.token.reveal()}"},
            timeout=SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),  # seldom used: nothing stays open
            trust_env=False,
        )

    def create(self, name: str, group: str, seed: Seed | None = None) -> TursoDatabase | None:
        """None when the name is taken."""
        body: dict[str, Any] = {"name": name, "group": group, **({"seed": dict(seed)} if seed else {})}
        answer = self._send("POST", "databases", json=body)
        if answer.status_code == 409:
            return None
        return _database(_good(answer)["database"])

    def find(self, name: str) -> TursoDatabase | None:
        answer = self._send("GET", f"databases/{name}")
        return None if answer.status_code == 404 else _database(_good(answer)["database"])

    def delete(self, name: str) -> None:
        """Safe to repeat; nothing may be protected any more."""
        answer = self._send("DELETE", f"databases/{name}")
        if answer.status_code != 404:
            _good(answer)

    def configure(self, name: str, **changes: Any) -> bool:
        """Leaves the rest as it is. Whether there is such a database."""
        answer = self._send("PATCH", f"databases/{name}/configuration", json=changes)
        if answer.status_code == 404:
            return False
        _good(answer)
        return True

    def mint_token(self, name: str) -> str:
        """Full access to one database, until its tokens are rotated."""
        options = {"expiration": "never", "authorization": "full-access"}
        answer = self._send("POST", f"databases/{name}/auth/tokens", params=options)
        return str(_good(answer)["jwt"])

    def revoke_tokens(self, name: str) -> None:
        """All that were ever minted for it."""
        _good(self._send("POST", f"databases/{name}/auth/rotate"))

    def names(self, group: str) -> list[str]:
        answer = self._send("GET", "databases", params={"group": group})
        return [_database(found).name for found in _good(answer)["databases"]]

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """What was refused for now was not done, so it may be asked again; what went wrong may have been done."""
        for pause in self._pauses():
            try:
                answer = self._http.request(method, path, **arguments)
            except httpx.HTTPError as error:
                if pause is None or not (method in _REPEATABLE or isinstance(error, httpx.ConnectError)):
                    raise DatabaseUnavailable from error
                time.sleep(pause)
                continue
            is_refused = answer.status_code == 429
            is_failed = answer.status_code >= 500 and method in _REPEATABLE
            if pause is None or not (is_refused or is_failed):
                return answer
            time.sleep(_asked_pause(answer, pause))
        raise AssertionError("the last attempt answers or raises")

    @staticmethod
    def _pauses() -> Iterator[float | None]:
        yield from PAUSES
        yield None


def _database(found: Mapping[str, Any]) -> TursoDatabase:
    return TursoDatabase(str(found["Name"]), str(found["Hostname"]))


def _asked_pause(answer: httpx.Response, otherwise: float) -> float:
    asked = answer.headers.get("retry-after", "")
    return min(float(asked), LONGEST_PAUSE) if asked.isdecimal() else otherwise


def _good(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code == 200:
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found
    cause = RuntimeError(f"Turso's platform answered {answer.status_code}: {answer.text[:200]}")
    match answer.status_code:
        case 400 if "group" in answer.text:
            raise InvalidInput("The database platform has no such group.", code="invalid_region") from cause
        case 400 if "moment" in answer.text or "timestamp" in answer.text:
            raise InvalidInput("The database platform does not remember that moment.") from cause
        case 402:
            raise Unavailable(
                "The plan of the database platform allows no more.", code="backend_quota", retry_after=60
            ) from cause
        case 409:
            raise Conflict("A database lies where the new one would go.", code="database_exists") from cause
        case 429:
            raise Unavailable("The database platform has too much to do.", retry_after=10) from cause
    raise DatabaseUnavailable from cause
