"""Signing in at a tenant by the authorization code with PKCE (OpenID Connect Core 1.0, RFC 7636), for the examples.

The tokens stay with the program: the browser holds them in an encrypted cookie that only the program reads.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from secrets import token_bytes, token_urlsafe
from typing import Any
from urllib.parse import urlencode

from litestar import Request, get
from litestar.handlers import BaseRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.params import FromQuery
from litestar.response import Redirect

from entrypoints.demo_content import DemoClient, DemoTenant
from examples import demo

AnyRequest = Request[Any, Any, Any]


def sessions() -> DefineMiddleware:
    """Lax: no other site sends a form in somebody's name. The key is the process's, so a restart signs all out."""
    return CookieBackendConfig(secret=token_bytes(32), samesite="lax").middleware


def claims_of(id_token: str) -> dict[str, Any]:
    """It came from the issuer itself, over a connection of ours, so it is only read (OpenID Connect Core 3.1.3.7)."""
    if not id_token:
        return {}
    body = id_token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


@dataclass(frozen=True, slots=True)
class Application:
    tenant: DemoTenant
    client: DemoClient
    address: str

    def authorize(self, request: AnyRequest, organization: str | None) -> str:
        """With an organization nobody types anything: whoever is signed in changes to it."""
        state, verifier = token_urlsafe(24), token_urlsafe(48)
        request.session["login"] = [state, verifier]
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": f"{self.address}callback",
            "scope": "openid profile email",
            "audience": self.tenant.api_audience,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        silently = {"organization": organization, "prompt": "none"} if organization else {}
        return f"{self.tenant.issuer}authorize?{urlencode(query | silently)}"

    async def finish(self, request: AnyRequest) -> str:
        """Where to go on: home with tokens or with a problem, or back to signing in."""
        answer = request.query_params
        state, verifier = request.session.pop("login", ("", ""))
        if not state or answer.get("state") != state or answer.get("iss") != self.tenant.issuer:
            return "/"
        if answer.get("error") == "login_required":
            return "/login"
        if "error" in answer:
            request.session["problem"] = answer.get("error_description") or answer["error"]
            return "/"
        tokens = await self._redeem(answer["code"], verifier)
        request.session["token"], request.session["id_token"] = tokens["access_token"], tokens["id_token"]
        return "/"

    async def _redeem(self, code: str, verifier: str) -> dict[str, str]:
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client.client_id,
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": f"{self.address}callback",
        }
        secret = {"client_secret": self.client.client_secret} if self.client.client_secret else {}
        async with demo.http() as http:
            response = await http.post(f"{self.tenant.issuer}oauth/token", data=form | secret)
        tokens: dict[str, str] = response.raise_for_status().json()
        return tokens

    def handlers(self) -> list[BaseRouteHandler]:
        @get("/login")
        async def login(request: AnyRequest, organization: FromQuery[str | None] = None) -> Redirect:
            return Redirect(self.authorize(request, organization))

        @get("/callback")
        async def callback(request: AnyRequest) -> Redirect:
            return Redirect(await self.finish(request))

        @get("/logout")
        async def logout(request: AnyRequest) -> Redirect:
            hint = request.session.get("id_token", "")
            request.clear_session()
            query = {"id_token_hint": hint, "post_logout_redirect_uri": self.address}
            return Redirect(f"{self.tenant.issuer}oidc/logout?{urlencode(query)}")

        return [login, callback, logout]
