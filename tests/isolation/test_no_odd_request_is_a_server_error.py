"""Whatever is sent to an endpoint or a page of the protocol: a mistake of the sender, told in the shape that they
understand, quickly, kept by no cache, and with nothing in it that a browser would run (`specs/bad-inputs.md` 31, 42,
51, 75, 113, 136, 137, 139)."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import monotonic, process_time
from typing import Any
from urllib.parse import urlsplit

import pytest

from entrypoints.demo_content import Demo
from tests.isolation.kinds import registration_token
from tests.isolation.odd_requests import JSON, Attack, Place, attacks
from tests.isolation.places import REGISTRATION, places_of
from tests.isolation.raw import Answer, Header, ask
from tests.isolation.sides import Side, two_sides
from tests.isolation.test_no_input_is_a_server_error import DOCUMENTS, VALUES

pytestmark = pytest.mark.anyio

SECONDS = 6.0
MOST_SECONDS = 0.05
"""Of the processor."""

TRIES = 4
"""What else the process had to do meanwhile, such as to read a changed configuration, is no fault of the input."""

PROGRAMS = (".well-known/", "oauth/", "oidc/register", "passwordless/", "dbconnections/", "userinfo", "api/")


@pytest.fixture(scope="module")
async def side(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Side]:
    async with two_sides(golden, tmp_path_factory.mktemp("odd")) as sides:
        yield sides.a


def registrations(token: str, client_id: str = "") -> Iterator[Attack]:
    """With an initial access token, or of a client that changes itself."""
    path, method = (f"oidc/register/{client_id}", "PUT") if client_id else ("oidc/register", "POST")
    place = Place(path, {}, method, headers={"Authorization": f"Bearer {token}", "Content-Type": JSON})
    said = {**REGISTRATION, "client_id": json.dumps(client_id)} if client_id else REGISTRATION
    needed = ["redirect_uris", "token_endpoint_auth_method", *(["client_id"] if client_id else [])]
    bodies = [*DOCUMENTS]
    for name in said:
        rest = "".join(f",{json.dumps(other)}:{said[other]}" for other in needed if other != name)
        bodies += [f"{{{json.dumps(name)}:{value}{rest}}}".encode() for value in (*VALUES, said[name])]
    for body in bodies:
        yield Attack(place, method, body, place.headers)


async def sent(side: Side, attack: Attack, number: int) -> tuple[Answer, float]:
    """The answer, and the seconds that it took; each is from an address of its own."""
    raw: list[Header] = [(b"host", urlsplit(side.issuer).netloc.encode())]
    raw += [(name.lower().encode(), value.encode("latin-1")) for name, value in attack.headers.items()]
    what: dict[str, Any] = {"method": attack.method, "body" if attack.has_body else "query": attack.encoded}
    seconds = []
    for tried in range(TRIES):
        peer = f"10.{number >> 8 & 255}.{number & 255}.{tried + 1}"
        started = process_time()
        answer = await ask(side.mail.installation.app, f"/{attack.place.path}", raw, peer=peer, **what)
        seconds.append(process_time() - started)
        if seconds[-1] < MOST_SECONDS:
            break
    return answer, min(seconds)


def faults(attack: Attack, answer: Answer, seconds: float) -> Iterator[str]:
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in answer.headers}
    if answer.status >= 500:
        yield f"is {answer.status}"
    if seconds > MOST_SECONDS:
        yield f"took {seconds * 1000:.0f} ms"
    if "x-injected" in headers or any("\n" in value for value in headers.values()):
        yield "splits the headers"
    is_public = attack.place.path.startswith(".well-known/") and answer.status == 200
    if attack.method != "OPTIONS" and not is_public and headers.get("cache-control") != "no-store":
        yield "may be kept"
    yield from _of_body(attack, answer, headers.get("content-type", ""))


def _of_body(attack: Attack, answer: Answer, kind: str) -> Iterator[str]:
    text = answer.body.decode("utf-8", "replace")
    if kind.startswith("text/html") and ("<script>canary" in text or "\"'>" in text):
        yield "echoes markup"
    if not text or answer.status < 400:
        return
    if not attack.place.path.startswith(PROGRAMS):
        if not kind.startswith("text/html"):
            yield f"is no page but {kind}"
        return
    if not kind.startswith("application/json"):
        yield f"is no JSON but {kind}"
        return
    body = json.loads(text)
    if attack.place.path.startswith("dbconnections/"):
        if body.keys() != {"name", "code", "description", "message", "statusCode"}:
            yield "is in another shape"
    elif attack.place.path.startswith("api/"):
        if body.keys() != {"statusCode", "error", "message", "errorCode"}:
            yield "is in another shape"
    elif not (body.keys() <= {"error", "error_description"} and body["error"]):
        yield "is in another shape"
    elif not set(body.get("error_description", "")) <= ALLOWED:
        yield "says what no description may"


ALLOWED = {chr(code) for code in range(0x20, 0x7F)} - {'"', "\\"}
"""RFC 6749 appendix A.8."""


async def test_no_odd_request_is_a_server_error(side: Side) -> None:
    """As many as fit into the time, others each day, the same all day long."""
    found = [attack for place in await places_of(side) for attack in attacks(place)]
    manager = await side.mail.installation.manager(side.tenant.id)
    token = (await manager.post("/client-registration-tokens", {"max_uses": 10_000}))["token"]
    await manager.patch(
        "/tenants/settings", {"client_registration": {"mode": "initial_token", "max_clients": 100_000}}
    )
    found += registrations(token)
    own, own_token = (await registration_token(side)).split(" ")
    found += registrations(own_token, own)
    Random(datetime.now(UTC).toordinal()).shuffle(found)
    until, wrong = monotonic() + SECONDS, []
    for number, attack in enumerate(found):
        if monotonic() > until:
            break
        answer, seconds = await sent(side, attack, number)
        wrong += [
            f"{fault}: {attack} -> {answer.status} {answer.body[:200]!r}"
            for fault in faults(attack, answer, seconds)
        ]
    assert not wrong, "\n".join(wrong)
