"""Which addresses keys may be fetched from."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

_ports = {"https": 443, "http": 80}


def discovery_address(issuer: str) -> str:
    """OpenID Connect Discovery 1.0 section 4: one slash between the issuer and the path."""
    return f"{issuer.removesuffix('/')}/.well-known/openid-configuration"


def origin_of(address: str) -> str:
    """Scheme, host, port. Raises ValueError for what is no plain https; http is for this machine only."""
    parts = urlsplit(address)
    host = parts.hostname
    if host is None or parts.scheme not in _ports or parts.username is not None or parts.fragment:
        raise ValueError("not a plain https address")
    if parts.scheme == "http" and not _is_local(host):
        raise ValueError("http is only for the local machine")
    return f"{parts.scheme}://{host}:{_port(parts)}"


def _port(parts: SplitResult) -> int:
    return parts.port or _ports[parts.scheme]


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
