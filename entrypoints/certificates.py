"""`GET /internal/tls/ask?domain=`: whether a proxy on this side may have a certificate made for a name.

Asked by a proxy that gets certificates when a name is first seen (Caddy's `on_demand_tls`): 200 for the hosts that
tenants have, 404 for any other. Whoever could ask from outside could try out which tenants there are, so only a proxy
itself is answered: from this machine or a trusted proxy's address, at an address of the inside, and with nothing
forwarded. For everybody else there is no such path. One look into the directory, whatever is asked.
"""

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import parse_qs

from core.errors import UnknownTenant
from core.http.edge import Receive, Scope, Send
from core.http.hosts import canonical_host
from core.settings_values import is_inside
from core.tenants import Directory, TenantState

PATH = "/internal/tls/ask"
_SHOWN = (TenantState.ACTIVE, TenantState.SUSPENDED)
"""Who is suspended still says so over TLS."""

_FORWARDING = (b"x-forwarded-", b"x-real-ip", b"forwarded", b"via")


class CertificateAsk:
    def __init__(self, directory: Directory, trusted: Collection[IPv4Network | IPv6Network]) -> None:
        self._directory = directory
        self._trusted = tuple(trusted)

    def is_answered(self, host: str, scope: Scope) -> bool:
        if any(name.startswith(_FORWARDING) for name, _ in scope["headers"]):
            return False
        return is_inside(host) and self._is_near(scope["client"][0] if scope.get("client") else "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises `UnknownTenant`, which the edge answers with 404."""
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("domain", [])
        if len(asked) != 1 or not await self._is_served(asked[0]):
            raise UnknownTenant()
        headers = [(b"content-length", b"0"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _is_served(self, domain: str) -> bool:
        host = None if ":" in domain else canonical_host(domain)
        tenant = await self._directory.by_host(host) if host is not None else None
        return tenant is not None and tenant.state in _SHOWN

    def _is_near(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return address.is_loopback or any(address in network for network in self._trusted)
