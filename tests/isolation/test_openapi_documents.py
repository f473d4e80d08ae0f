"""Requests made of the OpenAPI documents by schemathesis: every answer is one that the document tells of, none is a
fault of the server's, and who belongs to another tenant gets nothing.

Examples come from a seed, so a run is like the last one. What fails is shown as a command that repeats it.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from litestar import Litestar
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from controlplane.app import platform_app
from tenant_runtime.app import tenant_app
from tests.installation import Installation

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SEED = 20261128
REFUSED = {401, 403, 404}
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@cache
def document(app: Litestar) -> Any:
    encoded = msgspec.json.encode(app.openapi_schema.to_schema(), enc_hook=msgspec.to_builtins)
    whole = msgspec.json.decode(encoded)
    whole["paths"] = {path: item for path, item in whole["paths"].items() if path.startswith("/api/v2/")}
    return schemathesis.openapi.from_dict(whole)


def cases(app: Litestar, examples: int, *modes: GenerationMode) -> Iterator[Case]:
    for found in document(app).get_all_operations():
        for mode in modes:
            yield from _examples(found.ok(), mode, examples)


def _examples(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, count: int) -> list[Case]:
    made: list[Case] = []

    @seed(SEED)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def collect(case: Case) -> None:
        made.append(case)

    try:
        collect()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, operation.label  # nothing could be wrong about it
    return made


class Sender:
    def __init__(self, http: httpx.AsyncClient, origin: str, token: str) -> None:
        self._http = http
        self._origin = origin.rstrip("/")
        self._token = token

    async def send(self, case: Case) -> httpx.Response:
        wanted = {**case.as_transport_kwargs(base_url=self._origin), "cookies": None}
        said = requests.Request(**wanted).prepare()
        headers = {name: value for name, value in said.headers.items() if name.lower() != "authorization"}
        headers = {name: value for name, value in headers.items() if str(value).isascii()}
        headers["authorization"] = f"Bearer {self._token}"
        body = said.body.encode() if isinstance(said.body, str) else said.body
        return await self._http.request(str(said.method), str(said.url), headers=headers, content=body)


async def check_told(sender: Sender, chosen: Iterator[Case]) -> None:
    """Nothing that the document does not tell of."""
    found = []
    for case in chosen:
        response = await sender.send(case)
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as failures:
            told = "; ".join(str(failure).replace("\n", " ")[:300] for failure in failures.exceptions)
            found.append(f"{case.operation.label}: {response.status_code} {response.text[:200]}: {told}")
    assert not found, "\n".join(found)


async def _check(installation: Installation, examples: int) -> None:
    api, operator = await installation.manager("acme"), await installation.operator()
    issuer, plane = installation.tenant("acme").issuer, installation.demo.control_plane.issuer
    tenant = Sender(installation.http, issuer, bearer(api))
    platform = Sender(installation.http, plane, bearer(operator))
    await check_told(tenant, cases(tenant_app(), examples, *MODES))
    await check_told(platform, cases(platform_app(), examples, *MODES))


def bearer(api: Any) -> str:
    token: str = api._headers["Authorization"].removeprefix("Bearer ")
    return token


async def test_every_answer_is_as_the_documents_say(installation: Installation) -> None:
    await _check(installation, examples=1)


@pytest.mark.long
async def test_every_answer_is_as_the_documents_say_for_many_requests(installation: Installation) -> None:
    await _check(installation, examples=20)


async def test_whoever_belongs_to_another_tenant_gets_nothing(shared: Installation) -> None:
    stranger = bearer(await shared.manager("globex"))
    issuer, plane = shared.tenant("acme").issuer, shared.demo.control_plane.issuer
    for origin, app in ((issuer, tenant_app()), (plane, platform_app())):
        sender = Sender(shared.http, origin, stranger)
        answers = {
            case.operation.label: (await sender.send(case)).status_code
            for case in cases(app, 1, GenerationMode.POSITIVE)
        }
        assert len(answers) > 20
        assert {label: status for label, status in answers.items() if status not in REFUSED} == {}
