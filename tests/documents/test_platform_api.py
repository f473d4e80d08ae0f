"""`docs/platform-api.md`: its table is the OpenAPI document's, and its examples are answered."""

import re
import shlex

import httpx
import pytest

from tests.documents.repository import read, table_rows
from tests.installation import Installation

pytestmark = pytest.mark.anyio
PAGE = "docs/platform-api.md"
COLUMNS = 4  # of the table of routes


async def test_the_table_lists_every_route_with_its_permission(shared: Installation) -> None:
    issuer = shared.demo.control_plane.issuer
    document = (await shared.http.get(f"{issuer}api/v2/fleet/openapi.json")).json()
    routes = {
        (method.upper(), path, operation["security"][0]["bearer"][0])
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    rows = [row for row in table_rows(PAGE) if len(row) == COLUMNS]
    assert {(row[0], row[1].strip("`"), row[2].strip("`")) for row in rows} == routes


async def test_the_examples_are_answered_in_their_order(installation: Installation) -> None:
    plane = installation.demo.control_plane
    machine = plane.clients["m2m"]
    known = {
        "$URL": plane.issuer.rstrip("/"),
        "$CLIENT_ID": machine.client_id,
        "$CLIENT_SECRET": machine.client_secret or "",
    }
    commands = re.findall(r"curl (?:\\\n|[^|\n])+", read(PAGE))
    assert len(commands) > 10
    for command in commands:
        answer = await sent(installation.http, filled(command.replace("\\\n", " "), known))
        assert answer.is_success, f"{command}: {answer.status_code} {answer.text}"
        if "oauth/token" in command:
            known["$TOKEN"] = answer.json()["access_token"]


def filled(command: str, known: dict[str, str]) -> list[str]:
    for name in sorted(known, key=len, reverse=True):
        command = command.replace(name, known[name])
    return shlex.split(command)[1:]


async def sent(http: httpx.AsyncClient, words: list[str]) -> httpx.Response:
    method, address, headers, fields = "", "", {}, []
    rest = iter(words)
    for word in rest:
        match word:
            case "-s":
                continue
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            case "-d":
                fields.append(next(rest))
            case _:
                address = word
    if fields:
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    body = "&".join(fields).encode() or None
    return await http.request(method or ("POST" if body else "GET"), address, headers=headers, content=body)
