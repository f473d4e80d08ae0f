"""Turso's platform as its documentation describes it, over a real libSQL server: databases are namespaces there.

Every database has a key of its own, real EdDSA tokens, and a host that its name does not tell: a proxy with the
cloud's habits. The control API is reached through a proxy too (`api`), so that faults can be put before it.
"""

import base64
import json
import secrets
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature

from tests.engines.cloud import CloudTraits
from tests.engines.proxy import Answer, Proxy, Request
from tests.engines.sqld import Sqld
from tests.engines.tokens import TokenKey

TOKEN = "the-platform-token-of-a-test"
ORGANIZATION = "example-corp"


class _Refused(Exception):
    def __init__(self, status: int, words: str, **headers: str) -> None:
        self.answer = Answer(status, json.dumps({"error": words}).encode(), headers)


@dataclass(slots=True)
class Database:
    name: str
    group: str
    namespace: str
    ready_at: float
    proxy: Proxy
    key: TokenKey = field(default_factory=TokenKey)
    awaits_upload: bool = False
    configuration: dict[str, Any] = field(
        default_factory=lambda: {"delete_protection": False, "block_reads": False, "block_writes": False}
    )
    moments: list[tuple[float, str]] = field(default_factory=list)

    @property
    def hostname(self) -> str:
        return f"127.0.0.1:{self.proxy.port}"

    def described(self) -> dict[str, str]:
        return {"DbId": self.namespace, "Hostname": self.hostname, "Name": self.name, "group": self.group}


