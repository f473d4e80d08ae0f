"""Whose pages may use a browser's session here (`specs/organization-api.md` B.2).

The tenant's own hosts, and the origins that the tenant itself gave its clients (`web_origins`, `allowed_origins`). They
are compared whole: nothing that begins or ends alike is the same. What clients say of themselves counts for nothing,
because a session is at stake.
"""

import re
from typing import Literal

from sqlalchemy import Connection, select

from core.http.errors import AnyRequest
from core.http.security import header_values
from core.tenants import Tenant
from tenant_runtime.login.addresses import origin_of
from tenant_runtime.models import Client
from tenant_runtime.oauth.authorization.redirect_uris import with_query
from tenant_runtime.organizations.wire.errors import ApiError, refusal

ENTRANCES = frozenset({"/api/auth/sign-in/email", "/api/auth/sign-up/email"})
"""Where somebody without a cookie could be signed in as somebody else by a foreign page."""

_SAFE = ("GET", "HEAD", "OPTIONS")
_RELATIVE = re.compile(r"/(?![/\\]|%2f|%5c)[\w\-.+/@]*(?:\?[\w\-.+/=&%@]*)?", re.ASCII | re.IGNORECASE)
_METADATA = ("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "origin", "referer")

Callback = Literal["callbackURL", "redirectTo", "errorCallbackURL", "newUserCallbackURL"]
_REFUSALS: dict[Callback, tuple[str, str]] = {
    "callbackURL": ("INVALID_CALLBACK_URL", "Invalid callbackURL"),
    "redirectTo": ("INVALID_REDIRECT_URL", "Invalid redirectURL"),
    "errorCallbackURL": ("INVALID_ERROR_CALLBACK_URL", "Invalid errorCallbackURL"),
    "newUserCallbackURL": ("INVALID_NEW_USER_CALLBACK_URL", "Invalid newUserCallbackURL"),
}

_c = Client.__table__.c
_ORIGINS = select(_c.web_origins, _c.allowed_origins).where(
    (_c.origin == "operator") | ((_c.origin == "registration") & _c.is_first_party)
)


async def trusted_origins(tenant: Tenant) -> frozenset[str]:
    of_clients = await tenant.database.snapshot(load_origins_of_clients)
    return of_clients | {issuer.rstrip("/") for issuer in tenant.issuers}


def load_origins_of_clients(connection: Connection) -> frozenset[str]:
    """As `ClientConfiguration.is_vouched_for` has it."""
    named = [address for row in connection.execute(_ORIGINS) for addresses in row for address in addresses]
    return frozenset(origin for address in named if (origin := origin_of(address)) is not None)


async def check_origin(request: AnyRequest, tenant: Tenant) -> None:
    """Of a call that changes something: with a cookie always, and for who comes in whenever a browser sends it."""
    if request.method in _SAFE:
        return
    has_cookies, path = "cookie" in request.headers, request.scope["path"]
    if not has_cookies and not (path in ENTRANCES and _is_of_browser(request)):
        return
    if not has_cookies and _is_cross_site_navigation(request):
        message = "Cross-site navigation login blocked. This request appears to be a CSRF attack."
        raise refusal(403, "CROSS_SITE_NAVIGATION_LOGIN_BLOCKED", message)
    shown = header_values(request.headers, "origin") or _referers(request)
    if shown in ([], [""], ["null"]):
        if shown == ["null"] and header_values(request.headers, "sec-fetch-site") == ["same-origin"]:
            return
        raise refusal(403, "MISSING_OR_NULL_ORIGIN", "Missing or null Origin")
    if len(shown) != 1 or shown[0] not in await trusted_origins(tenant):
        raise refusal(403, "INVALID_ORIGIN", "Invalid origin")


async def check_callback(tenant: Tenant, name: Callback, address: str | None) -> None:
    """A path of this host, or an address of a trusted origin; either fit for a header. An empty one is none."""
    if not address or _RELATIVE.fullmatch(address):
        return
    if not address.isascii() or origin_of(address) not in await trusted_origins(tenant):
        raise refused_callback(name)


def refused_callback(name: Callback) -> ApiError:
    return refusal(403, *_REFUSALS[name])


def with_parameters(callback: str, parameters: dict[str, str]) -> str:
    """In its query, which stands before a fragment."""
    address, mark, fragment = callback.partition("#")
    return f"{with_query(address, parameters)}{mark}{fragment}"


def _referers(request: AnyRequest) -> list[str]:
    return [origin_of(referer) or referer for referer in header_values(request.headers, "referer")]


def _is_of_browser(request: AnyRequest) -> bool:
    return any(name in request.headers for name in _METADATA)


def _is_cross_site_navigation(request: AnyRequest) -> bool:
    said = request.headers.get("sec-fetch-site"), request.headers.get("sec-fetch-mode")
    return said == ("cross-site", "navigate")
