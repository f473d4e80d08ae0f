"""Addresses that come from a tenant or a client, and what a page may do with them.

Redirect addresses are matched elsewhere, exactly; here it is only asked whether an address may stand in a
link, an image or a content security policy. Anything in doubt is left out.
"""

import re
from urllib.parse import SplitResult, urlsplit

_UNSAFE = re.compile(r"[\x00-\x20\x7f\\\"'<>`]")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]", re.ASCII)
_LOOPBACK = re.compile(r"127(?:\.\d{1,3}){3}|(?:[a-z0-9.-]+\.)?localhost", re.ASCII)
_NATIVE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+", re.ASCII)


def origin_of(url: str) -> str | None:
    """`scheme://host[:port]` of an http(s) address without user information; None for anything else."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not _HOST.fullmatch(_host(parts)):
        return None
    return f"{parts.scheme}://{parts.netloc.lower()}"


def link_of(url: str | None) -> str | None:
    """An address fit for a link: a path of this host, or http(s). Never `javascript:` and its kin."""
    return url if url and (_is_own_path(url) or origin_of(url)) else None


def image_of(url: str | None) -> str | None:
    """An address fit for an image: a path of this host, https, or http on loopback."""
    if not url or _is_own_path(url):
        return url or None
    parts = _split(url) if origin_of(url) else None
    if parts is None:
        return None
    return url if parts.scheme == "https" or _LOOPBACK.fullmatch(_host(parts)) else None


def image_source(url: str | None) -> str | None:
    """Where an image comes from, as a source of `img-src`."""
    image = image_of(url)
    if image is None:
        return None
    return "'self'" if _is_own_path(image) else origin_of(image)


def form_targets(redirect_uri: str) -> tuple[str, ...]:
    """Where the answer to a form may lead, as sources of `form-action`: schemes, not origins.

    Chromium holds `form-action` against every redirect that follows a form's POST, also those that the client
    makes after its callback (tried with release 156). Which origins those are is the client's affair, and
    naming only the callback's would stop sign-in for each client that goes on to another host.
    """
    parts = _split(redirect_uri)
    if parts is None:
        return ()
    if parts.scheme in ("http", "https"):
        return ("https:",) if parts.scheme == "https" else ("http:", "https:")
    return (f"{parts.scheme}:",) if _NATIVE_SCHEME.fullmatch(parts.scheme) else ()


def _split(url: str) -> SplitResult | None:
    if _UNSAFE.search(url):
        return None
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (the property raises on a malformed port)
    except ValueError:
        return None
    return parts


def _host(parts: SplitResult) -> str:
    """With brackets, if it has them; user information stays in, so that it is no host."""
    netloc = parts.netloc.lower()
    return netloc.rpartition(":")[0] if parts.port else netloc


def _is_own_path(url: str) -> bool:
    return url.startswith(("/", "?")) and not url.startswith("//") and not _UNSAFE.search(url)
