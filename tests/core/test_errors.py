"""Every error in every shape, through a real application."""

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
import structlog
from litestar import Litestar, Request, Response, Router, get, post
from litestar.params import FromQuery, JSONBody

from core import errors
from core.errors import (
    IdentityError,
    InsufficientScope,
    InvalidToken,
    OAuthError,
    RateLimited,
    Unauthenticated,
)
from core.http.errors import (
    as_authentication,
    as_management,
    as_oauth,
    as_problem,
    page_renderer,
    printable,
    to_identity_error,
)

CLASSES = [
    value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, IdentityError)
]
raised: dict[str, Exception] = {}


class Body(msgspec.Struct, forbid_unknown_fields=True):
    name: str


def made(kind: type[IdentityError]) -> IdentityError:
    tells_of = {errors.ManagedByControlPlane: "role", errors.UseDpopNonce: "a nonce"}
    return kind(tells_of[kind]) if kind in tells_of else kind()


@get("/raise", sync_to_thread=False)
def raise_it() -> None:
    raise raised["it"]


@get("/number", sync_to_thread=False)
def number(amount: FromQuery[int]) -> int:
    return amount


@post("/body", sync_to_thread=False)
def body(data: JSONBody[Body]) -> str:
    return data.name


@get("/answer", sync_to_thread=False)
def answer_that_cannot_be_encoded() -> dict[str, Any]:
    return {"text": "\ud800", "thing": object()}


def page(_: Request[Any, Any, Any], error: IdentityError, support_id: str) -> Response[Any]:
    return Response(f"<p>{error.description} {support_id}</p>", media_type="text/html")


SHAPES: dict[str, Callable[..., Response[Any]]] = {
    "management": as_management,
    "oauth": as_oauth,
    "authentication": as_authentication,
    "problem": as_problem,
    "page": page_renderer(page),
}


class Caller:
    """Asks the application as the edge hands requests to it."""

    def __init__(self, app: Litestar) -> None:
        async def edge(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": {"request_id": "request-1"}}, receive, send)

        transport = httpx.ASGITransport(edge, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://acme.example.com")
        self._runner = asyncio.Runner()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **options))

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


@pytest.fixture(scope="module")
def client() -> Iterator[Caller]:
    routers = [
        Router(
            f"/{name}",
            route_handlers=[raise_it, number, body, answer_that_cannot_be_encoded],
            exception_handlers={Exception: shape},
        )
        for name, shape in SHAPES.items()
    ]
    app = Litestar(
        routers, exception_handlers={Exception: as_management}, openapi_config=None, logging_config=None
    )
    caller = Caller(app)
    yield caller
    caller.close()


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    """What the application logs meanwhile."""
    with structlog.testing.capture_logs() as logged:
        yield logged


def ask(client: Caller, shape: str, error: Exception) -> httpx.Response:
    raised["it"] = error
    return client.request("GET", f"/{shape}/raise")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_answered_in_every_shape(
    client: Caller, shape: str, kind: type[IdentityError]
) -> None:
    error = made(kind)
    answer = ask(client, shape, error)
    assert answer.status_code == error.status
    for name, value in error.headers.items():
        assert answer.headers[name] == value
    assert error.description in answer.text.replace('\\"', '"') or shape == "oauth"
    if shape != "page":
        assert answer.headers["cache-control"] == "no-store"
        assert isinstance(answer.json(), dict)
    if error.status == 401:
        assert answer.headers["www-authenticate"]


@pytest.mark.parametrize("kind", CLASSES)
def test_management_errors_have_auth0s_four_fields(client: Caller, kind: type[IdentityError]) -> None:
    error = made(kind)
    found = ask(client, "management", error).json()
    assert list(found) == ["statusCode", "error", "message", "errorCode"]
    assert (found["statusCode"], found["errorCode"]) == (error.status, error.code)
    assert found["error"][0].isupper()


@pytest.mark.parametrize("kind", CLASSES)
def test_oauth_errors_hold_only_what_rfc_6749_allows(client: Caller, kind: type[IdentityError]) -> None:
    error = made(kind)
    found = ask(client, "oauth", error).json()
    assert list(found) == ["error", "error_description"]
    assert found["error_description"] == printable(found["error_description"])
    if isinstance(error, OAuthError):
        assert found["error"] == error.code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput(), "invalid_request"),
        (errors.InvalidQuery(), "invalid_request"),
        (errors.NotFound("client"), "invalid_request"),
        (errors.PayloadTooLarge(), "invalid_request"),
        (errors.Unauthenticated(), "invalid_token"),
        (errors.InsufficientScope("read:x"), "insufficient_scope"),
        (errors.InsufficientReach(), "access_denied"),
        (errors.TenantSuspended(), "tenant_suspended"),
        (errors.UnknownTenant(), "tenant_not_found"),
        (errors.DatabaseMissing(), "temporarily_unavailable"),
        (RuntimeError("x"), "server_error"),
    ],
)
def test_an_oauth_client_is_told_registered_codes(client: Caller, error: Exception, code: str) -> None:
    assert ask(client, "oauth", error).json()["error"] == code


def test_descriptions_are_made_printable() -> None:
    assert printable('say "hi" \\ \r\n é\x00') == "say 'hi' / ?? ??"


