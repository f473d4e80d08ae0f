"""The one hierarchy of errors in the shapes its callers expect (`docs/errors.md` lists the codes).

Each `as_*` is a Litestar exception handler: a router names the one whose shape its clients know. What the
framework raises (no route, wrong method, a body that does not fit) is mapped into the hierarchy first. What
nobody foresaw becomes `server_error` with a support id, and goes to the log once; nothing of it is shown.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    InternalServerException,
    SerializationException,
    ValidationException,
)

from core.errors import (
    Forbidden,
    IdentityError,
    InsufficientScope,
    InvalidInput,
    InvalidQuery,
    NotFound,
    OAuthError,
    PayloadTooLarge,
    RateLimited,
    ServerError,
    Unauthenticated,
    Unavailable,
)
from core.http.security import API_HEADERS

AnyRequest = Request[Any, Any, Any]
Handler = Callable[[AnyRequest, Exception], Response[Any]]

_MAX_MESSAGE = 300
_MISSING = re.compile(r"Missing required (\w+) parameter '([^']*)'")
_log = structlog.get_logger("errors")


def as_management(request: AnyRequest, exc: Exception) -> Response[Any]:
    """Auth0's four fields."""
    error, support_id = _resolve(request, exc)
    body = {
        "statusCode": error.status,
        "error": _phrase(error.status),
        "message": _shown(error, support_id),
        "errorCode": error.code,
    }
    return _answer(error, body)


def as_oauth(request: AnyRequest, exc: Exception) -> Response[Any]:
    """RFC 6749 section 5.2; its description may hold printable ASCII only, without quote and backslash."""
    error, support_id = _resolve(request, exc)
    body = {"error": _oauth_code(error), "error_description": printable(_shown(error, support_id))}
    return _answer(error, body)


def as_authentication(request: AnyRequest, exc: Exception) -> Response[Any]:
    """Auth0's Authentication API outside of OAuth: `name` tells apart what has one `code`."""
    error, support_id = _resolve(request, exc)
    name = getattr(error, "name", None) or f"{_phrase(error.status).replace(' ', '')}Error"
    shown = _shown(error, support_id)
    body = {
        "name": name,
        "code": error.code,
        "description": shown,
        "message": shown,
        "statusCode": error.status,
    }
    return _answer(error, body)


def as_problem(request: AnyRequest, exc: Exception) -> Response[Any]:
    """RFC 9457."""
    error, support_id = _resolve(request, exc)
    body = {
        "type": "about:blank",
        "title": _phrase(error.status),
        "status": error.status,
        "detail": _shown(error, support_id),
        "code": error.code,
    }
    return _answer(error, body, media_type="application/problem+json")


def page_renderer(render: Callable[[AnyRequest, IdentityError, str], Response[Any]]) -> Handler:
    """For pages: `render(request, error, support_id)` makes the page, the error's status and headers are
    added."""

    def as_page(request: AnyRequest, exc: Exception) -> Response[Any]:
        error, support_id = _resolve(request, exc)
        response = render(request, error, support_id)
        response.status_code = error.status
        response.headers.update(_own_headers(error))
        return response

    return as_page


_LEFT = "client disconnected prematurely"
"""The framework's words for a sender who is gone: nobody hears the answer, and it is no fault of ours."""


def to_identity_error(exc: Exception) -> IdentityError:
    """Whatever was raised, as a member of the hierarchy. What is not foreseen is a `ServerError`."""
    match exc:
        case IdentityError():
            return exc
        case HTTPException() if exc.status_code < 500 or exc.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            return _from_framework(exc)
        case InternalServerException() if exc.detail == _LEFT:
            return InvalidInput("The request ended before its body did.", code="incomplete_request")
        case msgspec.ValidationError():
            return InvalidInput(_short(str(exc)))
        case msgspec.DecodeError():
            return InvalidInput("The request body is malformed.")
        case SerializationException() if _was_reading(exc):
            return InvalidInput(_short(str(exc)))
        case RecursionError() | UnicodeDecodeError() if _was_reading(exc):
            return InvalidInput("The request body is nested too deeply or is not UTF-8.")
    return ServerError()


def _was_reading(exc: Exception) -> bool:
    """Whether it was raised by the decoder of request bodies, and is the sender's doing. Anywhere else (encoding an
    answer, a database) the same exception is a fault of ours."""
    step = exc.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None:
        return False
    module, function = str(step.tb_frame.f_globals.get("__name__")), step.tb_frame.f_code.co_name
    return module.startswith("litestar.serialization") and function.startswith("decode")


