"""People at `/api/auth`: each a client of their own, as `better-auth` has one in a browser."""

import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.installation import Installation

DATABASE = "Username-Password-Authentication"


@dataclass(frozen=True, slots=True)
class AuthAnswer:
    """`body` is None where there is none, and where it is `null` (`text` tells them apart)."""

    status: int
    body: Any
    text: str
    headers: httpx.Headers

    @property
    def code(self) -> str | None:
        return self.body.get("code") if isinstance(self.body, dict) else None


@dataclass(slots=True)
class AuthClient:
    """A browser with cookies of its own, at the pages of one tenant's host: it says so with every request."""

    http: httpx.AsyncClient
    issuer: str
    email: str = ""
    password: str = ""
    user_id: str = ""
    origin: str = field(default="")

    def __post_init__(self) -> None:
        self.origin = self.origin or self.issuer.rstrip("/")

    @property
    def base(self) -> str:
        return f"{self.issuer}api/auth"

    async def get(self, path: str, /, **query: Any) -> AuthAnswer:
        return await self.call("GET", path, params=query)

    async def post(self, path: str, /, **body: Any) -> AuthAnswer:
        return await self.call("POST", path, json=body)

    async def call(self, method: str, path: str, **sent: Any) -> AuthAnswer:
        headers = {"Origin": self.origin, **sent.pop("headers", {})}
        response = await self.http.request(method, f"{self.base}{path}", headers=headers, **sent)
        body = response.json() if response.content else None
        return AuthAnswer(response.status_code, body, response.text, response.headers)

    async def sign_in(self) -> "AuthClient":
        answer = await self.post("/sign-in/email", email=self.email, password=self.password)
        assert answer.status == 200, answer
        self.user_id = answer.body["user"]["id"]
        return self

    async def session(self) -> dict[str, Any] | None:
        """What `get-session` answers of the session; None: signed out."""
        answer = await self.get("/get-session")
        assert answer.status == 200, answer
        return answer.body["session"] if answer.body is not None else None


def visitor(installation: Installation, tenant_id: str = "acme", **members: Any) -> AuthClient:
    """Nobody yet."""
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=installation.app), timeout=30)
    return AuthClient(http, installation.tenant(tenant_id).issuer, **members)


def another(person: AuthClient) -> AuthClient:
    """Another browser of theirs."""
    http = type(person.http)(transport=person.http._transport, timeout=30)
    return AuthClient(
        http, person.issuer, email=person.email, password=person.password, user_id=person.user_id
    )


def new_address(tenant_id: str = "acme") -> str:
    return f"{secrets.token_hex(6)}@{tenant_id}.example"


async def signed_in(
    installation: Installation,
    tenant_id: str = "acme",
    email: str | None = None,
    *,
    name: str = "Robin Example",
    verified: bool = True,
) -> AuthClient:
    """Somebody new of the tenant, made by its Management API and signed in here."""
    password = secrets.token_urlsafe(15)
    person = visitor(installation, tenant_id, email=email or new_address(tenant_id), password=password)
    manager = await installation.manager(tenant_id)
    members = {"connection": DATABASE, "email": person.email, "password": password, "name": name}
    made = await manager.post("/users", {**members, "email_verified": verified})
    person.user_id = str(made["user_id"])
    return await person.sign_in()


async def member(
    installation: Installation,
    organization_id: str,
    tenant_id: str = "acme",
    email: str | None = None,
    **members: Any,
) -> AuthClient:
    """Somebody new who is a plain member of that organization, and signed in."""
    person = await signed_in(installation, tenant_id, email, **members)
    manager = await installation.manager(tenant_id)
    await manager.post(f"/organizations/{organization_id}/members", {"members": [person.user_id]})
    return person
