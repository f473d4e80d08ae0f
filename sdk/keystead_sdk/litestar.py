"""Litestar: who calls is settled by guards, before any dependency runs or a database is opened.

`authenticate(verifier)` belongs on the application or on a router; the other guards below it. It leaves the
principal where guards, `request.user` and the dependency `principal` find it. A route with
`opt={"exclude_from_auth": True}` stays open, and every other guard on it then refuses to run at all.
Answers follow RFC 6750 section 3 and RFC 9449 section 7; pass another renderer to shape the bodies your way.
"""

import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote

from litestar import Request, Response
from litestar.config.app import AppConfig
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.plugins import InitPlugin
from litestar.types import Guard, Message, Scope

from keystead_sdk import licenses, step_up
from keystead_sdk.admission import Shown
from keystead_sdk.errors import InsufficientScope, KeysteadError, Misused, OrganizationRequired
from keystead_sdk.principal import Principal
from keystead_sdk.verifier import TokenVerifier

Connection = ASGIConnection[Any, Any, Any, Any]
Renderer = Callable[[Request[Any, Any, Any], Any], Response[Any]]
ANSWER_HEADERS = "keystead_answer_headers"
OPEN_ROUTE = "exclude_from_auth"
log = logging.getLogger("keystead_sdk")

_scope_token = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 3.3


def authenticate(verifier: TokenVerifier) -> Guard:
    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        if handler.opt.get(OPEN_ROUTE) is True:
            return
        admitted = await verifier.verify_request(shown_by(connection))
        connection.scope["user"] = admitted.principal
        connection.scope["state"][ANSWER_HEADERS] = admitted.headers

    return guard


def require_permission(*names: str) -> Guard:
    """Every one of `names`: as a permission of the API, as a scope, or as what the member may do to the organization
    (`members.remove`)."""
    _check_names(names)

    def guard(connection: Connection, _: BaseRouteHandler) -> None:
        principal = principal_of(connection)
        if not all(principal.has_permission(name) for name in names):
            raise InsufficientScope(names, scheme=principal.scheme)

    return guard


def require_scope(*names: str) -> Guard:
    """Every one of `names`, as a scope granted to the client; the person's permissions do not count."""
    _check_names(names)

    def guard(connection: Connection, _: BaseRouteHandler) -> None:
        principal = principal_of(connection)
        if not principal.scopes.issuperset(names):
            raise InsufficientScope(names, scheme=principal.scheme)

    return guard


def require_license(feature: str, *, need: int = 1) -> Guard:
    """The caller's organization has bought the feature, so much of it."""
    licenses.check_asked(feature, need)

    def guard(connection: Connection, _: BaseRouteHandler) -> None:
        licenses.require_license(principal_of(connection), feature, need=need)

    return guard


def require_organization(connection: Connection, _: BaseRouteHandler) -> None:
    if principal_of(connection).org_id is None:
        raise OrganizationRequired


def require_authentication(
    *,
    acr_values: Sequence[str] = (),
    max_age: int | None = None,
    clock: Callable[[], float] = time.time,
) -> Guard:
    """A login of one of these classes, not longer ago than so many seconds (RFC 9470)."""
    step_up.check_wanted(acr_values, max_age)

    def guard(connection: Connection, _: BaseRouteHandler) -> None:
        principal = principal_of(connection)
        step_up.require_authentication(principal, acr_values=acr_values, max_age=max_age, now=clock())

    return guard


def principal_of(connection: Connection) -> Principal:
    """Without `authenticate` above it a guard stops the request; it does not wave it through."""
    principal = connection.scope.get("user")
    if not isinstance(principal, Principal):
        raise Misused(
            "No principal on this request: put the guard authenticate(verifier) on the application."
        )
    return principal


def provide_principal(request: Request[Any, Any, Any]) -> Principal:
    return principal_of(request)


def shown_by(connection: Connection) -> Shown:
    """From the headers only (RFC 6750 section 2.1, RFC 9449 section 7.1); never from the address or the body."""
    scope, headers = connection.scope, connection.headers
    raw = scope.get("raw_path")
    return Shown(
        method=str(scope.get("method", "")),
        path=unquote(raw.decode("latin-1").partition("?")[0]) if raw else scope["path"],
        authorization=headers.getall("authorization", []),
        proofs=headers.getall("dpop", []),
    )


def render_error(_: Request[Any, Any, Any], error: KeysteadError) -> Response[dict[str, str]]:
    headers = {"Cache-Control": "no-store"} | challenge_headers(error)
    description = error.description
    if isinstance(error, Misused):
        log.error("a mistake in the program", exc_info=error)
        description = "The request could not be answered."
    body = {"error": error.code, "error_description": description}
    return Response(body, status_code=error.status, headers=headers)


def challenge_headers(error: KeysteadError) -> dict[str, str]:
    """For renderers of your own."""
    return {"WWW-Authenticate": error.challenge(), **error.headers} if error.challenges else {}


async def add_answer_headers(message: Message, scope: Scope) -> None:
    """A `before_send` hook: the next nonce for proofs goes out with the answer (RFC 9449 section 8.2)."""
    headers = scope["state"].get(ANSWER_HEADERS)
    if headers and message["type"] == "http.response.start":
        added = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        message["headers"] = [*message["headers"], *added]


class KeysteadPlugin(InitPlugin):
    """All of it on one application: the guard in front, the dependency `principal`, the renderer."""

    def __init__(self, verifier: TokenVerifier, *, render: Renderer = render_error) -> None:
        self._verifier = verifier
        self._render = render

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        app_config.guards = [authenticate(self._verifier), *app_config.guards]
        app_config.dependencies = {
            "principal": Provide(provide_principal, sync_to_thread=False),
            **app_config.dependencies,
        }
        app_config.before_send = [add_answer_headers, *app_config.before_send]
        app_config.exception_handlers = {KeysteadError: self._render, **app_config.exception_handlers}
        return app_config


def _check_names(names: tuple[str, ...]) -> None:
    """An empty list would let everybody pass."""
    if not names or not all(_scope_token.fullmatch(name) for name in names):
        raise Misused("Name at least one permission or scope, spelled as RFC 6749 section 3.3 allows.")
