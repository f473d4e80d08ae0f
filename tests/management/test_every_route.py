"""What is true of every route of the OpenAPI document, asked of each one."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tenant_runtime.app import tenant_app
from tenant_runtime.management.permissions import PLATFORM, TENANT
from tests.management.world import EVERYTHING, PLATFORM_TOO, World

pytestmark = pytest.mark.anyio

WRITING = ("post", "put", "patch", "delete")
READS_BY_POST = "/api/v2/jobs/users-exports"
"""As Auth0 has it: who may read users may have them all in a file."""

IDS = {
    "id": "org_0000000000000000",
    "key": "rs_0000000000000000",
    "user_id": "auth0|000000000000000000000000",
}


@cache
def document() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.dumps(tenant_app().openapi_schema.to_schema()))
    return value


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        if not path.startswith("/api/v2/"):
            continue
        for method, operation in methods.items():
            if method in ("get", *WRITING):
                yield method, path, operation


ROUTES = [
    pytest.param(method, path, operation, id=f"{method} {path}") for method, path, operation in operations()
]
WRITES = [param for param in ROUTES if param.values[0] in WRITING]
WITH_ID = [param for param in ROUTES if "{" in param.values[1]]


def filled(path: str) -> str:
    for name in ("client_id", "name", *IDS):
        path = path.replace(f"{{{name}}}", IDS.get(name, "nobody"))
    return path.removeprefix("/api/v2")


def permissions(operation: dict[str, Any]) -> set[str]:
    return {scope for entry in operation["security"] for scopes in entry.values() for scope in scopes}


def test_the_document_describes_the_whole_api() -> None:
    paths = {path for _, path, _ in operations()}
    for name in (
        "tenants/settings",
        "resource-servers",
        "roles",
        "clients",
        "client-grants",
        "users",
        "organizations",
    ):
        assert f"/api/v2/{name}" in paths
    assert len(ROUTES) > 50


@pytest.mark.parametrize(("method", "path", "operation"), ROUTES)
def test_every_route_needs_a_permission_that_exists(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    assert permissions(operation)
    assert permissions(operation) <= TENANT.keys()
    assert not permissions(operation) & PLATFORM.keys()


def test_the_document_names_pages_and_repeated_requests() -> None:
    by_id = {operation["operationId"]: operation for _, _, operation in operations()}
    named = {name: {item["name"] for item in by_id[name].get("parameters", ())} for name in by_id}
    assert {"page", "per_page", "include_totals", "from", "take", "q", "sort"} <= named["list_users"]
    assert {"Idempotency-Key", "wait"} <= named["create_role"]
    assert {"401", "403"} <= by_id["get_role"]["responses"].keys()


@pytest.mark.parametrize(("method", "path", "operation"), WRITES)
def test_no_write_is_granted_by_a_read(method: str, path: str, operation: dict[str, Any]) -> None:
    reads = [permission for permission in permissions(operation) if permission.startswith("read:")]
    assert reads == (["read:users"] if path == READS_BY_POST else [])


async def test_no_token_is_401_everywhere(world: World) -> None:
    nobody = world.acme.with_token(None)
    for method, path, _ in operations():
        answer = await nobody(method.upper(), filled(path), {} if method in WRITING else None)
        assert answer.status_code == 401, (method, path)
        assert 'Bearer error="invalid_token"' in answer.headers["www-authenticate"]
        assert answer.json().keys() == {"statusCode", "error", "message", "errorCode"}


async def test_a_token_of_another_tenant_is_401_everywhere(world: World) -> None:
    stranger = world.acme.with_token(world.globex.token())
    for method, path, _ in operations():
        answer = await stranger(method.upper(), filled(path), {} if method in WRITING else None)
        assert answer.status_code == 401, (method, path)


async def test_a_token_for_another_tenants_organization_is_403_everywhere(world: World) -> None:
    token = world.one.token(EVERYTHING, org_id=world.globex.tenant.organization_id)
    for method, path, _ in operations():
        answer = await world.acme.with_token(token)(
            method.upper(), filled(path), {} if method in WRITING else None
        )
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "insufficient_reach"), (method, path)


async def test_without_the_permission_every_route_is_403_and_names_it(world: World) -> None:
    for method, path, operation in operations():
        others = EVERYTHING - permissions(operation)
        caller = world.acme.with_token(world.acme.token(others))
        answer = await caller(method.upper(), filled(path), {} if method in WRITING else None)
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "insufficient_scope"), (method, path)
        assert all(permission in answer.json()["message"] for permission in permissions(operation))


async def test_reading_permissions_change_nothing(world: World) -> None:
    reader = world.acme.api(*(permission for permission in EVERYTHING if permission.startswith("read:")))
    for method, path, _ in operations():
        if method in WRITING and path != READS_BY_POST:
            answer = await reader(method.upper(), filled(path), {})
            assert answer.status_code == 403, (method, path)


async def test_an_operator_who_may_only_read_tenants_changes_none(world: World) -> None:
    token = world.one.token(PLATFORM_TOO - {"update:tenants"})
    for method, path, _ in operations():
        if method in WRITING:
            answer = await world.acme.with_token(token)(method.upper(), filled(path), {})
            assert (answer.status_code, answer.json()["errorCode"]) == (403, "insufficient_reach"), (
                method,
                path,
            )


async def test_an_id_that_is_nobodys_is_404_or_changes_nothing(world: World) -> None:
    api = world.acme.api()
    for method, path, _ in operations():
        if "{" not in path or method not in ("get", "delete"):
            continue
        body = (
            {"members": ["x"], "roles": ["x"], "permissions": [], "users": ["x"]}
            if method == "delete"
            else None
        )
        answer = await api(method.upper(), filled(path), body if path.count("/") > 4 else None)
        assert answer.status_code in (404, 204, 400), (method, path, answer.text)
        assert method == "delete" or answer.status_code == 404, (method, path)


async def test_a_body_that_is_no_object_or_too_large_is_refused_everywhere(world: World) -> None:
    api, deep = world.acme.api(), '{"metadata":' * 5000 + "1" + "}" * 5000
    for method, path, operation in operations():
        if method not in ("post", "patch") or not takes_json(operation):
            continue
        json_type = {"content-type": "application/json"}
        for content in ('"text"', "[]", "null", "{", '{"nobody_knows": 1}', "[" * 2000, deep):
            answer = await api(method.upper(), filled(path), content=content, headers=json_type)
            assert answer.status_code == 400, (method, path, content[:20], answer.text)
        large = await api(
            method.upper(), filled(path), content='{"a":"' + "x" * 300_000 + '"}', headers=json_type
        )
        assert large.status_code == 413, (method, path)
        form = await api(method.upper(), filled(path), data={"name": "x"})
        assert form.status_code == 415, (method, path)


def takes_json(operation: dict[str, Any]) -> bool:
    return "application/json" in operation.get("requestBody", {}).get("content", {})


async def test_every_answer_is_kept_by_nobody(world: World) -> None:
    answer = await world.acme.api().get("/roles")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
