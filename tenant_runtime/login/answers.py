"""Pages as HTTP answers, in the tenant's colours, and errors as pages."""

from collections.abc import Iterable
from typing import Any

from litestar import Request, Response
from litestar.datastructures import Cookie

from core.errors import IdentityError, OAuthError
from core.tenants import Tenant
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.dependencies import tenant_of
from tenant_runtime.login.branding import Branding
from tenant_runtime.login.custom_texts import Speech, speech_in
from tenant_runtime.login.language import asked_by
from tenant_runtime.login.pages import ErrorPage, Page, page_headers, render
from tenant_runtime.tenant_settings import TenantSettings

HTML = "text/html"
HIDES_CAUSE = 500
"""From this status on an error page shows no code: it says nothing to the reader."""


def show(
    page: Page,
    *,
    status: int = 200,
    redirect_uri: str | None = None,
    cookies: Iterable[Cookie] = (),
    headers: dict[str, str] | None = None,
) -> Response[str]:
    return Response(
        render(page),
        status_code=status,
        media_type=HTML,
        headers=page_headers(page, redirect_uri=redirect_uri) | (headers or {}),
        cookies=list(cookies),
    )


def redirect(location: str, *, status: int = 303, cookies: Iterable[Cookie] = ()) -> Response[str]:
    """303 after a form: the browser must not send credentials on (RFC 9700 section 4.12)."""
    headers = {
        "Location": location,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    }
    return Response("", status_code=status, media_type=HTML, headers=headers, cookies=list(cookies))


def branding_of(tenant: Tenant, settings: TenantSettings) -> Branding:
    colors = settings.branding.colors
    return Branding(
        display_name=settings.friendly_name or tenant.display_name,
        logo_url=settings.branding.logo_url or settings.picture_url,
        favicon_url=settings.branding.favicon_url,
        font_url=settings.branding.font.url,
        primary_color=colors.primary,
        page_background=colors.page_background,
        support_url=settings.support_url,
    )


def speech_of(request: Request[Any, Any, Any], found: Configuration, ui_locales: str = "") -> Speech:
    """In a language that the application asked for (OpenID Connect Core 1.0, section 3.1.2.1), or the browser."""
    return speech_in(found, f"{ui_locales} {asked_by(request.headers.get('accept-language', ''))}".strip())


async def tenant_configuration(request: Request[Any, Any, Any]) -> tuple[Tenant, Configuration]:
    tenant = tenant_of(request)
    return tenant, await configuration(tenant)


def error_page(request: Request[Any, Any, Any], error: IdentityError, support_id: str) -> Response[str]:
    """For `core.http.errors.page_renderer`. It must not need the database, which may be what is missing: the
    tenant's name stands in the directory, its colours are left out."""
    state: dict[str, Any] = request.scope.get("state") or {}
    tenant = state.get("tenant")
    page = ErrorPage(
        branding=Branding(display_name=tenant.display_name if isinstance(tenant, Tenant) else ""),
        description=error.description,
        support_id=support_id,
        code=error.code if isinstance(error, OAuthError) and error.status < HIDES_CAUSE else "",
    )
    return show(page, status=error.status)
