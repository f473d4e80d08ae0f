"""Guards on a real application: who passes, and what the others are told (RFC 6750 section 3)."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, Response, get
from litestar.di import NamedDependency, Provide

from keystead_sdk import KeysteadError, Misused, Principal
from keystead_sdk.litestar import (
    KeysteadPlugin,
    authenticate,
    challenge_headers,
    render_error,
    require_organization,
    require_permission,
    require_scope,
)
from keystead_sdk.testing import FakeIssuer

pytestmark = pytest.mark.anyio
opened: list[str] = []


async def open_database() -> str:
    opened.append("database")
    return "database"


@get("/me")
async def me(principal: NamedDependency[Principal]) -> dict[str, Any]:
    return {"sub": principal.subject, "org_id": principal.org_id}


@get(
    "/invoices",
    guards=[require_permission("read:invoices")],
    dependencies={"database": Provide(open_database)},
)
async def invoices(database: NamedDependency[str]) -> str:
    return database


@get("/both", guards=[require_permission("read:invoices", "read:people")])
async def both(request: Request[Principal, Any, Any]) -> str:
    return request.user.subject


@get("/scope", guards=[require_scope("read:invoices")])
async def scope() -> str:
    return "in"


@get("/organization", guards=[require_organization])
async def organization() -> str:
    return "in"


@get("/open", opt={"exclude_from_auth": True})
async def open_to_all() -> str:
    return "in"


@get("/contradiction", opt={"exclude_from_auth": True}, guards=[require_permission("read:invoices")])
async def contradiction() -> str:
    return "in"


HANDLERS = [me, invoices, both, scope, organization, open_to_all, contradiction]


@pytest.fixture(scope="module")
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
async def client(issuer: FakeIssuer) -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(HANDLERS, plugins=[KeysteadPlugin(issuer.verifier())], logging_config=None)
    transport = httpx.ASGITransport(app=app)
    opened.clear()
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        yield client


async def test_a_token_lets_its_subject_in(client: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    answer = await client.get("/me", headers=issuer.headers(org_id="org_1"))
    assert answer.json() == {"sub": "auth0|0123456789abcdef01234567", "org_id": "org_1"}
    lower = {"authorization": issuer.headers()["Authorization"].replace("Bearer", "bEaReR")}
    assert (await client.get("/me", headers=lower)).status_code == 200


async def test_without_a_token_no_error_is_named(client: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": f"DPoP {issuer.token()}"}):
        answer = await client.get("/me", headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_a_token_in_the_address_is_no_token(client: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    assert (await client.get("/me", params={"access_token": issuer.token()})).status_code == 401


async def test_a_bad_token_is_challenged(client: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    answer = await client.get("/invoices", headers={"Authorization": f"Bearer {issuer.token()}x"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", error_description="')
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["error"] == "invalid_token"
    assert opened == []


async def test_two_tokens_or_an_empty_one_are_a_bad_request(
    client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    value = issuer.headers()["Authorization"]
    two = [("Authorization", value), ("Authorization", value)]
    for headers in (two, [("Authorization", "Bearer ")], [("Authorization", "Bearer")]):
        answer = await client.get("/me", headers=headers)
        assert answer.status_code == 400
        assert 'error="invalid_request"' in answer.headers["WWW-Authenticate"]


async def test_a_missing_permission_is_named_before_any_database_opens(
    client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    answer = await client.get("/invoices", headers=issuer.headers(permissions=["read:people"]))
    assert answer.status_code == 403
    assert answer.headers["WWW-Authenticate"].endswith(', scope="read:invoices"')
    assert answer.json()["error"] == "insufficient_scope"
    assert opened == []
    assert (
        await client.get("/invoices", headers=issuer.headers(permissions=["read:invoices"]))
    ).text == "database"


async def test_every_permission_named_is_needed(client: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    one = issuer.headers(permissions=["read:invoices"])
    both = issuer.headers(permissions=["read:invoices"], scopes=["read:people"])
    assert (await client.get("/both", headers=one)).status_code == 403
    assert (await client.get("/both", headers=both)).status_code == 200


async def test_a_scope_is_not_a_permission(client: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    permitted = issuer.headers(permissions=["read:invoices"])
    assert (await client.get("/scope", headers=permitted)).status_code == 403
    assert (await client.get("/scope", headers=issuer.headers(scopes=["read:invoices"]))).status_code == 200


async def test_an_organization_can_be_required(client: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    answer = await client.get("/organization", headers=issuer.headers())
    assert (answer.status_code, answer.json()["error"]) == (403, "organization_required")
    assert (await client.get("/organization", headers=issuer.headers(org_id="org_1"))).status_code == 200


async def test_open_routes_are_open_but_never_half_open(
    client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    assert (await client.get("/open")).text == "in"
    answer = await client.get("/contradiction", headers=issuer.headers(permissions=["read:invoices"]))
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
    assert "guard" not in answer.text


async def test_keys_out_of_reach_are_no_fault_of_the_caller(issuer: FakeIssuer) -> None:
    async def fetch(_: str) -> bytes:
        raise OSError

    app = Litestar([me], plugins=[KeysteadPlugin(issuer.verifier(fetch=fetch))], logging_config=None)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://api.test"
    ) as client:
        answer = await client.get("/me", headers=issuer.headers())
    assert answer.status_code == 503
    assert "WWW-Authenticate" not in answer.headers


async def test_an_application_can_shape_errors_its_own_way(issuer: FakeIssuer) -> None:
    def render(_: Request[Any, Any, Any], error: KeysteadError) -> Response[dict[str, Any]]:
        return Response(
            {"statusCode": error.status}, status_code=error.status, headers=challenge_headers(error)
        )

    app = Litestar(
        [scope],
        guards=[authenticate(issuer.verifier())],
        exception_handlers={KeysteadError: render},
        logging_config=None,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://api.test"
    ) as client:
        answer = await client.get("/scope", headers=issuer.headers())
    assert (answer.status_code, answer.json()) == (403, {"statusCode": 403})
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


async def test_a_guard_without_authentication_above_it_lets_nobody_in(issuer: FakeIssuer) -> None:
    app = Litestar([scope], exception_handlers={KeysteadError: render_error}, logging_config=None)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://api.test"
    ) as client:
        answer = await client.get("/scope", headers=issuer.headers(scopes=["read:invoices"]))
    assert answer.status_code == 500


def test_a_guard_names_what_it_requires() -> None:
    for names in ((), ("",), ('read:"x"',), ("read:a b",)):
        with pytest.raises(Misused):
            require_permission(*names)
        with pytest.raises(Misused):
            require_scope(*names)
