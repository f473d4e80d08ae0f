"""Protected-resource metadata (RFC 9728), and how a client that knows only an API's address gets a token for it."""

import re
import secrets
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from litestar import Litestar, get

from entrypoints.browser import Browser
from keystead_sdk import Misused, TokenVerifier
from keystead_sdk.litestar import KeysteadPlugin, require_scope
from keystead_sdk.litestar_metadata import metadata_route, with_metadata
from keystead_sdk.resource_metadata import ProtectedResource
from tenant_runtime.management.permissions import PLATFORM, TENANT
from tests.installation import Installation
from tests.registrations import let_register
from tests.relying_party import challenge, payload

pytestmark = pytest.mark.anyio

WELL_KNOWN = ".well-known/oauth-protected-resource"
OWN = [("", ""), ("/api/v2/", "api/v2/"), ("/api/v2", "api/v2/"), ("/userinfo", "userinfo")]


async def document(installation: Installation, issuer: str, path: str) -> dict[str, Any]:
    answer = await installation.http.get(f"{issuer}{WELL_KNOWN}{path}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(("path", "resource"), OWN)
@pytest.mark.parametrize("tenant_id", ["acme", "globex"])
async def test_each_tenant_describes_its_own_resources(
    shared: Installation, tenant_id: str, path: str, resource: str
) -> None:
    issuer = shared.tenant(tenant_id).issuer
    found = await document(shared, issuer, path)
    assert found["resource"] == f"{issuer}{resource}"
    assert found["authorization_servers"] == [issuer]
    assert "header" in found["bearer_methods_supported"]
    assert "ES256" in found["dpop_signing_alg_values_supported"]


async def test_the_management_api_names_its_permissions(shared: Installation) -> None:
    acme = await document(shared, shared.tenant("acme").issuer, "/api/v2/")
    assert acme["scopes_supported"] == list(TENANT)
    plane = await document(shared, shared.demo.control_plane.issuer, "/api/v2/")
    assert plane["scopes_supported"] == [*TENANT, *PLATFORM]


@pytest.mark.parametrize("path", ["/", "/userinfo/", "/api/v2/users", "/api", "/x", "/api/v2//"])
async def test_what_is_no_resource_of_ours_has_no_document(shared: Installation, path: str) -> None:
    answer = await shared.http.get(f"{shared.tenant('acme').issuer}{WELL_KNOWN}{path}")
    assert answer.status_code == 404


async def test_a_page_may_fetch_the_documents_with_the_header_of_mcp(shared: Installation) -> None:
    asked = {"Origin": "http://localhost:6274", "Access-Control-Request-Headers": "mcp-protocol-version"}
    for path in (WELL_KNOWN, f"{WELL_KNOWN}/userinfo", ".well-known/oauth-authorization-server"):
        answer = await shared.http.options(
            f"{shared.tenant('acme').issuer}{path}",
            headers={**asked, "Access-Control-Request-Method": "GET"},
        )
        assert answer.status_code == 204
        assert "mcp-protocol-version" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
async def test_an_issuer_without_a_path_is_described_at_no_path(shared: Installation, name: str) -> None:
    """RFC 8414 section 3.1: a path after the well-known one would be another issuer."""
    for path in ("mcp", "acme", "api/v2"):
        answer = await shared.http.get(f"{shared.tenant('acme').issuer}.well-known/{name}/{path}")
        assert answer.status_code == 404


def metadata_address(answer: httpx.Response) -> str:
    found = re.search(r'resource_metadata="([^"]+)"', answer.headers["www-authenticate"])
    assert found is not None, answer.headers["www-authenticate"]
    return found[1]


@pytest.mark.parametrize("authorization", [None, "Bearer nonsense", "Basic eDp5", "DPoP nonsense"])
@pytest.mark.parametrize(
    ("path", "resource"),
    [("api/v2/users", "api/v2/"), ("api/v2/nothing", "api/v2/"), ("userinfo", "userinfo")],
)
async def test_a_refusal_says_where_the_document_of_the_resource_is(
    shared: Installation, path: str, resource: str, authorization: str | None
) -> None:
    issuer = shared.tenant("acme").issuer
    headers = {"Authorization": authorization} if authorization else {}
    answer = await shared.http.get(issuer + path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith(("Bearer ", "DPoP "))
    found = (await shared.http.get(metadata_address(answer))).json()
    assert found["resource"] == f"{issuer}{resource}"


async def test_want_of_a_permission_says_so_too(shared: Installation) -> None:
    issuer = shared.tenant("acme").issuer
    async with shared.browser() as http:
        party = shared.relying_party("acme", http=http)
        token = (await party.sign_in(audience=f"{issuer}api/v2/", scope="openid")).access_token
    answer = await shared.http.get(f"{issuer}api/v2/users", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert metadata_address(answer) == f"{issuer}{WELL_KNOWN}/api/v2/"


async def test_other_endpoints_name_no_resource(shared: Installation) -> None:
    issuer = shared.tenant("acme").issuer
    answer = await shared.http.post(f"{issuer}oauth/token", data={"grant_type": "client_credentials"})
    assert "resource_metadata" not in answer.headers.get("www-authenticate", "")


@pytest.mark.parametrize("path", ["", "userinfo"])
async def test_a_token_for_the_issuers_own_resource_is_one_for_userinfo(
    shared: Installation, path: str
) -> None:
    issuer = shared.tenant("acme").issuer
    async with shared.browser() as http:
        party = shared.relying_party("acme", http=http)
        code = await party.code(audience=None, resource=issuer + path, scope="openid email")
        answer = await party.redeem(code, resource=issuer + path)
        assert answer.status == 200, answer.body
        assert "." not in answer.access_token, "opaque: it is for no API"
        assert (await party.userinfo(answer.access_token)).json()["email"] == party.user.email


# --- The SDK ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("https://api.example.com", WELL_KNOWN),
        ("https://api.example.com/", WELL_KNOWN),
        ("https://api.example.com/v1", f"{WELL_KNOWN}/v1"),
        ("https://api.example.com/v1/", f"{WELL_KNOWN}/v1/"),
        ("https://api.example.com:8443/v1", f"{WELL_KNOWN}/v1"),
    ],
)
def test_the_document_stands_between_host_and_path(resource: str, path: str) -> None:
    described = ProtectedResource(resource=resource, authorization_servers=("https://id.example.com/",))
    assert described.path == f"/{path}"
    assert described.address == f"https://{urlsplit(resource).netloc}/{path}"
    assert described.document()["resource"] == resource


@pytest.mark.parametrize(
    "resource",
    [
        "http://api.example.com/",
        "api",
        "https://a.example/#x",
        "https://a.example/?x",
        'https://a.example/"x',
    ],
)
def test_an_address_that_fits_no_header_is_a_mistake_of_the_program(resource: str) -> None:
    with pytest.raises(Misused):
        ProtectedResource(resource=resource, authorization_servers=("https://id.example.com/",))
    with pytest.raises(Misused):
        ProtectedResource(resource="https://api.example.com/", authorization_servers=(resource,))
    with pytest.raises(Misused):
        ProtectedResource(resource="https://api.example.com/", authorization_servers=())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Bearer", "Bearer {}"),
        ('Bearer, DPoP algs="ES256"', 'Bearer {}, DPoP algs="ES256"'),
        ('Bearer error="invalid_token"', 'Bearer error="invalid_token", {}'),
    ],
)
def test_the_address_becomes_a_parameter_of_the_challenge(before: str, after: str) -> None:
    described = ProtectedResource(
        resource="https://api.example.com/", authorization_servers=("https://id.example.com/",)
    )
    named = f'resource_metadata="https://api.example.com/{WELL_KNOWN}"'
    assert described.challenge(before) == after.format(named)


