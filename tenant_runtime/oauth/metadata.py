"""OpenID Connect Discovery 1.0 and RFC 8414: one document at both addresses, made once per issuer.

Says what works, and nothing that does not (`specs/protocol.md` section 1).
"""

from functools import lru_cache
from typing import Any

import msgspec
from litestar import asgi
from litestar.types import Receive, Scope, Send

from core.errors import Unavailable
from core.tenants import Tenant
from tenant_runtime.configuration import configuration
from tenant_runtime.oauth.authorization import acr
from tenant_runtime.oauth.authorization.parameters import PROMPTS
from tenant_runtime.oauth.clients.assertions import MAC_ALGORITHMS
from tenant_runtime.oauth.dpop.verification import ALGORITHMS as PROOF_ALGORITHMS
from tenant_runtime.oauth.keys.key_set import PUBLIC_HEADERS
from tenant_runtime.oauth.keys.signing import ALGORITHMS
from tenant_runtime.oauth.policy import PROTOCOL_SCOPES
from tenant_runtime.oauth.token import GRANTS
from tenant_runtime.oauth.tokens.claims import STANDARD_CLAIMS
from tenant_runtime.oauth.wire import send_document
from tenant_runtime.organizations.claims import ASKED
from tenant_runtime.tenant_settings import ClientRegistration

PATHS = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]

_CLIENT_AUTHENTICATION = [
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "none",
]
_ASSERTION_ALGORITHMS = [*ALGORITHMS, *MAC_ALGORITHMS]
_TOKEN_CLAIMS = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "azp",
    "sid",
    "at_hash",
]


@asgi(PATHS, copy_scope=False)
async def metadata(scope: Scope, receive: Receive, send: Send) -> None:
    tenant: Tenant = scope["state"]["tenant"]
    encoded = _encoded(tenant.issuer, await _registration(tenant))
    await send_document(scope, send, encoded, PUBLIC_HEADERS)


async def _registration(tenant: Tenant) -> ClientRegistration:
    """Who cannot be read lets nobody register either."""
    try:
        return (await configuration(tenant)).settings.client_registration
    except Unavailable:
        return ClientRegistration()


@lru_cache(4096)
def _encoded(issuer: str, registration: ClientRegistration) -> bytes:
    return msgspec.json.encode({**document(issuer), **_of_strangers(issuer, registration)})


def _of_strangers(issuer: str, registration: ClientRegistration) -> dict[str, Any]:
    """RFC 7591 and client-id metadata documents, where the tenant has them."""
    found: dict[str, Any] = {}
    if registration.mode != "off":
        found["registration_endpoint"] = f"{issuer}oidc/register"
    if registration.client_id_metadata_documents:
        found["client_id_metadata_document_supported"] = True
    return found


def document(issuer: str) -> dict[str, Any]:
    """`issuer` ends with a slash, so paths are joined without one."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}authorize",
        "token_endpoint": f"{issuer}oauth/token",
        "device_authorization_endpoint": f"{issuer}oauth/device/code",
        "userinfo_endpoint": f"{issuer}userinfo",
        "jwks_uri": f"{issuer}.well-known/jwks.json",
        "introspection_endpoint": f"{issuer}oauth/introspect",
        "revocation_endpoint": f"{issuer}oauth/revoke",
        "pushed_authorization_request_endpoint": f"{issuer}oauth/par",
        "require_pushed_authorization_requests": False,
        "end_session_endpoint": f"{issuer}oidc/logout",
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "scopes_supported": list(PROTOCOL_SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post", "web_message"],
        "grant_types_supported": list(GRANTS),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(ALGORITHMS),
        "userinfo_signing_alg_values_supported": list(ALGORITHMS),
        "token_endpoint_auth_methods_supported": _CLIENT_AUTHENTICATION,
        "token_endpoint_auth_signing_alg_values_supported": _ASSERTION_ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": [
            method for method in _CLIENT_AUTHENTICATION if method != "none"
        ],
        "introspection_endpoint_auth_signing_alg_values_supported": _ASSERTION_ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": _CLIENT_AUTHENTICATION,
        "revocation_endpoint_auth_signing_alg_values_supported": _ASSERTION_ALGORITHMS,
        "code_challenge_methods_supported": ["S256"],
        "claim_types_supported": ["normal"],
        "claims_supported": [*_TOKEN_CLAIMS, *STANDARD_CLAIMS, *ASKED],
        "claims_parameter_supported": True,
        "acr_values_supported": list(acr.SUPPORTED),
        "prompt_values_supported": sorted(PROMPTS),
        "request_parameter_supported": True,
        "request_uri_parameter_supported": True,
        "require_request_uri_registration": False,
        "request_object_signing_alg_values_supported": list(ALGORITHMS),
        "authorization_response_iss_parameter_supported": True,
        "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
    }
