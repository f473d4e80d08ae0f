"""The front door of a tenant's host, for people who type its address."""

from typing import Any

from litestar import Request, Response, get

from tenant_runtime.login.answers import branding_of, redirect, show, speech_of, tenant_configuration
from tenant_runtime.login.pages import MessagePage


@get("/", include_in_schema=False)
async def front(request: Request[Any, Any, Any]) -> Response[str]:
    """The tenant's `default_redirection_uri` when it has one; nothing can be signed in to without an application."""
    tenant, found = await tenant_configuration(request)
    if found.settings.default_redirection_uri is not None:
        return redirect(found.settings.default_redirection_uri, status=302)
    speech = speech_of(request, found)
    page = MessagePage(
        branding=branding_of(tenant, found.settings),
        speech=speech,
        heading=found.settings.friendly_name or tenant.display_name,
        text=speech.of("front").say("front_lead"),
    )
    return show(page)


handlers = [front]
