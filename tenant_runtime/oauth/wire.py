"""A call of a protocol endpoint, read once from ASGI, and the answer to it.

The endpoints that applications call by the thousand are raw ASGI handlers: a typed handler with its body and
dependencies costs several times as much (`specs/stack.md` section 2), and the protocol wants stricter reading than
a framework gives: a repeated parameter, a second content type or a body that is too long is an error.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
from litestar.types import HTTPScope, Receive, Scope, Send

from core.clock import now_ms
from core.errors import IdentityError, InvalidRequest
from core.http.security import API_HEADERS
from core.tenants import Tenant
from tenant_runtime.dependencies import Services
from tenant_runtime.oauth.body import JSON, media_type, parse_form, parse_json, read_body
from tenant_runtime.oauth.cors import ANY_ORIGIN, cross_origin_headers, preflight_headers

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Call:
    """What an endpoint may know of its request."""

    tenant: Tenant
    services: Services
    method: str
    path: str
    headers: Mapping[bytes, tuple[bytes, ...]]
    query: bytes
    ip: str
    request_id: str
    now_ms: int
    receive: Receive = field(repr=False)

    def one_header(self, name: bytes) -> str | None:
        """A header that may be there once at most."""
        values = self.headers.get(name, ())
        if len(values) > 1:
            raise InvalidRequest(f"More than one {name.decode()} header.")
        return values[0].decode("latin-1") if values else None

    @property
    def user_agent(self) -> str | None:
        values = self.headers.get(b"user-agent")
        return values[0].decode("latin-1")[:500] if values else None

    async def parameters(self) -> dict[str, str]:
        """The body's parameters: form or, as Auth0's clients send it, JSON."""
        kind = media_type(self.one_header(b"content-type"))
        body = await read_body(self.receive, self.one_header(b"content-length"))
        return parse_json(body) if kind == JSON else parse_form(body)


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    headers: RawHeaders
    status: int = 200


_PLAIN: RawHeaders = [(name.lower().encode(), value.encode()) for name, value in API_HEADERS.items()]
_JSON_HEADERS: RawHeaders = [(b"content-type", b"application/json"), *_PLAIN]
_encode = msgspec.json.Encoder().encode


def json_answer(body: Mapping[str, Any], *, status: int = 200) -> Answer:
    """An answer with a token or a person's data: never stored (RFC 6749 section 5.1)."""
    return Answer(_encode(body), _JSON_HEADERS, status)


def encoded_answer(body: bytes, *, status: int = 200) -> Answer:
    """The same, of JSON that somebody else wrote."""
    return Answer(body, _JSON_HEADERS, status)


def jwt_answer(token: str) -> Answer:
    return Answer(token.encode(), [(b"content-type", b"application/jwt"), *_PLAIN])


def text_answer(body: str) -> Answer:
    return Answer(body.encode(), [(b"content-type", b"text/plain; charset=utf-8"), *_PLAIN])


def empty_answer(*, status: int = 200) -> Answer:
    return Answer(b"", _PLAIN, status)


Endpoint = Callable[[Call], Awaitable[Answer]]


async def serve(
    scope: Scope,
    receive: Receive,
    send: Send,
    methods: tuple[str, ...],
    endpoint: Endpoint,
    *,
    from_anywhere: bool = False,
) -> None:
    """Answer a browser's preflight, else the call; either way with the headers of cross-origin requests: of the
    origins that the tenant's clients name, or of any.

    Errors are rendered by the router; they take those headers along, so that a browser application can read them.
    """
    call = _call(cast("HTTPScope", scope), receive)
    origin = call.headers.get(b"origin", (b"",))[0].decode("latin-1")
    shared = ANY_ORIGIN if from_anywhere else await cross_origin_headers(call.tenant, origin)
    if call.method == "OPTIONS":
        answer = Answer(b"", preflight_headers(methods) if shared.allowed else [], 204)
    else:
        try:
            answer = await _answer(call, methods, endpoint)
        except IdentityError as error:
            error.headers.update(shared.named)
            raise
    await _send(send, answer, shared.raw)


async def _answer(call: Call, methods: tuple[str, ...], endpoint: Endpoint) -> Answer:
    if call.method in methods:
        return await endpoint(call)
    raise InvalidRequest("The method is not allowed here.", status=405, headers={"Allow": ", ".join(methods)})


def _call(scope: HTTPScope, receive: Receive) -> Call:
    headers: dict[bytes, tuple[bytes, ...]] = {}
    for name, value in scope["headers"]:
        headers[name] = (*headers[name], value) if name in headers else (value,)
    state: dict[str, Any] = scope["state"]
    services: Services = scope["state"]["services"]
    return Call(
        tenant=state["tenant"],
        services=services,
        method=scope["method"],
        path=scope["path"],
        headers=headers,
        query=scope["query_string"],
        ip=str(state["client_ip"]),
        request_id=str(state["request_id"]),
        now_ms=now_ms(services.clock),
        receive=receive,
    )


async def _send(send: Send, answer: Answer, extra: RawHeaders) -> None:
    length = (b"content-length", str(len(answer.body)).encode())
    headers = [*answer.headers, *extra, length] if answer.status != 204 else [*answer.headers, *extra]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


async def send_document(scope: Scope, send: Send, body: bytes, headers: RawHeaders) -> None:
    """A public document, encoded before: GET, HEAD, and the preflight of any origin."""
    method = cast("HTTPScope", scope)["method"]
    if method == "OPTIONS":
        return await _send(send, Answer(b"", preflight_headers(("GET", "HEAD")), 204), headers)
    if method not in ("GET", "HEAD"):
        raise InvalidRequest("The method is not allowed here.", status=405, headers={"Allow": "GET, HEAD"})
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*headers, length]})
    sent = body if method == "GET" else b""
    return await send({"type": "http.response.body", "body": sent, "more_body": False})
