"""A small application that signs people in with the demo: what a customer of a tenant would build.

Listens where the demo's clients send people back. Server-side: it holds the tokens, the browser holds a session
cookie. Switching the organization is a silent authorization request (`prompt=none`), so nobody types anything.
"""

import asyncio
import base64
import hashlib
import html
import json
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import uvicorn
from litestar import Litestar, Request, Response, get
from litestar.datastructures import Cookie
from litestar.params import FromQuery
from litestar.response import Redirect

from entrypoints.demo_content import CALLBACK, CALLBACK_PORT, SIGNED_OUT, Demo, DemoTenant
from entrypoints.demo_mailbox import Mailbox, handlers_of
from entrypoints.network import LoopbackTransport

AnyRequest = Request[Any, Any, Any]
COOKIE = "demo_app"
MOST_VISITS = 1000

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;color:#1b1f24;
background:#f6f7f9}
main{background:#fff;border:1px solid #e2e5e9;border-radius:12px;padding:1.5rem 2rem;margin:1rem 0}
a.button{display:inline-block;padding:.55rem 1rem;margin:.25rem .4rem .25rem 0;border-radius:8px;background:#3538cd;
color:#fff;text-decoration:none}a.quiet{background:#eef0f4;color:#1b1f24}
pre{background:#f6f7f9;padding:1rem;border-radius:8px;overflow:auto}code{font-size:.92em}
"""


class DemoApp:
    """What this process remembers of its visitors: a state per request under way, tokens per session."""

    def __init__(self, demo: Demo, *, has_mailbox: bool = False) -> None:
        self._mailbox = '<p><a class="button quiet" href="/mailbox">Mailbox</a></p>' if has_mailbox else ""
        self._tenants = {tenant.id: tenant for tenant in demo.tenants}
        self._under_way: dict[str, tuple[str, DemoTenant, str]] = {}
        self._sessions: dict[str, tuple[DemoTenant, dict[str, Any]]] = {}

    def home(self, cookie: str | None) -> str:
        session = self._sessions.get(cookie or "")
        if session is not None:
            return self._signed_in(*session)
        links = "".join(
            f'<p><a class="button" href="/login?tenant={tenant.id}">Sign in at {tenant.id}</a> '
            f"as <code>{html.escape(tenant.users[0].email)}</code>, "
            f"password <code>{html.escape(tenant.users[0].password)}</code></p>"
            for tenant in self._tenants.values()
        )
        lead = "<p>Three tenants, three issuers, three databases.</p>"
        return _page(f"<h1>Demo application</h1>{lead}{links}{self._mailbox}")

    def _signed_in(self, tenant: DemoTenant, tokens: dict[str, Any]) -> str:
        claims = _payload(tokens["id_token"])
        switches = "".join(
            f'<a class="button quiet" href="/login?tenant={tenant.id}&organization={organization.id}&prompt=none">'
            f"{html.escape(organization.name)}</a>"
            for organization in tenant.organizations
        )
        access = _payload(tokens["access_token"])
        return _page(
            f"<h1>{html.escape(str(tokens['person'].get('name', claims['sub'])))}</h1>"
            f"<p>Signed in at <b>{tenant.id}</b>{_organization(claims)}.</p>"
            f"<h2>Switch silently</h2><p>{switches}</p>"
            f"<h2>Access token</h2><pre>{html.escape(json.dumps(access, indent=2))}</pre>"
            '<p><a class="button quiet" href="/logout">Sign out</a></p>'
        )

    def authorize_url(self, tenant_id: str, organization: str | None, prompt: str | None, cookie: str) -> str:
        tenant = self._tenants[tenant_id]
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        _bounded(self._under_way, state, (cookie, tenant, verifier))
        query = {
            "response_type": "code",
            "client_id": tenant.clients["web"].client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid profile email read:invoices write:invoices",
            "audience": tenant.api_audience,
            "state": state,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        chosen = {"organization": organization, "prompt": prompt}
        asked = query | {name: value for name, value in chosen.items() if value}
        return f"{tenant.issuer}authorize?{urlencode(asked)}"

    async def finish(self, parameters: dict[str, str], cookie: str | None) -> str:
        """A page with what went wrong, or an empty string when the session now holds tokens."""
        under_way = self._under_way.pop(parameters.get("state", ""), None)
        if under_way is None or under_way[0] != cookie:
            return _page("<h1>Not ours</h1><p>This answer belongs to no request of this browser.</p>")
        _, tenant, verifier = under_way
        if "error" in parameters or parameters.get("iss") != tenant.issuer:
            text = html.escape(f"{parameters.get('error')}: {parameters.get('error_description', '')}")
            return _page(f'<h1>Refused</h1><p>{text}</p><p><a href="/">Back</a></p>')
        _bounded(self._sessions, cookie, (tenant, await self._redeem(tenant, parameters["code"], verifier)))
        return ""

    async def _redeem(self, tenant: DemoTenant, code: str, verifier: str) -> dict[str, Any]:
        client = tenant.clients["web"]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": verifier,
            "client_id": client.client_id,
            "client_secret": client.client_secret or "",
        }
        async with httpx.AsyncClient(transport=LoopbackTransport(), timeout=10) as http:
            response = await http.post(f"{tenant.issuer}oauth/token", data=form)
            response.raise_for_status()
            tokens: dict[str, Any] = response.json()
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            person = await http.get(f"{tenant.issuer}userinfo", headers=bearer)
        person.raise_for_status()
        return tokens | {"person": person.json()}

    def logout_url(self, cookie: str | None) -> str:
        session = self._sessions.pop(cookie or "", None)
        if session is None:
            return "/"
        tenant, tokens = session
        query = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": SIGNED_OUT}
        return f"{tenant.issuer}oidc/logout?{urlencode(query)}"


class _Guest(uvicorn.Server):
    """Stopped by the server it stands beside, not by signals of its own."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


@asynccontextmanager
async def beside(demo: Demo, mail_folder: Path | None) -> AsyncGenerator[bool, None]:
    """Serve it while the block runs, or answer that something else, such as another demo, listens there."""
    try:
        listener = socket.create_server(("127.0.0.1", CALLBACK_PORT))
    except OSError:
        yield False
        return
    config = uvicorn.Config(
        create_demo_app(demo, mail_folder),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
    )
    server = _Guest(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield True
    finally:
        server.should_exit = True
        await serving


def create_demo_app(demo: Demo, mail_folder: Path | None = None) -> Litestar:
    """With the mailbox, where mails go into a folder."""
    app = DemoApp(demo, has_mailbox=mail_folder is not None)

    @get("/", media_type="text/html")
    async def home(request: AnyRequest) -> str:
        return app.home(request.cookies.get(COOKIE))

    @get("/login")
    async def login(
        request: AnyRequest,
        tenant: FromQuery[str],
        organization: FromQuery[str | None] = None,
        prompt: FromQuery[str | None] = None,
    ) -> Redirect:
        cookie = request.cookies.get(COOKIE) or secrets.token_urlsafe(24)
        target = app.authorize_url(tenant, organization, prompt, cookie)
        return Redirect(target, cookies=[Cookie(key=COOKIE, value=cookie, httponly=True, samesite="lax")])

    @get("/callback")
    async def callback(request: AnyRequest) -> Response[str] | Redirect:
        page = await app.finish(dict(request.query_params), request.cookies.get(COOKIE))
        return Response(page, media_type="text/html") if page else Redirect("/")

    @get("/logout")
    async def logout(request: AnyRequest) -> Redirect:
        return Redirect(app.logout_url(request.cookies.get(COOKIE)))

    @get("/signed-out", media_type="text/html")
    async def signed_out() -> str:
        return _page('<h1>Signed out</h1><p><a class="button" href="/">Start again</a></p>')

    mailbox: list[Any] = []
    if mail_folder is not None:
        mailbox = handlers_of(
            Mailbox(mail_folder, ["control_plane", *(tenant.id for tenant in demo.tenants)])
        )
    return Litestar(
        [home, login, callback, logout, signed_out, *mailbox],
        logging_config=None,
        openapi_config=None,
        debug=False,
    )


def _organization(claims: dict[str, Any]) -> str:
    name = claims.get("org_name") or claims.get("org_id")
    return f", in the organization <b>{html.escape(str(name))}</b>" if name else ", in no organization"


def _page(body: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Demo application</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><main>{body}</main></html>'
    )


def _payload(token: str) -> dict[str, Any]:
    """Straight from the issuer over its own connection, so it is only read (OpenID Connect Core 3.1.3.7)."""
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _bounded(entries: dict[str, Any], key: str, value: Any) -> None:
    entries[key] = value
    while len(entries) > MOST_VISITS:
        entries.pop(next(iter(entries)))
