"""Which browser applications may read what this tenant answers them (the CORS protocol of the Fetch standard).

An origin may call the token, userinfo and revocation endpoints when some client of the tenant names it: in its web
origins, its allowed origins, or, for public clients, as the origin of a callback. What was registered is cut to its
origin, then compared as a whole; no patterns. No cookie is ever allowed along. The key set and the metadata may be
read from anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Connection, select

from core.tenants import Tenant
from tenant_runtime.login.addresses import origin_of
from tenant_runtime.models import Client

RawHeaders = list[tuple[bytes, bytes]]

ALLOWED_HEADERS = (
    "authorization",
    "content-type",
    "auth0-client",
    "dpop",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
)
"""What the browser SDKs and MCP clients send beyond the safe headers (`specs/protocol.md` section 3)."""

EXPOSED_HEADERS = ("www-authenticate", "retry-after", "x-request-id", "dpop-nonce")
MAX_AGE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class CrossOrigin:
    """The headers for one origin, for an answer sent raw and for an error that a router renders."""

    allowed: bool
    raw: RawHeaders
    named: Mapping[str, str]


_REFUSED = CrossOrigin(False, [(b"vary", b"Origin")], MappingProxyType({"Vary": "Origin"}))

_c = Client.__table__.c
_ORIGINS = select(_c.web_origins, _c.allowed_origins, _c.callbacks, _c.token_endpoint_auth_method)


async def cross_origin_headers(tenant: Tenant, origin: str) -> CrossOrigin:
    if not origin or origin == "null":
        return _REFUSED
    known = await tenant.database.snapshot(load_origins)
    return known.get(origin, _REFUSED)


def load_origins(connection: Connection) -> Mapping[str, CrossOrigin]:
    """Every origin that a client names, with the headers it is answered with."""
    found: set[str] = set()
    for web, allowed, callbacks, method in connection.execute(_ORIGINS):
        found.update(web, allowed, callbacks if method == "none" else ())
    origins = {origin for address in found if (origin := origin_of(address)) is not None}
    return MappingProxyType({origin: _allowed(origin) for origin in origins})


def _allowed(origin: str) -> CrossOrigin:
    named = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": ", ".join(EXPOSED_HEADERS),
        "Vary": "Origin",
    }
    raw = [(name.lower().encode(), value.encode()) for name, value in named.items()]
    return CrossOrigin(True, raw, MappingProxyType(named))


ANY_ORIGIN = _allowed("*")
"""For what asks no cookie and knows no client yet: registration."""


def preflight_headers(methods: tuple[str, ...]) -> RawHeaders:
    return [
        (b"access-control-allow-methods", ", ".join(methods).encode()),
        (b"access-control-allow-headers", ", ".join(ALLOWED_HEADERS).encode()),
        (b"access-control-max-age", str(MAX_AGE_SECONDS).encode()),
    ]