class TursoPlatform:
    """`ready_after`: seconds for which a new database does not answer yet. `limit`: databases that the plan allows.
    `busy`: so many requests are refused with 429."""

    def __init__(self, sqld: Sqld, folder: Path, groups: tuple[str, ...] = ("default", "frankfurt")) -> None:
        self.ready_after = 0.0
        self.limit = 10_000
        self.busy = 0
        self.traits = CloudTraits()
        self.databases: dict[str, Database] = {}
        self._sqld = sqld
        self._folder = folder
        self._groups = groups
        self._lock = threading.RLock()
        self.api = Proxy(_nowhere, _Control(self))

    def close(self) -> None:
        self.api.close()
        for database in self.databases.values():
            database.proxy.close()

    def remember_moment(self, name: str) -> int:
        """The state as it is now can be branched off later: as of the millisecond that is answered."""
        database = self.databases[name]
        copy = f"{database.namespace}-{secrets.token_hex(4)}"
        self._sqld.fork(database.namespace, copy)
        moment = int(time.time() * 1000) + 1
        database.moments.append((moment / 1000, copy))
        return moment

    def over_quota(self, name: str) -> None:
        self._sqld.configure(
            self.databases[name].namespace, block_reads=True, block_writes=True, block_reason="over quota"
        )

    # ---- the control API ---------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        with self._lock:
            try:
                self._check(request)
                return Answer(200, json.dumps(self._called(request)).encode())
            except _Refused as refused:
                return refused.answer

    def _check(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            raise _Refused(401, "unauthorized")
        if self.busy:
            self.busy -= 1
            raise _Refused(429, "too many requests", **{"retry-after": "0"})

    def _called(self, request: Request) -> dict[str, Any]:
        split = urlsplit(request.path)
        prefix = f"/v1/organizations/{ORGANIZATION}/databases"
        if not split.path.startswith(prefix):
            raise _Refused(404, "not found")
        parts = tuple(part for part in split.path.removeprefix(prefix).split("/") if part)
        body = json.loads(request.body) if request.body else {}
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        match request.method, parts:
            case "POST", ():
                return {"database": self._create(body).described()}
            case "GET", ():
                return {"databases": self._list(query.get("group"))}
            case "GET", (name,):
                return {"database": self._found(name).described()}
            case "DELETE", (name,):
                return self._delete(name)
            case "PATCH", (name, "configuration"):
                return self._configure(name, body)
            case "POST", (name, "auth", "tokens"):
                return {"jwt": self._mint(name, query)}
            case "POST", (name, "auth", "rotate"):
                return self._rotate(name)
        raise _Refused(404, "not found")

    def _create(self, body: dict[str, Any]) -> Database:
        name, group, seed = body["name"], body["group"], body.get("seed") or {}
        if group not in self._groups:
            raise _Refused(400, "group not found")
        if name in self.databases:
            raise _Refused(409, f"database {name} already exists")
        if len(self.databases) >= self.limit:
            raise _Refused(402, "the plan allows no more databases")
        if len(name) > 64 or not name.replace("-", "").isalnum() or name != name.lower():
            raise _Refused(400, "invalid database name")
        namespace = f"db-{secrets.token_hex(8)}"
        proxy = Proxy(lambda request: (self._sqld.port, self._routed(namespace, request)))
        database = Database(name, group, namespace, time.monotonic() + self.ready_after, proxy)
        proxy.traits = _Data(self, database)
        self._seed(database, seed)
        self.databases[name] = database
        return database

    def _seed(self, database: Database, seed: dict[str, str]) -> None:
        match seed.get("type"):
            case None:
                self._sqld.create(database.namespace, jwt_key=database.key.public)
            case "database":
                source = self._found(seed["name"])
                self._sqld.fork(_at(source, seed.get("timestamp")), database.namespace)
                unblocked = {"block_reads": False, "block_writes": False, "block_reason": None}
                self._sqld.configure(database.namespace, jwt_key=database.key.public, **unblocked)
            case "database_upload":
                database.awaits_upload = True
            case other:
                raise _Refused(400, f"unknown seed {other}")

    def _list(self, group: str | None) -> list[dict[str, str]]:
        return [found.described() for found in self.databases.values() if group in (None, found.group)]

    def _found(self, name: str) -> Database:
        if name not in self.databases:
            raise _Refused(404, f"database {name} not found")
        return self.databases[name]

    def _delete(self, name: str) -> dict[str, Any]:
        database = self._found(name)
        if database.configuration["delete_protection"]:
            raise _Refused(403, "the database is protected against deletion")
        del self.databases[name]
        database.proxy.close()
        if not database.awaits_upload:
            self._sqld.delete(database.namespace)
        return {"database": name}

    def _configure(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        database = self._found(name)
        if body.keys() - database.configuration.keys():
            raise _Refused(400, "unknown configuration")
        database.configuration |= body
        blocks = {key: value for key, value in body.items() if key.startswith("block_")}
        if blocks:
            self._sqld.configure(database.namespace, **blocks)
        return database.configuration

    def _mint(self, name: str, query: dict[str, str]) -> str:
        if query != {"expiration": "never", "authorization": "full-access"}:
            raise _Refused(400, "unknown options")
        database = self._found(name)
        return database.key.mint(database.namespace, seconds=365 * 86_400)

    def _rotate(self, name: str) -> dict[str, Any]:
        database = self._found(name)
        database.key = TokenKey()
        self._sqld.configure(database.namespace, jwt_key=database.key.public)
        return {}

    # ---- the data plane ----------------------------------------------------------------------------------------------

    @staticmethod
    def _routed(namespace: str, request: Request) -> Request:
        """By the host it came to, whatever else it names."""
        headers = {name: value for name, value in request.headers.items() if name != "x-namespace-bin"}
        return replace(request, headers=headers | {"host": f"{namespace}.localhost"})

    def take_upload(self, database: Database, request: Request) -> Answer:
        if not database.awaits_upload:
            return Answer(400, b'{"error":"the database does not wait for an upload"}')
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not _is_signed(token, database.key):
            return Answer(401, b'{"error":"unauthorized"}')
        if not _is_acceptable(request.body):
            return Answer(400, b'{"error":"the file must be in WAL mode with pages of 4096 bytes, in UTF-8"}')
        self._sqld.create(database.namespace)
        self._sqld.script(database.namespace, _dump(request.body, self._folder / database.namespace))
        self._sqld.configure(database.namespace, jwt_key=database.key.public)
        database.awaits_upload = False
        return Answer(200)


class _Control:
    """Every request to the proxy of the control API is answered by the platform."""

    def __init__(self, platform: TursoPlatform) -> None:
        self._platform = platform

    def request(self, request: Request) -> Answer:
        return self._platform.answer(request)

    def answer(self, request: Request, answer: Answer, send: Any) -> Answer:
        return answer


class _Data:
    """A database's host: announced before it answers, then the server with the cloud's habits."""

    def __init__(self, platform: TursoPlatform, database: Database) -> None:
        self._platform = platform
        self._database = database

    def request(self, request: Request) -> Request | Answer:
        if time.monotonic() < self._database.ready_at:
            return Answer(404, b'{"error":"database not found"}')
        if request.path == "/v1/upload":
            return self._platform.take_upload(self._database, request)
        if self._database.awaits_upload:
            return Answer(404, b'{"error":"database not found"}')
        return self._platform.traits.request(request)

    def answer(self, request: Request, answer: Answer, send: Any) -> Answer:
        return self._platform.traits.answer(request, answer, send)


def as_operator(method: str, path: str, body: dict[str, Any]) -> Request:
    """A call of the control API, from somebody who has the platform token: `path` is below `databases`."""
    where = f"/v1/organizations/{ORGANIZATION}/databases{path}"
    return Request(method, where, {"authorization": f"Bearer {TOKEN}"}, json.dumps(body).encode())


def _nowhere(_: Request) -> tuple[int, Request]:
    raise AssertionError("the control API answers by itself")


def _at(source: Database, timestamp: str | None) -> str:
    if timestamp is None:
        return source.namespace
    wanted = datetime.fromisoformat(timestamp).timestamp()
    before = [namespace for moment, namespace in source.moments if moment <= wanted]
    if not before:
        raise _Refused(400, "there is no such moment")
    return before[-1]


def _is_signed(token: str, key: TokenKey) -> bool:
    signed, _, signature = token.rpartition(".")
    try:
        key.private.public_key().verify(base64.urlsafe_b64decode(signature + "=="), signed.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_acceptable(content: bytes) -> bool:
    pages, versions = content[16:18], content[18:20]
    vacuum, encoding = content[52:56], content[56:60]
    return (pages, versions, vacuum, encoding) == (b"\x10\0", b"\2\2", bytes(4), b"\0\0\0\1")


def _dump(content: bytes, path: Path) -> str:
    """Tables before rows, and references looked at when all is there."""
    path.write_bytes(content)
    with closing(sqlite3.connect(path)) as driver:
        begin, *rest = driver.iterdump()
    tables = [statement for statement in rest if statement.startswith("CREATE TABLE")]
    others = [statement for statement in rest if not statement.startswith("CREATE TABLE")]
    return "\n".join([begin, "PRAGMA defer_foreign_keys = ON;", *tables, *others])
