"""A small relying party: a protocol test reads as the conversation in the specification."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from entrypoints.browser import Browser
from entrypoints.demo_content import CALLBACK, DemoClient, DemoUser


@dataclass(frozen=True, slots=True)
class Answer:
    """A token endpoint's answer."""

    status: int
    body: dict[str, Any]
    headers: httpx.Headers

    @property
    def error(self) -> str | None:
        return self.body.get("error")

    @property
    def access_token(self) -> str:
        return str(self.body["access_token"])

    @property
    def refresh_token(self) -> str:
        return str(self.body["refresh_token"])

    @property
    def claims(self) -> dict[str, Any]:
        return payload(self.access_token)

    @property
    def id_claims(self) -> dict[str, Any]:
        return payload(self.body["id_token"])


@dataclass(slots=True)
class RelyingParty:
    """One client of one tenant with one browser (the cookies of `http`) and one user to sign in."""

    http: httpx.AsyncClient
    issuer: str
    client: DemoClient
    audience: str
    user: DemoUser
    redirect_uri: str = CALLBACK
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self.browser = Browser(self.http, stops=(self.redirect_uri,))

    def authorize_url(self, **changes: str | None) -> str:
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid profile email offline_access read:invoices",
            "audience": self.audience,
            "state": secrets.token_urlsafe(12),
            "nonce": secrets.token_urlsafe(12),
            "code_challenge": challenge(self.verifier),
            "code_challenge_method": "S256",
        }
        chosen = {name: value for name, value in {**parameters, **changes}.items() if value is not None}
        return f"{self.issuer}authorize?{urlencode(chosen)}"

    async def authorize(self, **changes: str | None) -> httpx.Response:
        """Go there; what comes is a page, or one has landed at the redirect address."""
        return await self.browser.open(self.authorize_url(**changes))

    async def log_in(self) -> httpx.Response:
        await self.browser.submit({"email": self.user.email})
        return await self.browser.submit({"password": self.user.password})

    @property
    def landed(self) -> dict[str, str]:
        """What came back to the redirect address."""
        return self.browser.parameters()

    async def code(self, **changes: str | None) -> str:
        """Sign in if asked, and answer the code."""
        await self.authorize(**changes)
        if self.browser.landed is None:
            await self.log_in()
        assert "code" in self.landed, self.landed
        return self.landed["code"]

    async def silent(self, **changes: str | None) -> dict[str, str]:
        """`prompt=none`: what came back, code or error."""
        await self.authorize(prompt="none", **changes)
        return self.landed

    async def redeem(self, code: str, **changes: str | None) -> Answer:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        return await self.token({**form, **changes})

    async def sign_in(self, **changes: str | None) -> Answer:
        answer = await self.redeem(await self.code(**changes))
        assert answer.status == 200, answer.body
        return answer

    async def refresh(self, refresh_token: str, **changes: str | None) -> Answer:
        return await self.token({"grant_type": "refresh_token", "refresh_token": refresh_token, **changes})

    async def token(self, form: dict[str, str | None]) -> Answer:
        sent = {"client_id": self.client.client_id, "client_secret": self.client.client_secret, **form}
        data = {name: value for name, value in sent.items() if value is not None}
        response = await self.http.post(f"{self.issuer}oauth/token", data=data)
        body = response.json() if response.content else {}
        return Answer(response.status_code, body, response.headers)

    async def userinfo(self, access_token: str) -> httpx.Response:
        return await self.http.get(
            f"{self.issuer}userinfo", headers={"Authorization": f"Bearer {access_token}"}
        )


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def payload(token: str) -> dict[str, Any]:
    """The claims, unverified: what the issuer wrote is what the test asks about."""
    body = token.split(".")[1]
    claims: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims
