"""Refusals as Better Auth's client reads them: `{message, code}`, only a message, or nothing at all."""

from collections.abc import Mapping
from typing import Any

from litestar import Response

from core.errors import IdentityError, NotFound, RateLimited, ServerError
from core.http.errors import AnyRequest, Handler, resolved, support_id_of
from core.http.security import API_HEADERS

_OF_FRAMEWORK = (404, 405)
"""No such path, or not by this method: an empty 404."""


class ApiError(IdentityError):
    """One of the wire's refusals. `has_code`: some have a message only; `is_bare`: some have no body; `extra` are more
    members of the body."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        has_code: bool = True,
        is_bare: bool = False,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status, headers=headers)
        self.has_code = has_code
        self.is_bare = is_bare
        self.extra = dict(extra or {})


def refusal(status: int, code: str, message: str | None = None, **more: Any) -> ApiError:
    """Without a message: the code as a sentence ("Member not found"), which is what most of them say."""
    return ApiError(status, code, message or code.replace("_", " ").capitalize(), **more)


def bare(status: int) -> ApiError:
    return ApiError(status, "", "", is_bare=True)


def renderer() -> Handler:
    """The exception handler of the router."""

    def as_organization_api(request: AnyRequest, exc: Exception) -> Response[Any]:
        error = resolved(request, exc)
        headers = {**API_HEADERS, **_headers(error)}
        if _is_bare(exc, error):
            return Response(b"", status_code=_status(exc, error), headers=headers)
        return Response(_body(request, error), status_code=error.status, headers=headers)

    return as_organization_api


def _is_bare(exc: Exception, error: IdentityError) -> bool:
    if isinstance(error, ApiError):
        return error.is_bare
    if isinstance(exc, NotFound):
        return exc.code == NotFound.code
    return not isinstance(exc, IdentityError) and error.status in _OF_FRAMEWORK


def _headers(error: IdentityError) -> dict[str, str]:
    """The client of this wire reads a header of its own."""
    wait = error.headers.get("Retry-After") if error.status == RateLimited.status else None
    return error.headers if wait is None else {**error.headers, "X-Retry-After": wait}


def _status(exc: Exception, error: IdentityError) -> int:
    return error.status if isinstance(error, ApiError) else 404


def _body(request: AnyRequest, error: IdentityError) -> dict[str, Any]:
    match error:
        case ApiError(has_code=False):
            return {"message": error.description, **error.extra}
        case ApiError():
            return {"message": error.description, "code": error.code, **error.extra}
        case RateLimited():
            return {"message": "Too many requests. Please try again later."}
        case ServerError():
            message = f"{error.description} Support id: {support_id_of(request)}"
            return {"message": message, "code": "INTERNAL_SERVER_ERROR"}
    return {"message": error.description, "code": error.code.upper()}