def test_header_values_cannot_split_the_header(client: Caller) -> None:
    answer = ask(client, "oauth", InvalidToken('a"\r\nSet-Cookie: x=y é'))
    assert "set-cookie" not in answer.headers
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


def test_who_lacks_a_scope_is_told_which(client: Caller) -> None:
    answer = ask(client, "management", InsufficientScope("read:roles", "update:roles"))
    assert answer.json()["message"] == "Insufficient scope, expected any of: read:roles, update:roles"
    assert 'scope="read:roles update:roles"' in answer.headers["www-authenticate"]


def test_a_401_says_bearer_and_invalid_token(client: Caller) -> None:
    for shape in SHAPES:
        challenge = ask(client, shape, Unauthenticated()).headers["www-authenticate"]
        assert challenge.startswith("Bearer ")
        assert 'error="invalid_token"' in challenge


def test_retry_after_is_sent(client: Caller) -> None:
    assert ask(client, "page", RateLimited(retry_after=7)).headers["retry-after"] == "7"


@pytest.mark.parametrize("shape", SHAPES)
def test_the_unforeseen_shows_nothing_but_a_support_id_and_is_logged_once(
    client: Caller, lines: list[Any], shape: str
) -> None:
    answer = ask(client, shape, RuntimeError("SELECT secret FROM /srv/acme.db"))
    assert answer.status_code == 500
    assert "request-1" in answer.text
    for part in ("SELECT", "secret", "acme", "RuntimeError", "Traceback"):
        assert part not in answer.text
    assert [(line["event"], line["support_id"]) for line in lines] == [("unforeseen_exception", "request-1")]
    assert isinstance(lines[0]["exc_info"], RuntimeError)


def test_an_expected_refusal_is_not_an_error_in_the_log(client: Caller, lines: list[Any]) -> None:
    ask(client, "management", errors.Conflict())
    assert lines == []


def test_the_cause_of_an_outage_is_logged_and_not_shown(client: Caller, lines: list[Any]) -> None:
    error = errors.DatabaseMissing()
    error.__cause__ = FileNotFoundError("/srv/acme.db")
    answer = ask(client, "management", error)
    assert "acme" not in answer.text
    assert [line["event"] for line in lines] == ["unavailable"]


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("GET", "/nowhere", None, 404, "not_found"),
        ("DELETE", "/management/number", None, 405, "method_not_allowed"),
        ("GET", "/management/number", None, 400, "invalid_query_string"),
        ("GET", "/management/number?amount=x", None, 400, "invalid_query_string"),
        ("POST", "/management/body", b"{", 400, "invalid_body"),
        ("POST", "/management/body", b'{"name": 1}', 400, "invalid_body"),
        ("POST", "/management/body", b'{"name": "a", "is_system": true}', 400, "invalid_body"),
        ("POST", "/management/body", b"[" * 10_000, 400, "invalid_body"),
        ("POST", "/management/body", b'{"a":' * 10_000, 400, "invalid_body"),
        ("POST", "/management/body", b'{"name": "\xff"}', 400, "invalid_body"),
        ("POST", "/management/body", b'\xef\xbb\xbf{"name": "a"}', 400, "invalid_body"),
        ("POST", "/management/body", '{"name": "a"}'.encode("utf-16"), 400, "invalid_body"),
        ("POST", "/management/body", b'{"name": "\\ud800"}', 400, "invalid_body"),
        ("POST", "/management/body", b'{"name": "' + b"x" * 11_000_000 + b'"}', 413, "payload_too_large"),
    ],
)
def test_what_the_framework_refuses_has_our_shape(
    client: Caller, lines: list[Any], method: str, path: str, content: bytes | None, status: int, code: str
) -> None:
    headers = {"content-type": "application/json"} if content else {}
    answer = client.request(method, path, content=content, headers=headers)
    assert (answer.status_code, answer.json()["errorCode"]) == (status, code)
    assert len(answer.text) < 600
    assert "http://" not in answer.text
    assert lines == []


@pytest.mark.parametrize("fault", [UnicodeDecodeError("utf-8", b"x", 0, 1, "y"), RecursionError(), "answer"])
def test_a_fault_of_ours_is_never_called_the_senders(client: Caller, fault: Exception | str) -> None:
    answer = (
        client.request("GET", "/management/answer") if fault == "answer" else ask(client, "management", fault)
    )  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["errorCode"]) == (500, "server_error")


def test_a_wrong_method_says_which_are_right(client: Caller) -> None:
    assert "GET" in client.request("DELETE", "/management/number").headers["allow"]


def test_a_malformed_member_is_named(client: Caller) -> None:
    answer = client.request("POST", "/management/body", json={"name": 1})
    assert "name" in answer.json()["message"]


def test_problem_details_have_their_media_type(client: Caller) -> None:
    answer = ask(client, "problem", errors.Unavailable())
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.content)["status"] == 503


def test_mapping_is_a_pure_function() -> None:
    error = errors.Conflict()
    assert to_identity_error(error) is error
    assert isinstance(to_identity_error(ZeroDivisionError()), errors.ServerError)
    assert isinstance(to_identity_error(msgspec.DecodeError("x")), errors.InvalidInput)
