"""`keystead walk`: the main line over plain HTTP against a running installation, each step told as it happens.

Uses only what any customer could: the platform API, the Management API, and the protocol with the console's public
client. A step whose outcome is not the promised one ends the walk with a sentence.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from entrypoints.browser import Browser
from entrypoints.demo_content import CALLBACK, Demo, DemoControlPlane
from entrypoints.network import Api, ApiError, LoopbackTransport, client_credentials
from entrypoints.walk_protocol import Endpoints, expect, rotate_a_key
from keystead_sdk.testing import KeyHolder

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Tokens:
    access_token: str
    refresh_token: str | None
    claims: dict[str, Any]


class Walk:
    """One run. Everything it makes carries `mark`, so that it can be run again and again."""

    def __init__(self, http: httpx.AsyncClient, control_plane: DemoControlPlane, say: Say) -> None:
        self._http = http
        self._plane = control_plane
        self._say = say
        self._mark = secrets.token_hex(3)
        self._browser = Browser(http, stops=(CALLBACK,))

    async def run(self) -> None:
        platform = await self._as_machine()
        first, second = [await self._create_tenant(platform, name) for name in ("walk", "other")]
        server, role = await self._share(platform)
        await self._is_a_system_entity(first, server, role)
        tokens = await self._sign_in(first)
        await self._administer(first, second, tokens)
        await self._switch(first, second, tokens)
        await self._prove_a_key(first)
        await self._change_the_role(platform, first, server, role)
        await self._rotate(first, server)
        await self._clean_up(platform, [first, second], server, role)
        self._say("done: every step ended as promised")

    async def _as_machine(self) -> Api:
        client = self._plane.clients["m2m"]
        issuer = self._plane.issuer
        token = await client_credentials(
            self._http, issuer, client.client_id, client.client_secret or "", self._plane.management_audience
        )
        self._say(f"took a machine token of the control plane at {issuer}")
        return Api(self._http, f"{issuer}api/v2", token)

    async def _create_tenant(self, platform: Api, name: str) -> dict[str, Any]:
        tenant_id = f"{name}-{self._mark}"
        operator = await self._operator(platform)
        tenant: dict[str, Any] = await platform.post(
            "/tenants", {"id": tenant_id, "display_name": tenant_id.title()}
        )
        expect(tenant["state"] == "active", f"{tenant_id} is {tenant['state']}, not active")
        organization = f"/organizations/{tenant['organization_id']}/members"
        await platform.post(organization, {"members": [operator]})
        roles = await platform.get("/roles", name_filter="Tenant Admin")
        admin = next(role for role in roles if role["name"] == "Tenant Admin")
        await platform.post(f"{organization}/{operator}/roles", {"roles": [admin["id"]]})
        self._say(
            f"created tenant {tenant_id} with its own database, and made the operator its administrator"
        )
        return tenant

    async def _operator(self, platform: Api) -> str:
        users = await platform.get("/users-by-email", email=self._plane.users[0].email)
        return str(users[0]["user_id"])

    async def _share(self, platform: Api) -> tuple[dict[str, Any], dict[str, Any]]:
        identifier = f"https://walk-{self._mark}.example.com"
        scopes = [
            {"value": "read:things", "description": "Read"},
            {"value": "write:things", "description": "Write"},
        ]
        server = await platform.post(
            "/resource-servers", {"name": f"Walk {self._mark}", "identifier": identifier, "scopes": scopes}
        )
        role = await platform.post("/roles", {"name": f"Walker {self._mark}"})
        permission = {"resource_server_identifier": identifier, "permission_name": "read:things"}
        await platform.post(f"/roles/{role['id']}/permissions", {"permissions": [permission]}, wait="sync")
        self._say(f"created the API {identifier} and the role {role['name']} on the control plane")
        return server, role

    async def _is_a_system_entity(
        self, tenant: dict[str, Any], server: dict[str, Any], role: dict[str, Any]
    ) -> None:
        api = await self._machine_at(tenant)
        copy = await api.get(f"/resource-servers/{server['id']}")
        role_copy = await api.get(f"/roles/{role['id']}")
        expect(copy["is_system"] and role_copy["is_system"], "the copies are not system entities")
        refused = await api.status("PATCH", f"/roles/{role['id']}", {"name": "mine"})
        expect(refused == 403, f"changing a system role answered {refused}, not 403")
        self._say(
            f"both stand in {tenant['id']} as system entities with the same ids, and cannot be changed there"
        )

    async def _machine_at(self, tenant: dict[str, Any]) -> Api:
        client = self._plane.clients["m2m"]
        token = await client_credentials(
            self._http,
            self._plane.issuer,
            client.client_id,
            client.client_secret or "",
            self._plane.management_audience,
        )
        return Api(self._http, f"{self._issuer(tenant)}api/v2", token)

    async def _sign_in(self, tenant: dict[str, Any]) -> Tokens:
        operator = self._plane.users[0]
        verifier = secrets.token_urlsafe(48)
        await self._browser.open(self._authorize(tenant, verifier, scope="openid email offline_access"))
        await self._browser.submit({"email": operator.email})
        await self._browser.submit({"password": operator.password})
        tokens = await self._redeem(verifier)
        expect(
            tokens.claims.get("org_id") == tenant["organization_id"], "the token names another organization"
        )
        self._say(
            f"signed {operator.email} in with the organization of {tenant['id']}; the token carries its org_id"
        )
        return tokens

    async def _administer(self, tenant: dict[str, Any], other: dict[str, Any], tokens: Tokens) -> None:
        own = Api(self._http, f"{self._issuer(tenant)}api/v2", tokens.access_token)
        roles = await own.get("/roles")
        self._say(f"used it on the Management API of {tenant['id']}: {len(roles)} roles")
        foreign = Api(self._http, f"{self._issuer(other)}api/v2", tokens.access_token)
        refused = await foreign.status("GET", "/roles")
        expect(refused == 403, f"{other['id']} answered {refused}, not 403")
        self._say(f"was refused with it on {other['id']}: 403")

    async def _switch(self, tenant: dict[str, Any], other: dict[str, Any], tokens: Tokens) -> None:
        verifier = secrets.token_urlsafe(48)
        await self._browser.open(self._authorize(other, verifier, prompt="none"))
        silent = await self._redeem(verifier)
        expect(
            silent.claims.get("org_id") == other["organization_id"],
            "the silent token names another organization",
        )
        await Api(self._http, f"{self._issuer(other)}api/v2", silent.access_token).get("/roles")
        self._say(f"switched to {other['id']} without a page (prompt=none), and it answers there")
        if tokens.refresh_token is not None:
            await self._switch_by_refresh(other, tokens.refresh_token)

    async def _switch_by_refresh(self, other: dict[str, Any], refresh_token: str) -> None:
        answer = await self._token(
            grant_type="refresh_token", refresh_token=refresh_token, organization=other["organization_id"]
        )
        claims = _claims(answer["access_token"])
        expect(
            claims.get("org_id") == other["organization_id"], "the refreshed token names another organization"
        )
        self._say(f"switched to {other['id']} by a token refresh as well")

    async def _prove_a_key(self, tenant: dict[str, Any]) -> None:
        """The request is pushed, and the code is redeemed with a key: nobody else can use the token."""
        plane, holder = Endpoints(self._http, self._plane.issuer), KeyHolder()
        verifier = secrets.token_urlsafe(48)
        query = self._query(tenant, verifier, prompt="none")
        pushed = {"client_id": query["client_id"], "request_uri": await plane.push(query)}
        await self._browser.open(f"{self._plane.issuer}authorize?{urlencode(pushed)}")
        token = await plane.redeem_bound(holder, self._code(verifier) | {"client_id": query["client_id"]})
        answer = await Endpoints(self._http, self._issuer(tenant)).ask_bound(holder, token, "api/v2/roles")
        expect(answer.is_success, f"the bound token was answered with {answer.status_code}")
        refused = await Api(self._http, f"{self._issuer(tenant)}api/v2", token).status("GET", "/roles")
        expect(refused == 401, f"the bound token without its key was answered with {refused}, not 401")
        self._say(
            "pushed a request, got a token bound to a key (DPoP), and was refused without that key: 401"
        )

    async def _rotate(self, tenant: dict[str, Any], server: dict[str, Any]) -> None:
        endpoints = Endpoints(self._http, self._issuer(tenant))
        await rotate_a_key(await self._machine_at(tenant), endpoints, server["identifier"], self._say)

    async def _change_the_role(
        self, platform: Api, tenant: dict[str, Any], server: dict[str, Any], role: dict[str, Any]
    ) -> None:
        await platform.patch(f"/roles/{role['id']}", {"name": f"Strider {self._mark}"})
        permission = {"resource_server_identifier": server["identifier"], "permission_name": "write:things"}
        await platform.post(f"/roles/{role['id']}/permissions", {"permissions": [permission]})
        api = await self._machine_at(tenant)
        copy = await api.get(f"/roles/{role['id']}")
        permissions = await api.get(f"/roles/{role['id']}/permissions")
        names = {permission["permission_name"] for permission in permissions}
        expect(copy["name"] == f"Strider {self._mark}", "the new name has not arrived")
        expect(names == {"read:things", "write:things"}, f"the permissions are {names}")
        self._say(f"renamed the role and added a permission; {tenant['id']} has both at its next request")

    async def _clean_up(
        self, platform: Api, tenants: list[dict[str, Any]], server: dict[str, Any], role: dict[str, Any]
    ) -> None:
        await platform.delete(f"/roles/{role['id']}")
        await platform.delete(f"/resource-servers/{server['id']}")
        for tenant in tenants:
            await platform.delete(f"/tenants/{tenant['id']}")
        self._say("deleted the role, the API and both tenants")

    def _issuer(self, tenant: dict[str, Any]) -> str:
        url = httpx.URL(self._plane.issuer)
        return str(url.copy_with(host=str(tenant["hosts"][0])))

    def _authorize(
        self, tenant: dict[str, Any], verifier: str, *, scope: str = "openid", prompt: str = ""
    ) -> str:
        return f"{self._plane.issuer}authorize?{urlencode(self._query(tenant, verifier, scope=scope, prompt=prompt))}"

    def _query(
        self, tenant: dict[str, Any], verifier: str, *, scope: str = "openid", prompt: str = ""
    ) -> dict[str, str]:
        return {
            "response_type": "code",
            "client_id": self._plane.clients["console"].client_id,
            "redirect_uri": CALLBACK,
            "scope": scope,
            "audience": self._plane.management_audience,
            "organization": tenant["organization_id"],
            "state": secrets.token_urlsafe(16),
            "nonce": secrets.token_urlsafe(16),
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
            **({"prompt": prompt} if prompt else {}),
        }

    def _code(self, verifier: str) -> dict[str, str]:
        """What redeems the code that the browser brought."""
        expect(self._browser.landed is not None, f"no answer came back; the page says: {self._page_text()}")
        answer = self._browser.parameters()
        expect("code" in answer, f"no code was issued: {answer}")
        return {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": CALLBACK,
            "code_verifier": verifier,
        }

    async def _redeem(self, verifier: str) -> Tokens:
        tokens = await self._token(**self._code(verifier))
        access_token = str(tokens["access_token"])
        return Tokens(access_token, tokens.get("refresh_token"), _claims(access_token))

    def _page_text(self) -> str:
        return self._browser.response.text[:500] if self._browser.response is not None else ""

    async def _token(self, **form: str) -> dict[str, Any]:
        form["client_id"] = self._plane.clients["console"].client_id
        response = await self._http.post(f"{self._plane.issuer}oauth/token", data=form)
        expect(response.is_success, f"the token endpoint answered {response.status_code}: {response.text}")
        tokens: dict[str, Any] = response.json()
        return tokens


async def walk(url: str, demo: Demo, say: Say) -> None:
    """Walk the installation at `url`, whose credentials are `demo`'s."""
    if demo.control_plane.issuer.rstrip("/") != url.rstrip("/"):
        raise ApiError(f"the credentials at hand are for {demo.control_plane.issuer}, not for {url}")
    async with httpx.AsyncClient(transport=LoopbackTransport(), timeout=30) as http:
        await Walk(http, demo.control_plane, say).run()


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _claims(token: str) -> dict[str, Any]:
    """Read, not verified: this is the client, to which an access token is opaque but for this demonstration."""
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims
