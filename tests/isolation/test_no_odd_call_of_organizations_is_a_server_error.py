"""Whatever is sent to a route of `/api/auth` by somebody who may everything there: a mistake of the sender, told in the
shape that the client understands, quickly, and kept by no cache (`specs/bad-inputs.md` 31, 88, 96, 113, 136, 137)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from time import monotonic, process_time
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from tests.installation import Installation
from tests.isolation.conftest import A
from tests.isolation.organization_routes import GIVEN, ApiRoute, api_routes
from tests.isolation.organization_standing import Standing, standing
from tests.isolation.raw import Answer, Header, ask
from tests.isolation.test_no_input_is_a_server_error import DOCUMENTS, QUERY_VALUES, VALUES
from tests.organizations.people import AuthClient, signed_in

pytestmark = pytest.mark.anyio

SECONDS = 4.0
MOST_SECONDS = 0.05
"""Of the processor."""

TRIES = 4
JSON = "application/json"
LONG = (
    '"' + "a" * 300 + '"', '"' + "\\ud83d\\udca9" * 100 + '"', '"' + "\\u0130" * 100 + '"', '"' + "@" * 2_000 + '"',
    '"' + "a@b.c" * 1_000 + '"', '"' + "a," * 2_000 + '"', '"' + "-" * 30_000 + '"', '"\\uff0c,\\u2028"',
    '"owner,owner"', '" OWNER "', json.dumps(["a"] * 2_000), json.dumps({str(number): [] for number in range(500)}),
)  # fmt: skip
"""The worst that a pattern, a list of roles or a folded name could be given."""

HEADERS: tuple[Mapping[str, str], ...] = (
    {"content-type": "text/plain"}, {"content-type": ""}, {"content-type": f"{JSON}; charset=utf-16"},
    {"content-type": "application/x-www-form-urlencoded"}, {"content-type": "multipart/form-data; boundary=x"},
    {"content-type": "\u00ff"}, {"origin": "null"}, {"origin": ""}, {"origin": "\u00ff"}, {"origin": "http://["},
    {"cookie": "better-auth.session_token=" + "a" * 9_000}, {"cookie": "better-auth.session_token=%00.%00"},
    {"cookie": "better-auth.session_token=\u00ff.\u00ff"}, {"cookie": "better-auth.session_token=%ED%A0%80.x"},
    {"content-encoding": "gzip"}, {"user-agent": "\u00ff" * 3_000}, {"sec-fetch-mode": "\u00ff"}, {"referer": "\u00ff"},
)  # fmt: skip
ENDING = (
    "/sign-out",
    "/revoke-session",
    "/revoke-sessions",
    "/delete-user",
    "/change-password",
    "/reset-password",
)
"""After these somebody may be signed out."""

UNDOING = tuple(
    f"/organization/{name}" for name in ("delete", "transfer-ownership", "remove-team", "delete-role")
)
"""What stands is wanted until the end: with a body that is right these are not tried."""


@dataclass(frozen=True, slots=True)
class Attack:
    route: ApiRoute
    path: str
    query: bytes = b""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        sent = (self.query or self.body)[:160]
        return f"{self.route.method} {self.path[:160]} {sent!r} {str(dict(self.headers))[:120]}"


def attacks(route: ApiRoute, ids: Mapping[str, str]) -> Iterator[Attack]:
    path, (sent,) = route.path.replace("{token}", "x"), route.sent(ids).values()
    if "{token}" in route.path:
        for value in QUERY_VALUES:
            yield Attack(route, route.path.replace("{token}", value or "%20"))
    if route.method == "GET":
        yield from _queries(route, path, sent)
        return
    usual = json.dumps(sent).encode()
    for document in DOCUMENTS:
        yield Attack(route, path, body=document)
    if route.path not in UNDOING:
        for headers in HEADERS:
            yield Attack(route, path, body=usual, headers=headers)
    for value in (*VALUES, *LONG):
        for body in _with(sent, value):
            yield Attack(route, path, body=body.encode())


def _with(sent: Mapping[str, Any], value: str) -> Iterator[str]:
    """Each member in turn is the value, those of members too."""
    for name, item in sent.items():
        others = {other: json.dumps(kept) for other, kept in sent.items() if other != name}
        for odd in (value, *(_with(item, value) if isinstance(item, dict) else ())):
            yield (
                "{"
                + ",".join(f"{json.dumps(key)}:{text}" for key, text in {**others, name: odd}.items())
                + "}"
            )


def _queries(route: ApiRoute, path: str, sent: Mapping[str, str]) -> Iterator[Attack]:
    more = (
        "limit",
        "offset",
        "sortBy",
        "filterField",
        "filterValue",
        "filterOperator",
        "membersLimit",
        "unknown",
    )
    for name in (*sent, *more, "organizationSlug", "callbackURL"):
        rest = urlencode({other: kept for other, kept in sent.items() if other != name})
        for value in QUERY_VALUES:
            yield Attack(route, path, query=f"{rest}&{quote(name)}={value}".encode())
    for field_name in ("role", "createdAt", "userId", "id", "organizationId"):
        for operator in ("eq", "ne", "lt", "gte", "in", "not_in", "contains", "ends_with"):
            for value in ("", "%00", "%25", "_", "1", "a,b", "%F0%9F%92%A9"):
                asked = f"filterField={field_name}&filterOperator={operator}&filterValue={value}"
                yield Attack(route, path, query=f"{urlencode(sent)}&{asked}".encode())


class Attacker:
    """Signed in, and again where an attack signed them out."""

    def __init__(self, installation: Installation, standing: Standing) -> None:
        self._installation, self._standing = installation, standing
        self._spare: AuthClient | None = None

    async def _person(self, route: ApiRoute) -> AuthClient:
        if route.is_of_an_organization:
            return self._standing.owner
        if self._spare is None:
            self._spare = await signed_in(self._installation, A)
        return self._spare

    async def send(self, attack: Attack, number: int) -> tuple[Answer, float]:
        person, seconds = await self._person(attack.route), []
        cookies = "; ".join(f"{name}={value}" for name, value in person.http.cookies.items())
        usual = {"host": urlsplit(person.issuer).netloc, "origin": person.origin, "cookie": cookies}
        if attack.body:
            usual |= {"content-type": JSON, "content-length": str(len(attack.body))}
        headers: list[Header] = [
            (name.encode(), value.encode("latin-1")) for name, value in {**usual, **attack.headers}.items()
        ]
        for tried in range(TRIES):
            peer = f"10.{number >> 8 & 255}.{number & 255}.{tried + 1}"
            started = process_time()
            answer = await ask(
                self._installation.app,
                f"/api/auth{attack.path}",
                headers,
                method=attack.route.method,
                query=attack.query,
                body=attack.body,
                peer=peer,
            )
            seconds.append(process_time() - started)
            if seconds[-1] < MOST_SECONDS:
                break
        if attack.route.path in ENDING and answer.status == 200:
            self._spare = None
        return answer, min(seconds)


def faults(answer: Answer, seconds: float) -> Iterator[str]:
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in answer.headers}
    if answer.status >= 500:
        yield f"is {answer.status}"
    if seconds > MOST_SECONDS:
        yield f"took {seconds * 1000:.0f} ms"
    if headers.get("cache-control") != "no-store":
        yield "may be kept"
    if any("\n" in value or "\r" in value for value in headers.values()):
        yield "splits the headers"
    if answer.status >= 400 and answer.body and not json.loads(answer.body).keys() <= SHAPE:
        yield "is in another shape"


SHAPE = {"message", "code", "missingPermissions"}


@pytest.fixture(scope="module")
async def place(shared: Installation) -> Standing:
    """Where every path is there."""
    allowed = {"allow_user_deletion": True, "allow_email_change": True}
    await (await shared.manager(A)).patch("/tenants/organizations", allowed)
    return await standing(shared, A, "odd")


async def test_no_odd_call_is_a_server_error(shared: Installation, place: Standing) -> None:
    """As many as fit into the time, others each day, the same all day long."""
    found = [attack for route in api_routes() for attack in attacks(route, place.ids)]
    assert {attack.route.path for attack in found} <= GIVEN.keys()
    Random(datetime.now(UTC).toordinal()).shuffle(found)
    attacker, until, wrong = Attacker(shared, place), monotonic() + SECONDS, []
    for number, attack in enumerate(found):
        if monotonic() > until:
            break
        answer, seconds = await attacker.send(attack, number)
        wrong += [
            f"{fault}: {attack} -> {answer.status} {answer.body[:200]!r}" for fault in faults(answer, seconds)
        ]
    assert not wrong, "\n".join(wrong)
