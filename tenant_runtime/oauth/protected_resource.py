"""Protected-resource metadata (RFC 9728) of the resources that every tenant has of its own: the Management API,
`/userinfo`, what agents call, and the issuer as a whole, which stands for what `/userinfo` tells.

Where such a resource refuses a token it says where its document is (section 5.1), so a client that knows nothing but
the resource's address finds the issuer, and by it everything else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from litestar import Response, asgi
from litestar.types import Receive, Scope, Send

from core.errors import NotFound
from core.http.errors import AnyRequest, Handler
from core.tenants import Tenant
from tenant_runtime.agents import resource as agents
from tenant_runtime.management.permissions import PLATFORM, TENANT
from tenant_runtime.oauth.dpop.verification import ALGORITHMS as PROOF_ALGORITHMS
from tenant_runtime.oauth.keys.key_set import PUBLIC_HEADERS
from tenant_runtime.oauth.policy import PROTOCOL_SCOPES
from tenant_runtime.oauth.wire import send_document

WELL_KNOWN = "/.well-known/oauth-protected-resource"
_CHALLENGE = "WWW-Authenticate"


@dataclass(frozen=True, slots=True)
class OwnResource:
    """`path` below the issuer, as the resource's identifier spells it; `serves` is the path of what it serves."""

    path: str
    name: str
    serves: str
    scopes: tuple[str, ...]
    methods: tuple[str, ...] = ("header",)


MANAGEMENT = OwnResource("api/v2/", "Management API", "/api/v2/", tuple(TENANT))
_OPERATORS = OwnResource("api/v2/", "Management API", "/api/v2/", (*TENANT, *PLATFORM))
USERINFO = OwnResource("userinfo", "UserInfo", "/userinfo", PROTOCOL_SCOPES, ("header", "body"))
AGENTS = OwnResource(agents.address_of(""), agents.NAME, agents.PATH, tuple(agents.SCOPES))
_ISSUER = OwnResource("", "UserInfo", "/userinfo", PROTOCOL_SCOPES, ("header", "body"))

_BY_PATH: Mapping[str, OwnResource] = {
    WELL_KNOWN: _ISSUER,
    f"{WELL_KNOWN}/userinfo": USERINFO,
    f"{WELL_KNOWN}{agents.PATH}": AGENTS,
    f"{WELL_KNOWN}/api/v2": MANAGEMENT,
    f"{WELL_KNOWN}/api/v2/": MANAGEMENT,
}
PATHS = tuple(_BY_PATH)
"""Both spellings of the one that ends with a slash: clients differ in whether they keep it."""


@asgi([path for path in PATHS if not path.endswith("/")], copy_scope=False)
async def protected_resource(scope: Scope, receive: Receive, send: Send) -> None:
    tenant: Tenant = scope["state"]["tenant"]
    found = _BY_PATH.get(scope["path"])
    if found is None:
        raise NotFound
    if found is MANAGEMENT and tenant.is_control_plane:
        found = _OPERATORS
    await send_document(scope, send, _encoded(tenant.issuer, found), PUBLIC_HEADERS)


@lru_cache(4096)
def _encoded(issuer: str, resource: OwnResource) -> bytes:
    return msgspec.json.encode(document(issuer, resource))


def document(issuer: str, resource: OwnResource) -> dict[str, Any]:
    return {
        "resource": f"{issuer}{resource.path}",
        "resource_name": resource.name,
        "authorization_servers": [issuer],
        "jwks_uri": f"{issuer}.well-known/jwks.json",
        "scopes_supported": list(resource.scopes),
        "bearer_methods_supported": list(resource.methods),
        "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
        "dpop_bound_access_tokens_required": False,
    }


def resource_metadata_of(issuer: str, resource: OwnResource) -> str:
    """Where the document is: the well-known path goes between host and path (RFC 9728 section 3.1)."""
    return f"{issuer[:-1]}{WELL_KNOWN}/{resource.path}"


def with_resource_metadata(render: Handler) -> Handler:
    """A renderer of errors whose challenges, at our own resources, say where the resource's document is."""

    def handle(request: AnyRequest, exc: Exception) -> Response[Any]:
        response = render(request, exc)
        challenge, resource = response.headers.get(_CHALLENGE), _of(request.scope["path"])
        tenant = request.scope["state"].get("tenant")
        if challenge and resource is not None and isinstance(tenant, Tenant):
            named = f'resource_metadata="{resource_metadata_of(tenant.issuer, resource)}"'
            joint = ", " if "=" in challenge else " "
            response.headers[_CHALLENGE] = f"{challenge}{joint}{named}"
        return response

    return handle


def _of(path: str) -> OwnResource | None:
    return next((own for own in (MANAGEMENT, USERINFO, AGENTS) if path.startswith(own.serves)), None)
