"""The worst that a pattern could be given, in every member of every body: refused or taken at once
(`specs/bad-inputs.md` 137). The protocol's are asked in `isolation.test_no_odd_request_is_a_server_error`."""

import json
from collections.abc import Iterator
from functools import cache
from time import process_time
from typing import Any

import pytest

from tenant_runtime.app import tenant_app
from tests.management.world import Place

pytestmark = pytest.mark.anyio

LONG = 50_000
BAITS = ("a" * LONG, "a@" + "a." * (LONG // 2), "https://" + "a-" * (LONG // 2) + "!", "-" * LONG + "\u00e9")
MOST_SECONDS = 0.05
TRIES = 4
IDS = {
    "id": "org_0000000000000000",
    "key": "rs_0000000000000000",
    "user_id": "auth0|000000000000000000000000",
}


@cache
def document() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.dumps(tenant_app().openapi_schema.to_schema()))
    return value


def members_with_text(schema: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Names, and whether the text stands in a list."""
    for name, member in schema.get("properties", {}).items():
        kinds = [member, *member.get("oneOf", ()), *member.get("anyOf", ())]
        if any(kind.get("type") == "string" for kind in kinds):
            yield name, False
        elif any(
            kind.get("type") == "array" and kind.get("items", {}).get("type") == "string" for kind in kinds
        ):
            yield name, True


def bodies() -> Iterator[tuple[str, str, dict[str, Any]]]:
    asked: set[tuple[str, str]] = set()
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            schema = document()["components"]["schemas"].get(name, {})
            for member, is_list in members_with_text(schema):
                if (name, member) in asked:
                    continue
                asked.add((name, member))
                for bait in BAITS:
                    yield method.upper(), path, {member: [bait] if is_list else bait}


async def test_no_member_of_a_body_takes_long_over_it(acme: Place) -> None:
    api, slow, asked = acme.api(), [], 0
    for method, path, body in bodies():
        for name in ("client_id", "name", *IDS):
            path = path.replace(f"{{{name}}}", IDS.get(name, "nobody"))
        seconds = []
        for _ in range(TRIES):
            started = process_time()
            answer = await api(method, path.removeprefix("/api/v2"), body)
            seconds.append(process_time() - started)
            if seconds[-1] < MOST_SECONDS:
                break
        assert answer.status_code < 500, (method, path, list(body))
        asked += 1
        if min(seconds) >= MOST_SECONDS:
            slow.append(f"{method} {path} {list(body)} {min(seconds) * 1000:.0f} ms")
    assert not slow, "\n".join(slow)
    assert asked > 300


@pytest.mark.parametrize("name", ["User-Agent", "Accept-Language", "Idempotency-Key", "If-Match", "Origin"])
async def test_no_header_takes_long_either(acme: Place, name: str) -> None:
    api = acme.api()
    for bait in ("a" * LONG, "a," * (LONG // 2), "(" * LONG, "-" * LONG):
        seconds = []
        for _ in range(TRIES):
            started = process_time()
            answer = await api("GET", "/roles", headers={name: bait})
            seconds.append(process_time() - started)
        assert answer.status_code < 500
        assert min(seconds) < MOST_SECONDS, name
