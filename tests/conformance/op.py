"""One tenant as the OpenID Foundation's suite sees an OpenID provider: from outside, as a relying party."""

import asyncio
import secrets
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx
from joserfc.jwk import ECKey

from entrypoints.browser import Browser, forms_of
from entrypoints.demo_content import DemoUser
from tests.conformance.shared_checks import (
    check_callback,
    check_id_token,
    check_key_set,
    check_signature,
    check_token_answer,
)
from tests.installation import MovableClock

CALLBACK = "https://rp.example.net/callback"
CALLBACK_WITH_QUERY = "https://rp.example.net/callback?foo=bar"
LOGGED_OUT = "https://rp.example.net/logged-out"
SCOPE = "openid"


@dataclass(frozen=True)
class Client:
    client_id: str
    secret: str = ""
    method: str = "client_secret_basic"
    key: ECKey | None = field(default=None, repr=False)
    redirect_uri: str = CALLBACK


@dataclass
class Op:
    """The tenant, a browser with cookies of its own, and somebody who can sign in there."""

    issuer: str
    http: httpx.AsyncClient
    user: DemoUser
    clock: MovableClock
    clients: dict[str, Client]
    together: asyncio.Barrier
    response_mode: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    browser: Browser = field(init=False)
    state: str | None = None
    nonce: str | None = None

    def __post_init__(self) -> None:
        self.browser = Browser(self.http, stops=("https://rp.example.net/",))

    async def advance(self, seconds: float) -> None:
        """All tenants have one clock: it moves when each has come so far, by one step."""
        async with self.together as place:
            if place == 0:
                self.clock.advance(seconds)
        await self.together.wait()

    @property
    def client(self) -> Client:
        return self.clients["first"]

    async def configured(self) -> "Op":
        answer = await self.http.get(f"{self.issuer}.well-known/openid-configuration")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/json")
        self.metadata = answer.json()
        assert self.metadata["issuer"] == self.issuer
        check_key_set(await self.keys())
        return self

    async def keys(self) -> dict[str, Any]:
        answer = await self.http.get(self.metadata["jwks_uri"])
        assert answer.status_code == 200
        document: dict[str, Any] = answer.json()
        return document

    def address(self, client: Client | None = None, **changes: str | None) -> str:
        chosen = client or self.client
        self.state, self.nonce = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        asked: dict[str, str | None] = {
            "client_id": chosen.client_id,
            "redirect_uri": chosen.redirect_uri,
            "response_type": "code",
            "scope": SCOPE,
            "state": self.state,
            "nonce": self.nonce,
            "response_mode": self.response_mode,
            **changes,
        }
        self.state, self.nonce = asked["state"], asked["nonce"]
        given = {name: value for name, value in asked.items() if value is not None}
        return f"{self.metadata['authorization_endpoint']}?{urlencode(given)}"

    async def open(self, client: Client | None = None, **changes: str | None) -> httpx.Response:
        return await self.browser.open(self.address(client, **changes))

    async def log_in(self) -> None:
        await self.browser.submit({"email": self.user.email})
        await self.browser.submit({"password": self.user.password})

    @property
    def page(self) -> str | None:
        """The page somebody looks at; None once the application has its answer."""
        if self.browser.landed is not None or self._posted() is not None:
            return None
        assert self.browser.response is not None
        return self.browser.response.text

    def _posted(self) -> dict[str, str] | None:
        if self.browser.landed is not None or self.browser.response is None:
            return None
        page = self.browser.response
        for form in forms_of(page.text):
            if form.action.startswith("https://rp.example.net/"):
                assert form.method == "post"
                assert not {"code", "error"} & dict(parse_qsl(urlsplit(str(page.url)).query)).keys()
                return dict(form.fields)
        return None

    def landed(self) -> dict[str, str]:
        """What the application received, where the response mode puts it, after the checks that are always made."""
        posted = self._posted()
        if self.response_mode == "form_post":
            assert posted is not None, self.browser.landed or self.page
            check_callback(posted, issuer=self.issuer, state=self.state)
            return posted
        assert self.browser.landed is not None, self.page
        parts = urlsplit(self.browser.landed)
        assert parts.fragment == ""
        registered = dict(parse_qsl(urlsplit(CALLBACK_WITH_QUERY).query))
        answer = {k: v for k, v in parse_qsl(parts.query) if k not in registered}
        check_callback(answer, issuer=self.issuer, state=self.state)
        return answer

    async def authorize(self, client: Client | None = None, **changes: str | None) -> dict[str, str]:
        """Signs in if a page asks, and answers what came back."""
        await self.open(client, **changes)
        if self.page is not None:
            await self.log_in()
        return self.landed()

    async def token(self, client: Client | None = None, **form: str | None) -> httpx.Response:
        chosen = client or self.client
        data = {name: value for name, value in form.items() if value is not None}
        headers = {}
        if chosen.method == "client_secret_basic":
            pair = f"{quote(chosen.client_id, safe='')}:{quote(chosen.secret, safe='')}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        elif chosen.method == "client_secret_post":
            data |= {"client_id": chosen.client_id, "client_secret": chosen.secret}
        else:
            data["client_id"] = chosen.client_id
        return await self.http.post(self.metadata["token_endpoint"], data=data, headers=headers)

    async def redeem(self, code: str, client: Client | None = None, **form: str | None) -> httpx.Response:
        redirect_uri = (client or self.client).redirect_uri
        sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, **form}
        return await self.token(client, **sent)

    async def tokens(self, client: Client | None = None, **changes: str | None) -> dict[str, Any]:
        """A whole login, with every check on the way; `id_claims` are what the ID token says."""
        answer = await self.authorize(client, **changes)
        assert "code" in answer, answer
        body = check_token_answer(await self.redeem(answer["code"], client))
        body["id_claims"] = await self.id_claims(body, client)
        return body

    async def id_claims(
        self, body: dict[str, Any], client: Client | None = None, *, algorithms: tuple[str, ...] = ("RS256",)
    ) -> dict[str, Any]:
        claims = check_signature(body["id_token"], await self.keys(), algorithms)
        check_id_token(
            claims,
            issuer=self.issuer,
            client_id=(client or self.client).client_id,
            nonce=self.nonce,
            now=self.clock.now(),
        )
        if "at_hash" in claims and algorithms == ("RS256",):
            assert claims["at_hash"] == left_half(body["access_token"])
        return claims

    async def refresh(self, token: str, client: Client | None = None, **form: str | None) -> httpx.Response:
        return await self.token(client, grant_type="refresh_token", refresh_token=token, **form)

    async def userinfo(self, token: str) -> httpx.Response:
        return await self.http.get(
            self.metadata["userinfo_endpoint"], headers={"Authorization": f"Bearer {token}"}
        )


def left_half(text: str) -> str:
    return urlsafe_b64encode(sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()


def shows_login(page: str | None) -> bool:
    return page is not None and ('name="email"' in page or 'name="password"' in page)
