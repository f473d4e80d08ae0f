"""Forms of this host's pages: who sent them, and whether they are of a page that this browser was given.

Three locks, each enough against another attack: the browser says where a POST comes from (Origin, Sec-Fetch-Site), the
form carries a token made from the browser's own secret, and cookies are not sent across sites on most requests.
"""

import hmac
from base64 import urlsafe_b64encode
from typing import Any

from litestar import Request

from core.errors import Forbidden, InvalidInput
from core.http.security import is_equal
from core.tenants import Tenant
from tenant_runtime.oauth.body import FORM, media_type, parse_form

FORM_LIMIT = 32 * 1024


class ForeignForm(Forbidden):
    code, description = "foreign_form", "This form was not sent from a page of this site."


class StaleForm(Forbidden):
    code = "stale_form"
    description = (
        "This form does not belong to this browser, or its page was open for too long. "
        "Go back to the application and try again."
    )


def form_token(tenant: Tenant, secret: str, purpose: str, state: str = "") -> str:
    """Made, not stored, with a key of the tenant's: knowing or planting a browser's secret does not make one."""
    key = tenant.data_key.derive("form tokens")
    made = hmac.digest(key, f"{secret}\0{purpose}\0{state}".encode(), "sha256")
    return urlsafe_b64encode(made).decode().rstrip("=")


def state_of(request: Request[Any, Any, Any]) -> str:
    """Which request a page belongs to, from its address."""
    return parse_form(request.scope["query_string"]).get("state", "")


async def submitted(request: Request[Any, Any, Any], tenant: Tenant) -> dict[str, str]:
    """The fields of a form that comes from this host."""
    check_origin(request, tenant)
    if media_type(request.headers.get("content-type")) != FORM:
        raise InvalidInput(f"The body must be {FORM}.", status=415)
    return parse_form(await request.body())


def check_origin(request: Request[Any, Any, Any], tenant: Tenant) -> None:
    """Programs without either header are no browser that somebody else could steer: for them the token decides."""
    origins = request.headers.getall("origin", [])
    if any(origin != tenant.origin for origin in origins):
        raise ForeignForm()
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise ForeignForm()


def check_token(
    tenant: Tenant, fields: dict[str, str], secret: str | None, purpose: str, state: str = ""
) -> None:
    token = fields.get("form_token", "")
    if secret is None or not is_equal(token, form_token(tenant, secret, purpose, state)):
        raise StaleForm()
