"""`/.well-known/jwks.json`: the tenant's public keys (RFC 7517 section 5), encoded once with the snapshot.

Kept by caches for five minutes: a new key is published long before it signs, and one revoked in an emergency is
gone soon.
"""

from litestar import asgi
from litestar.types import Receive, Scope, Send

from core.clock import Clock, now_ms
from core.tenants import Tenant
from tenant_runtime.configuration import configuration
from tenant_runtime.dependencies import Services
from tenant_runtime.oauth.keys.signing import advanced
from tenant_runtime.oauth.wire import RawHeaders, send_document

PUBLIC_HEADERS: RawHeaders = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"public, max-age=300"),
    (b"access-control-allow-origin", b"*"),
    (b"x-content-type-options", b"nosniff"),
]


@asgi("/.well-known/jwks.json", copy_scope=False)
async def key_set(scope: Scope, receive: Receive, send: Send) -> None:
    services: Services = scope["state"]["services"]
    await send_key_set(services.clock, scope, receive, send)


async def send_key_set(clock: Clock, scope: Scope, receive: Receive, send: Send) -> None:
    tenant: Tenant = scope["state"]["tenant"]
    current, now = await configuration(tenant), now_ms(clock)
    if current.keys.timetable.is_due(now):
        current = await advanced(tenant, current, now)
    await send_document(scope, send, current.keys.jwks, PUBLIC_HEADERS)
