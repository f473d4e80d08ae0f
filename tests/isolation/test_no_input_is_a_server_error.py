"""Whatever is sent to a route of either document, the answer is the sender's mistake or a success, never ours."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from time import monotonic

import httpx
import pytest

from tests.installation import Installation
from tests.isolation.conftest import CONTROL_PLANE, A, Neighbours, neighbours_of
from tests.isolation.routes import (
    PLATFORM_DOCUMENT,
    TENANT_DOCUMENT,
    Route,
    all_routes,
    body_of,
)
from tests.isolation.standing import ids_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECONDS = 15.0
SERVER_ERROR = 500
SCAPEGOAT = "initech"
"""Suspended, deleted and restored on the way; what is asked of `A` must still be there to be asked."""

DOCUMENTS = (
    b"", b"null", b"[]", b'"text"', b"7", b"{", b'{"a"}', b"\xef\xbb\xbf{}", b"\xff\xfe", '{"a":1}'.encode("utf-16"),
    b'{"name":"\\ud800"}', b'{"name":"\\u0000"}', b'{"\\ud800":1}', b'{"a":1,"a":2}', b'{"id":NaN}',
    b'{"name":-Infinity}', b'{"name":1e400}', b'{"name":' + b"9" * 5_000 + b"}",
    b"[" * 10_000, b'{"a":' * 10_000, b'{"name":' + b"[" * 900 + b"]" * 900 + b"}",
)  # fmt: skip
"""Bodies that are no body."""

VALUES: tuple[str, ...] = (
    '"\\ud800"', '"\\u0000"', '"a\\u0000b"', '"a\\r\\nSet-Cookie: x=y"', '""', '"' + "a" * 5_000 + '"',
    '"../../etc/passwd"', '"\' OR 1=1 --"', '"\\u202e\\ufeff\\u2028"', "null", "true", "0", "-1", "9223372036854775808",
    "1" + "0" * 40, "1e400", "1.5", "[]", "{}", "[null]", "[[[[]]]]", '{"a":{"b":{"c":null}}}', '{"":""}',
    '{"\\u0000":"\\u0000"}', '{"a":"\\ud800"}', '{"a":1e400}', '{"a":123456789012345678901234567890}', '["\\ud800"]',
    '["\\u0000"]', '[""]', '["a","a"]', '{"a":' + "[" * 200 + "]" * 200 + "}",
)  # fmt: skip
"""Each stands in for every member of every body."""

SEGMENTS = (
    "%00", "%ff", "%ed%a0%80", "a" * 4_000, "%27%20OR%201=1", "%0d%0aX:y", "..", "%2e%2e", "%25", "%f0%9f%92%a9", "-1",
    "auth0%7C%00", "*", "null",
)  # fmt: skip

QUERY_VALUES = (
    "", "%00", "%ff", "%ed%a0%80", "-1", "0", "1", "9" * 20, "1e9", "%D9%A1", "%C2%B2", "a" * 3_000, "%27", "true",
    "%5B%5D", "%7B%7D", "name:", "name:%22", "name:%00", "name:-1", "id:1", "(((((", "a:[1%20TO%202]",
    "a:%7B%22%5C%22%7D", "*", "/x/", "user_metadata.a%22b:x", "user_metadata.:x", "user_metadata.a.b%5D:x",
    "app_metadata.x:%5B1%20TO%20%5D", "email:*", "_exists_:email", "created_at:%5B0001-01-01%20TO%209999-12-31%5D",
    "created_at:9999-12-31",
    "created_at:1", "logins_count:999999999999999999", "NOT", "a%20AND", "-", "user_id:-1", "sync", "AAAA", "log_%00",
    ",", "a,b,c" * 500,
)  # fmt: skip
QUERY_NAMES = (
    "page", "per_page", "include_totals", "take", "from", "q", "search", "sort", "fields", "include_fields",
    "name_filter", "connection", "email", "is_global", "is_first_party", "app_type", "client_id", "audience",
    "identifiers", "identifier", "wait", "include_provenance", "tenant_id", "state", "label", "confirm", "only",
    "allow_any_organization",
)  # fmt: skip

HEADERS = (
    ("Idempotency-Key", "\u00e9"), ("Idempotency-Key", "k" * 300), ("Content-Type", "text/plain"),
    ("Content-Type", "application/json; charset=utf-16"), ("User-Agent", "\u00ff"), ("tenant-id", "\u00ff"),
    ("tenant-id", "../x"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attack:
    method: str
    url: str
    body: bytes | None = None
    headers: Mapping[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.url[:200]} {(self.body or b'')[:120]!r} {dict(self.headers or {})}"


@pytest.fixture
async def target(installation: Installation) -> Neighbours:
    return await neighbours_of(installation)


def bodies(
    base: str, route: Route, ids: Mapping[str, str], members: Mapping[str, list[str]]
) -> Iterator[Attack]:
    url = base + route.at(ids)
    for document in DOCUMENTS:
        yield Attack(route.method, url, document)
    good = body_of(route, ids) or {}
    if not isinstance(good, dict):  # a list has no members
        return
    for member in members.get(route.body or "", []):
        for value in VALUES:
            kept = {name: item for name, item in good.items() if name != member}
            rest = "".join(f",{json.dumps(name)}:{json.dumps(item)}" for name, item in kept.items())
            yield Attack(route.method, url, f"{{{json.dumps(member)}:{value}{rest}}}".encode())


def addresses(base: str, route: Route, ids: Mapping[str, str]) -> Iterator[Attack]:
    body = json.dumps(body_of(route, ids)).encode() if route.body else None
    if "{" in route.path:
        for segment in SEGMENTS:
            strange = dict.fromkeys((*ids, route.path.split("/")[3]), segment)
            yield Attack(route.method, base + route.at(strange), body)
    if not route.writes:
        for name in QUERY_NAMES:
            for value in QUERY_VALUES:
                yield Attack(route.method, f"{base}{route.at(ids)}?{name}={value}")


def strange_headers(base: str, route: Route, ids: Mapping[str, str]) -> Iterator[Attack]:
    url, body = base + route.at(ids), json.dumps(body_of(route, ids)).encode() if route.body else None
    for name, value in HEADERS:
        yield Attack(route.method, url, body, {name: value})


async def schemas(neighbours: Neighbours) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for host, document in ((A, TENANT_DOCUMENT), (CONTROL_PLANE, PLATFORM_DOCUMENT)):
        answer = (await neighbours.http.get(neighbours.issuer(host) + document)).json()
        for name, schema in answer["components"]["schemas"].items():
            found[name] = list(schema.get("properties", {}))
    return found


async def attacks_on(neighbours: Neighbours) -> list[Attack]:
    members, ids = await schemas(neighbours), {**await ids_of(neighbours, A), "tenant_id": SCAPEGOAT}
    found: list[Attack] = []
    for host, route in await all_routes(neighbours):
        base = neighbours.issuer(host)
        if route.writes:
            found += bodies(base, route, ids, members)
        found += addresses(base, route, ids)
        if route.method in ("POST", "PATCH"):
            found += strange_headers(base, route, ids)
    return found


async def send(http: httpx.AsyncClient, attack: Attack, token: str) -> int:
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        **(attack.headers or {}),
    }
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = await http.request(attack.method, attack.url, content=attack.body, headers=encoded)
    return answer.status_code


async def test_no_route_of_either_document_answers_with_a_server_error(target: Neighbours) -> None:
    """As many as fit into the time, others each day, the same all day long."""
    attacks, token, failed = await attacks_on(target), str(target.platform.token), []
    Random(datetime.now(UTC).toordinal()).shuffle(attacks)
    until = monotonic() + SECONDS
    for attack in attacks:
        if monotonic() > until:
            break
        status = await send(target.http, attack, token)
        if status >= SERVER_ERROR:
            failed.append(f"{status} {attack}")
    assert not failed, "\n".join(failed)
