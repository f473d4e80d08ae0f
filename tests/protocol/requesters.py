"""Clients that push and sign their authorization requests, for the tests of RFC 9126 and RFC 9101."""

import base64
import json
from dataclasses import dataclass, replace
from typing import Any

import httpx

from core.crypto import jwt
from core.crypto.keys import SigningKey
from core.ids import digest, new_id, new_secret
from tenant_runtime import models
from tests.login.world import Place, Visitor, World

KEYS = {alg: SigningKey.generate(alg) for alg in ("ES256", "EdDSA", "RS256")}
KEYS["PS256"] = SigningKey.from_der(None, "PS256", KEYS["RS256"].to_der())
STRANGER = SigningKey.generate("ES256")
PAR_PREFIX = "urn:ietf:params:oauth:request_uri:"


@dataclass(frozen=True)
class Requester:
    """A client of one tenant, with the browser of a person in front of it."""

    world: World
    place: Place
    visitor: Visitor
    client_id: str
    secret: str | None
    key: SigningKey

    def browser(self) -> "Requester":
        """The same client, another browser."""
        return replace(self, visitor=self.world.visitor(self.client_id, self.place))

    def body(self, **changes: str | None) -> dict[str, str]:
        credentials = {"client_secret": self.secret} if self.secret else {}
        return self.visitor.parameters(**credentials | changes)

    async def push(self, headers: dict[str, str] | None = None, **changes: str | None) -> httpx.Response:
        return await self.visitor.http.post("/oauth/par", data=self.body(**changes), headers=headers)

    async def pushed(self, **changes: str | None) -> str:
        answer = await self.push(**changes)
        assert answer.status_code == 201, answer.text
        request_uri: str = answer.json()["request_uri"]
        return request_uri

    async def authorize(self, **parameters: str) -> httpx.Response:
        """With what is named, and nothing else beside the client's name."""
        return await self.visitor.http.get("/authorize", params={"client_id": self.client_id, **parameters})

    async def log_in(self, **parameters: str) -> dict[str, str]:
        browser = self.visitor.browser
        await browser.open("/authorize", client_id=self.client_id, **parameters)
        if browser.landed is None:
            await browser.submit({"email": "ada@example.com"})
            await browser.submit({"password": "correct horse"})
        return browser.parameters()

    async def redeem(self, code: str, **changes: str) -> httpx.Response:
        credentials = {"client_secret": self.secret} if self.secret else {}
        return await self.visitor.redeem(code, **credentials | changes)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Of a request object: the usual parameters and what names its maker. None leaves one out."""
        now = int(self.world.clock.now())
        made = {"iss": self.client_id, "aud": self.place.tenant.issuer, "iat": now, "exp": now + 300}
        wanted = {**self.visitor.parameters(), **made, **changes}
        return {name: value for name, value in wanted.items() if value is not None}

    def signed(
        self, *, key: SigningKey | None = None, typ: str = "oauth-authz-req+jwt", **changes: Any
    ) -> str:
        return jwt.sign(self.claims(**changes), key or self.key, typ=typ)


async def make_requester(
    world: World,
    place: Place | None = None,
    *,
    confidential: bool = False,
    key: SigningKey = KEYS["ES256"],
    has_key: bool = True,
    **values: Any,
) -> Requester:
    place = place or world.acme
    made = {"token_endpoint_auth_method": "client_secret_post"} if confidential else {}
    client_id: str = values.get("client_id") or await place.make_client(**made | values)
    if "client_id" in values:
        await place.make_client(**made | values)
    secret = await add_secret(place, client_id) if confidential else None
    if has_key:
        await add_key(place, client_id, key)
    return Requester(world, place, world.visitor(client_id, place), client_id, secret, key)


async def add_secret(place: Place, client_id: str) -> str:
    secret = new_secret()
    await place.insert(
        models.ClientSecret, id=new_id("sec"), client_id=client_id, digest=digest(secret), sealed=b"",
        created_at=place.ms,
    )  # fmt: skip
    return secret


async def add_key(place: Place, client_id: str, key: SigningKey, **values: Any) -> None:
    row = {
        "id": new_id("key"),
        "kid": key.kid,
        "jwk": dict(key.public_jwk),
        "alg": None,
        "created_at": place.ms,
    }
    await place.insert(models.ClientKey, client_id=client_id, **row | values)


def unsigned(claims: dict[str, Any], alg: str = "none", signature: str = "") -> str:
    header = {"alg": alg, "typ": "oauth-authz-req+jwt", "kid": "none"}
    return f"{_segment(header)}.{_segment(claims)}.{signature}"


def _segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def is_page(response: httpx.Response, error: str | None = None, status: int = 400) -> bool:
    html = response.headers["content-type"].startswith("text/html")
    named = error is None or error in response.text
    return response.status_code == status and html and named and "location" not in response.headers


async def count(place: Place, table: str) -> int:
    return int((await place.run(f"SELECT count(*) FROM {table}"))[0][0])
