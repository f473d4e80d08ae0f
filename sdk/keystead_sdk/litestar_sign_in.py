"""Litestar: an application whose pages are for people who signed in.

`SignInPlugin` adds `/login`, `/callback` and `/logout`, an encrypted cookie (Lax: no other site sends a form in
somebody's name; over https `__Host-`: no neighbouring domain plants one), and the dependency `principal`, verified anew
for each request. Who asks for a page without a good token goes to `/login`; a script that does is answered 401, for it
cannot follow. `/login?organization=org_...` changes the organization; when the issuer refuses, its reason is in
`request.session["problem"]` of the next page, and everything else stays as it was. Nobody is signed out, or moved to
another organization, because a page of another site leads them here. Pages for a person are kept nowhere.
"""

from secrets import token_bytes
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, get
from litestar.config.app import AppConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.middleware.session.base import SessionMiddleware
from litestar.middleware.session.client_side import ClientSideSessionBackend, CookieBackendConfig
from litestar.params import FromQuery
from litestar.plugins import InitPlugin
from litestar.response import Redirect, Response
from litestar.types import Message, ScopeSession

from keystead_sdk.errors import KeysteadError, TokenInvalid, TokenMissing
from keystead_sdk.litestar import render_error
from keystead_sdk.principal import Principal
from keystead_sdk.sign_in import SignIn, SignInFailed, claims_of
from keystead_sdk.verifier import TokenVerifier

AnyRequest = Request[Any, Any, Any]
TOKEN, ID_TOKEN, PROBLEM = "token", "id_token", "problem"
_begun = "begun"
_navigation = "navigate"
_other_site = "cross-site"
_for_a_person = "keystead_for_a_person"
_at_once = 3
"""Tabs in which a sign-in is begun: the cookie goes with every request."""


class _Cookies(ClientSideSessionBackend):
    """Written only when they change: an answer that took its time would else bring back a session that was signed out,
    or changed, meanwhile."""

    async def store_in_message(
        self, scope_session: ScopeSession, message: Message, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> None:
        if _for_a_person in connection.scope["state"]:
            MutableScopeHeaders.from_message(message).setdefault("Cache-Control", "no-store")
        if scope_session and scope_session == await self.load_from_connection(connection):
            return
        await super().store_in_message(scope_session, message, connection)


class SignInPlugin(InitPlugin):
    """Without `secret` (32 bytes) a new one is made: a restart signs everybody out."""

    def __init__(self, sign_in: SignIn, verifier: TokenVerifier, *, secret: bytes | None = None) -> None:
        self._sign_in = sign_in
        self._verifier = verifier
        self._secret = secret or token_bytes(32)
        self._home = urlsplit(sign_in.application).path

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        is_secure = self._sign_in.application.startswith("https:")
        name = "__Host-session" if is_secure else "session"
        sessions = CookieBackendConfig(secret=self._secret, key=name, samesite="lax", secure=is_secure)
        app_config.route_handlers = [*app_config.route_handlers, *self._handlers()]
        app_config.middleware = [
            DefineMiddleware(SessionMiddleware, backend=_Cookies(sessions)),
            *app_config.middleware,
        ]
        app_config.dependencies = {"principal": Provide(self._principal), **app_config.dependencies}
        app_config.exception_handlers = {
            KeysteadError: render_error,
            TokenMissing: self._to_login,
            TokenInvalid: self._to_login,
            **app_config.exception_handlers,
        }
        return app_config

    async def _principal(self, request: AnyRequest) -> Principal:
        request.scope["state"][_for_a_person] = True
        if TOKEN not in request.session:
            raise TokenMissing
        return await self._verifier.verify(request.session[TOKEN])

    def _handlers(self) -> list[BaseRouteHandler]:
        @get("/login", include_in_schema=False)
        async def login(request: AnyRequest, organization: FromQuery[str | None] = None) -> Redirect:
            if organization is not None and TOKEN in request.session and _is_led_by_another_site(request):
                request.session[PROBLEM] = "A page of another site asked to change the organization."
                return Redirect(self._home)
            begun = await self._sign_in.begin(organization)
            waiting = {**request.session.get(_begun, {}), begun.remembered["state"]: begun.remembered}
            request.session[_begun] = dict(list(waiting.items())[-_at_once:])
            return Redirect(begun.address)

        @get("/callback", include_in_schema=False)
        async def callback(request: AnyRequest) -> Redirect:
            try:
                await self._finish(request)
            except SignInFailed as failure:
                return self._after(failure, request)
            return Redirect(self._home)

        @get("/logout", include_in_schema=False)
        async def logout(request: AnyRequest) -> Redirect:
            if _is_led_by_another_site(request):
                return Redirect(self._home)
            request.session.pop(TOKEN, None)
            id_token = request.session.get(ID_TOKEN, "")
            address = await self._sign_in.end(id_token) if id_token else self._home
            request.clear_session()
            return Redirect(address)

        return [login, callback, logout]

    async def _finish(self, request: AnyRequest) -> None:
        remembered = request.session.get(_begun, {}).pop(request.query_params.get("state", ""), {})
        tokens = await self._sign_in.finish(request.query_params, remembered)
        try:
            principal = await self._verifier.verify(tokens.access_token)
        except TokenInvalid as error:  # would be refused by every page, and so asked for without an end
            raise SignInFailed(error.description) from error
        is_somebody_else = _is_somebody_else(request.session.get(ID_TOKEN), principal)
        if wanted := remembered.get("organization"):
            _check_change(wanted, is_somebody_else and TOKEN in request.session, principal)
        if is_somebody_else:  # who reads nothing of what the pages kept
            request.set_session({_begun: request.session.get(_begun, {})})
        request.session.update({TOKEN: tokens.access_token, ID_TOKEN: tokens.id_token})

    def _after(self, failure: SignInFailed, request: AnyRequest) -> Redirect:
        if failure.reason == "login_required":
            return Redirect(f"{self._home}login")
        if TOKEN not in request.session:
            raise failure
        request.session[PROBLEM] = failure.description
        return Redirect(self._home)

    def _to_login(self, request: AnyRequest, error: KeysteadError) -> Response[Any]:
        if request.headers.get("sec-fetch-mode", _navigation) != _navigation:
            return render_error(request, error)
        request.session.pop(TOKEN, None)
        return Redirect(f"{self._home}login", status_code=303)


def _is_led_by_another_site(request: AnyRequest) -> bool:
    """Fetch Metadata, as every browser of today says it to https. A link in a letter that is read on a page is one."""
    return request.headers.get("sec-fetch-site") == _other_site


def _is_somebody_else(id_token: str | None, principal: Principal) -> bool:
    return id_token is not None and claims_of(id_token).get("sub") != principal.subject


def _check_change(organization: str, is_somebody_else: bool, principal: Principal) -> None:
    """A change of organization is one of nothing else: in this browser somebody else may have signed in since."""
    if is_somebody_else:
        raise SignInFailed("Somebody else is signed in by now.")
    if organization not in (principal.org_id, principal.org_name):
        raise SignInFailed("The issuer answered for another organization.")
