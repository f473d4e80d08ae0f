"""The assembled application: health, the edge, and running inside somebody else's process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from entrypoints.asgi import create_app
from entrypoints.demo_content import Demo
from sync.catalogue import Follower
from tests.conftest import settings_for
from tests.installation import Installation

ACME = "http://acme.localhost:8000"


async def test_health_is_degraded_not_down_while_one_tenant_cannot_be_served(
    installation: Installation, data_dir: Path
) -> None:
    http = installation.http
    assert (await http.get("http://localhost:8000/health")).json() == {"status": "ok"}
    file = next(data_dir.rglob("acme*.db"))
    away = file.rename(file.with_suffix(".away"))
    assert (await http.get(f"{ACME}/authorize")).status_code == 503
    assert (await http.get("http://localhost:8000/health")).json() == {"status": "degraded"}
    assert (await http.get("http://localhost:8000/ready")).status_code == 200
    assert (await http.get("http://globex.localhost:8000/.well-known/jwks.json")).status_code == 200
    away.rename(file)
    assert (await http.get(f"{ACME}/.well-known/jwks.json")).status_code == 200


async def test_every_answer_names_its_request(shared: Installation) -> None:
    answers = [
        await shared.http.get(f"{ACME}{path}") for path in ("/", "/nothing", "/api/v2/roles", "/userinfo")
    ]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == len(answers)


async def test_a_request_id_is_never_taken_from_outside(shared: Installation) -> None:
    answer = await shared.http.get(f"{ACME}/", headers={"X-Request-Id": "mine"})
    assert answer.headers.get_list("x-request-id") != ["mine"]


@pytest.mark.parametrize("path", ["//authorize", "/authorize/", "/%2fauthorize", "/authorize;x", "/x%2fy"])
async def test_two_spellings_never_name_one_handler(shared: Installation, path: str) -> None:
    answer = await shared.http.get(f"{ACME}{path}")
    assert answer.status_code == 404


async def test_metrics_count_answers_and_name_no_tenant(shared: Installation) -> None:
    await shared.http.get(f"{ACME}/.well-known/jwks.json")
    registry = shared.app.metrics.registry
    seen = {
        (sample.name, *sample.labels.values()) for family in registry.collect() for sample in family.samples
    }
    assert ("keystead_requests_total", "GET", "200") in seen
    assert {("keystead_database_open_circuits", kind) for kind in ("libsql", "postgresql")} <= seen
    assert not any("acme" in name for name in seen)


async def test_an_embedding_program_brings_its_own_resolver_and_transform(
    data_dir: Path, golden: tuple[Path, Demo]
) -> None:
    async def by_customer_number(label: str) -> str | None:
        return {"c-4711": "acme"}.get(label)

    def with_help(values: Mapping[str, Any], tenant: Follower) -> Mapping[str, Any]:
        return {**values, "support_url": f"https://help.example.com/{tenant.id}"}

    app = create_app(settings_for(data_dir), resolver=by_customer_number, settings_transform=with_help)
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as http:
        found = await http.get("http://c-4711.localhost:8000/.well-known/openid-configuration")
        assert found.json()["issuer"] == f"{ACME}/"
        assert (await http.get(f"{ACME}/.well-known/jwks.json")).status_code == 404
        page = await http.get("http://c-4711.localhost:8000/authorize")
        assert "https://help.example.com/acme" in page.text or page.status_code == 400


async def test_before_its_lifespan_the_application_answers_503(data_dir: Path) -> None:
    app = create_app(settings_for(data_dir))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as http:
        assert (await http.get("http://localhost:8000/health")).status_code == 503


@pytest.mark.parametrize(
    "path", ["/oauth/token", "/api/v2/roles", "/u/login/identifier", "/dbconnections/signup"]
)
async def test_a_sender_who_leaves_in_the_middle_of_a_body_is_no_fault_of_ours(
    shared: Installation, path: str
) -> None:
    token = (await shared.manager("acme"))._headers["Authorization"]
    headers = [
        (b"host", b"acme.localhost:8000"),
        (b"content-length", b"100"),
        (b"content-type", b"application/json" if "api" in path else b"application/x-www-form-urlencoded"),
        (b"authorization", token.encode() if "api" in path else b""),
    ]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "state": {},
    }  # fmt: skip
    events = iter([{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}])
    answered: list[int] = []

    async def receive() -> Any:
        return next(events)

    async def send(message: Any) -> None:
        answered.append(message.get("status", 0))

    with structlog.testing.capture_logs() as lines:
        await shared.app(scope, receive, send)
    assert 400 <= answered[0] < 500
    assert not [line for line in lines if line["log_level"] == "error"]