def printable(text: str) -> str:
    """The characters RFC 6749 appendix A.8 allows in a description."""
    softened = text.replace('"', "'").replace("\\", "/")
    return "".join(char if " " <= char <= "~" else "?" for char in softened)


def _from_framework(exc: HTTPException) -> IdentityError:
    headers = {name: value for name, value in (exc.headers or {}).items() if name.lower() == "allow"}
    match exc.status_code:
        case HTTPStatus.BAD_REQUEST:
            return _invalid(exc)
        case HTTPStatus.UNAUTHORIZED:
            return Unauthenticated()
        case HTTPStatus.FORBIDDEN:
            return Forbidden()
        case HTTPStatus.NOT_FOUND:
            return NotFound()
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return InvalidInput(
                "The method is not allowed here.", code="method_not_allowed", status=405, headers=headers
            )
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return PayloadTooLarge()
        case HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            return InvalidInput(
                "The content type is not supported.", code="unsupported_media_type", status=415
            )
        case HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimited()
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return Unavailable()
    return InvalidInput(status=exc.status_code)


def _invalid(exc: HTTPException) -> InvalidInput:
    """Says which parameter or member is wrong. The framework's own detail is left out: it repeats the
    address."""
    if missing := _MISSING.match(exc.detail):
        kind, name = missing.groups()
        return (InvalidQuery if kind == "query" else InvalidInput)(
            f"The {kind} parameter '{name}' is missing."
        )
    found = exc.extra if isinstance(exc, ValidationException) and isinstance(exc.extra, list) else []
    parts = [item for item in found if isinstance(item, Mapping)]
    text = "; ".join(f"{item.get('key', '')}: {item.get('message', '')}".removeprefix(": ") for item in parts)
    if any(item.get("source") == "query" for item in parts):
        return InvalidQuery(_short(text) or None)
    return InvalidInput(_short(text) or None)


def _short(text: str) -> str:
    return text if len(text) <= _MAX_MESSAGE else text[: _MAX_MESSAGE - 1] + "…"


def resolved(request: AnyRequest, exc: Exception) -> IdentityError:
    """For a shape of its own elsewhere: what was raised, as a member of the hierarchy; the log knows of it."""
    return _resolve(request, exc)[0]


def _resolve(request: AnyRequest, exc: Exception) -> tuple[IdentityError, str]:
    error = to_identity_error(exc)
    support_id = support_id_of(request)
    if isinstance(error, ServerError):
        _log.error("unforeseen_exception", support_id=support_id, exc_info=exc)
    elif error.status >= 500:
        _log.warning("unavailable", support_id=support_id, code=error.code, exc_info=exc)
    return error, support_id


def support_id_of(request: AnyRequest) -> str:
    state: Mapping[str, Any] = request.scope.get("state") or {}
    return str(state.get("request_id") or secrets.token_hex(8))


def _shown(error: IdentityError, support_id: str) -> str:
    return (
        f"{error.description} Support id: {support_id}"
        if isinstance(error, ServerError)
        else error.description
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _oauth_code(error: IdentityError) -> str:
    """Codes of the management API mean nothing to an OAuth client: they become the registered ones."""
    if isinstance(error, OAuthError | InsufficientScope | ServerError):
        return error.code
    match error.status:
        case 401:
            return "invalid_token"
        case 403 if error.code != "tenant_suspended":
            return "access_denied"
        case 400 | 404 | 405 | 409 | 413 | 415 | 422 if error.code != "tenant_not_found":
            return "invalid_request"
    return error.code


def _answer(
    error: IdentityError, body: dict[str, Any], media_type: str = "application/json"
) -> Response[Any]:
    headers = {**API_HEADERS, **_own_headers(error)}
    return Response(body, status_code=error.status, headers=headers, media_type=media_type)


def _own_headers(error: IdentityError) -> dict[str, str]:
    headers = {name: _header_text(value) for name, value in error.headers.items()}
    if "WWW-Authenticate" not in headers and (challenge := _challenge(error)):
        headers["WWW-Authenticate"] = challenge
    return headers


def _challenge(error: IdentityError) -> str | None:
    """RFC 6750 section 3: every 401 says how to authenticate, a 403 for want of scope says which."""
    if isinstance(error, InsufficientScope):
        scope = f', scope="{printable(" ".join(error.expected))}"' if error.expected else ""
        return f'Bearer error="insufficient_scope", error_description="{printable(error.description)}"{scope}'
    if error.status != HTTPStatus.UNAUTHORIZED:
        return None
    return f'Bearer error="invalid_token", error_description="{printable(error.description)}"'


def _header_text(value: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in value)