# --- The whole way ------------------------------------------------------------------------------------------------

MCP = {"MCP-Protocol-Version": "2025-06-18"}
REDIRECT = "http://127.0.0.1:33418/callback"
API = "http://api.localhost/mcp"


@get("/mcp", guards=[require_scope("mcp:tools")])
async def tools() -> dict[str, list[str]]:
    return {"tools": ["add"]}


def api_of(installation: Installation, issuer: str) -> Litestar:
    """A customer's API, which accepts the tenant's tokens."""

    async def fetch(url: str) -> bytes:
        answer = await installation.http.get(url)
        answer.raise_for_status()
        return answer.content

    resource = ProtectedResource(resource=API, authorization_servers=(issuer,), scopes=("mcp:tools",))
    verifier = TokenVerifier(issuer=issuer, audience=API, fetch=fetch, clock=installation.clock.now)
    plugin = KeysteadPlugin(verifier, render=with_metadata(resource))
    return Litestar([metadata_route(resource), tools], plugins=[plugin], logging_config=None)


class McpClient:
    """Knows the address of the API, and nothing else."""

    def __init__(self, installation: Installation, api: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
        self._installation, self._api, self._http = installation, api, http
        self.verifier = secrets.token_urlsafe(48)

    async def discover(self) -> tuple[dict[str, Any], dict[str, Any]]:
        refused = await self._api.get(API, headers=MCP)
        assert refused.status_code == 401
        resource = (await self._api.get(metadata_address(refused), headers=MCP)).json()
        assert resource["resource"] == API
        [issuer] = resource["authorization_servers"]
        answer = await self._http.get(f"{issuer}.well-known/oauth-authorization-server", headers=MCP)
        server: dict[str, Any] = answer.json()
        assert server["issuer"] == issuer
        assert "S256" in server["code_challenge_methods_supported"]
        return resource, server

    async def register(self, server: dict[str, Any]) -> dict[str, Any]:
        said = {
            "client_name": "MCP client",
            "redirect_uris": [REDIRECT],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }
        answer = await self._http.post(server["registration_endpoint"], json=said, headers=MCP)
        assert answer.status_code == 201, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def authorize(
        self, resource: dict[str, Any], server: dict[str, Any], client_id: str, redirect: str = REDIRECT
    ) -> dict[str, str]:
        """The person signs in, and consents."""
        asked = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect,
            "code_challenge": challenge(self.verifier),
            "code_challenge_method": "S256",
            "state": "s",
            "scope": " ".join(resource["scopes_supported"]),
            "resource": resource["resource"],
        }
        user = self._installation.tenant("acme").users[0]
        browser = Browser(self._http, stops=(redirect,))
        await browser.open(f"{server['authorization_endpoint']}?{urlencode(asked)}")
        await browser.submit({"email": user.email})
        await browser.submit({"password": user.password})
        await browser.submit(button=("decision", "allow"))
        return browser.parameters()

    async def token(self, server: dict[str, Any], client_id: str, **form: str) -> httpx.Response:
        return await self._http.post(
            server["token_endpoint"], data={"client_id": client_id, "resource": API, **form}, headers=MCP
        )


