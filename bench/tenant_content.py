"""What one tenant needs before it can be measured: people, an API that signs with ES256, a signed-in browser."""

import base64
import hashlib
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from bench.installation import Installation, few_at_a_time, web
from entrypoints.browser import Browser
from entrypoints.demo_content import CALLBACK, DemoClient, DemoTenant
from entrypoints.network import Api, client_credentials

USERS = 60
VERIFIER = "a-verifier-of-the-benchmark-that-is-long-enough-for-the-rule"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ELLIPTIC_API = "https://es256.bench.example"
SCOPES = ("read:invoices", "write:invoices")


@dataclass(frozen=True, slots=True)
class Content:
    port: int
    host: str
    tenant: DemoTenant
    client: DemoClient
    management_token: str
    cookies: str
    has_elliptic_api: bool

    @property
    def organization(self) -> str:
        return self.tenant.organizations[0].id

    def authorize_path(self, scope: str) -> str:
        """A silent request for one of the user's organizations."""
        query = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": CALLBACK,
            "scope": scope,
            "audience": self.tenant.api_audience,
            "organization": self.organization,
            "prompt": "none",
            "state": "state-of-the-benchmark",
            "nonce": "nonce-of-the-benchmark",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return f"/authorize?{urlencode(query)}"

    def redemption(self, location: str, redirect_uri: str) -> dict[str, str]:
        """The form that redeems the code of an answer."""
        return {
            "grant_type": "authorization_code",
            "code": parse_qs(urlsplit(location).query)["code"][0],
            "redirect_uri": redirect_uri,
            "code_verifier": VERIFIER,
            **self.credentials,
        }

    @property
    def credentials(self) -> dict[str, str]:
        return {"client_id": self.client.client_id, "client_secret": self.client.client_secret or ""}


async def prepare(installation: Installation, users: int = USERS) -> Content:
    tenant = installation.acme
    async with web() as http:
        machine = tenant.clients["m2m"]
        token = await client_credentials(
            http, tenant.issuer, machine.client_id, machine.client_secret or "", tenant.management_audience
        )
        api = Api(http, f"{tenant.issuer}api/v2", token)
        await _add_users(api, tenant, users)
        has_elliptic_api = await _add_elliptic_api(api, tenant.clients["web"])
        cookies = await _sign_in(http, tenant)
    return Content(
        installation.port,
        installation.host(tenant.id),
        tenant,
        tenant.clients["web"],
        token,
        cookies,
        has_elliptic_api,
    )


async def _add_users(api: Api, tenant: DemoTenant, count: int) -> None:
    await few_at_a_time(
        api.post(
            "/users",
            {
                "connection": "Username-Password-Authentication",
                "email": f"bench{number}@{tenant.id}.example",
                "password": f"correct horse battery {number}",
                "email_verified": True,
                "name": f"Bench Mark {number}",
                "given_name": "Bench",
                "family_name": f"Mark {number}",
            },
        )
        for number in range(count - len(tenant.users))
    )


async def _add_elliptic_api(api: Api, client: DemoClient) -> bool:
    """False where the server refuses the algorithm: a tenant without such a key."""
    server = {
        "name": "Signs with ES256",
        "identifier": ELLIPTIC_API,
        "signing_alg": "ES256",
        "scopes": [{"value": value, "description": value} for value in SCOPES],
    }
    if await api.status("POST", "/resource-servers", server) != 201:
        return False
    grant = {"client_id": client.client_id, "audience": ELLIPTIC_API, "scope": list(SCOPES)}
    await api.post("/client-grants", grant)
    return True


async def _sign_in(http: httpx.AsyncClient, tenant: DemoTenant) -> str:
    """The first user, through the pages; answers the browser's cookies."""
    browser = Browser(http, stops=(CALLBACK,))
    query = {
        "response_type": "code",
        "client_id": tenant.clients["web"].client_id,
        "redirect_uri": CALLBACK,
        "scope": "openid profile email",
        "organization": tenant.organizations[0].id,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    await browser.open(f"{tenant.issuer}authorize?{urlencode(query)}")
    await browser.submit({"email": tenant.users[0].email})
    await browser.submit({"password": tenant.users[0].password})
    if browser.landed is None:
        raise RuntimeError(f"signing in did not end at the application: {browser.response}")
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in http.cookies.jar)
