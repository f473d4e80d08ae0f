"""People and machines who call the APIs, with real tokens: signed in through the pages, or by client credentials."""

import secrets
from collections.abc import Iterable
from typing import Any

import httpx

from entrypoints.demo_content import CALLBACK, DemoClient, DemoUser
from entrypoints.network import client_credentials
from tests.installation import Installation
from tests.relying_party import RelyingParty

CONNECTION = "Username-Password-Authentication"


class Caller:
    """One token; `call` answers whatever comes."""

    def __init__(self, http: httpx.AsyncClient, token: str | None) -> None:
        self._http = http
        self.token = token

    async def call(
        self, method: str, url: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> httpx.Response:
        sent = dict(headers or {})
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        return await self._http.request(method, url, json=body, headers=sent, params=query or None)


class Person(Caller):
    """Somebody of tenant one, with the token that they have at the console."""

    def __init__(self, http: httpx.AsyncClient, token: str | None, user_id: str, user: DemoUser) -> None:
        super().__init__(http, token)
        self.user_id = user_id
        self.user = user


async def make_user(
    installation: Installation, issuer: str, token: str, **values: Any
) -> tuple[str, DemoUser]:
    """A user of the tenant at `issuer`; answers id and credentials."""
    password = secrets.token_urlsafe(15)
    body = {
        "connection": CONNECTION,
        "email": f"{secrets.token_hex(5)}@people.example",
        "email_verified": True,
        "password": password,
        **values,
    }
    made = await Caller(installation.http, token).call("POST", f"{issuer}api/v2/users", body)
    assert made.status_code == 201, made.text
    return made.json()["user_id"], DemoUser(body["email"], password)


async def give_roles(
    installation: Installation, issuer: str, token: str, user_id: str, names: Iterable[str]
) -> None:
    caller = Caller(installation.http, token)
    roles = (await caller.call("GET", f"{issuer}api/v2/roles", per_page=100)).json()
    chosen = [role["id"] for role in roles if role["name"] in names]
    given = await caller.call("POST", f"{issuer}api/v2/users/{user_id}/roles", {"roles": chosen})
    assert given.status_code in (200, 204), given.text


async def token_of(
    installation: Installation,
    issuer: str,
    client: DemoClient,
    audience: str,
    user: DemoUser,
    *,
    organization: str | None = None,
    scope: str = "openid",
) -> str:
    """Sign in through the pages, in a browser of one's own."""
    async with installation.browser() as http:
        rp = RelyingParty(http, issuer, client, audience, user, CALLBACK)
        answer = await rp.sign_in(organization=organization, scope=scope)
        return answer.access_token


async def operator_token(installation: Installation, user: DemoUser, organization: str | None = None) -> str:
    """At the operators' console."""
    plane = installation.demo.control_plane
    return await token_of(
        installation,
        plane.issuer,
        plane.clients["console"],
        plane.management_audience,
        user,
        organization=organization,
    )


async def machine_token(http: httpx.AsyncClient, issuer: str, client: DemoClient, audience: str) -> str:
    assert client.client_secret is not None
    return await client_credentials(http, issuer, client.client_id, client.client_secret, audience)