async def test_an_mcp_client_goes_from_a_401_to_a_call(installation: Installation) -> None:
    await let_register(installation, "acme", mode="open")
    manager = await installation.manager("acme")
    await manager.post(
        "/resource-servers",
        {
            "name": "Tools",
            "identifier": API,
            "scopes": [{"value": "mcp:tools"}],
            "allow_offline_access": True,
        },
    )
    app = api_of(installation, installation.tenant("acme").issuer)
    async with (
        installation.browser() as http,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as api,
    ):
        client = McpClient(installation, api, http)
        resource, server = await client.discover()
        client_id = (await client.register(server))["client_id"]
        landed = await client.authorize(resource, server, client_id)
        assert landed["iss"] == server["issuer"]
        answer = await client.token(
            server,
            client_id,
            grant_type="authorization_code",
            code=landed["code"],
            redirect_uri=REDIRECT,
            code_verifier=client.verifier,
        )
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        assert payload(token)["aud"] == API
        called = await api.get(API, headers={**MCP, "Authorization": f"Bearer {token}"})
        assert called.json() == {"tools": ["add"]}
        of_globex = await installation.http.get(
            f"{installation.tenant('globex').issuer}userinfo", headers={"Authorization": f"Bearer {token}"}
        )
        assert of_globex.status_code == 401


async def test_a_browser_may_read_the_metadata_of_an_api_and_its_refusals(installation: Installation) -> None:
    app = api_of(installation, installation.tenant("acme").issuer)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as api:
        address = f"http://api.localhost/{WELL_KNOWN}/mcp"
        preflight = await api.options(address, headers={"Origin": "http://localhost:6274"})
        assert preflight.status_code == 204
        assert "mcp-protocol-version" in preflight.headers["access-control-allow-headers"]
        assert (await api.get(address)).headers["access-control-allow-origin"] == "*"
        assert (await api.get(API)).headers["access-control-expose-headers"] == "WWW-Authenticate"
