"""The page of a link that proves an address: it opens in any browser, and the button uses the link up.

The button, because mail filters and previews fetch every link. It signs nobody in.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from litestar import Request, Response, get, post
from msgspec.structs import replace

from core.clock import now_ms
from core.ids import digest
from tenant_runtime.audit import Event
from tenant_runtime.configuration import configuration
from tenant_runtime.dependencies import client_ip_of, request_id_of, services_of, tenant_of
from tenant_runtime.login.answers import branding_of, show, speech_of
from tenant_runtime.login.cookies import binding_cookie, browser_of, new_binding
from tenant_runtime.login.email_verification import PATH, Verification, VerificationLinkUsed, look_at, verify
from tenant_runtime.login.forms import FORM_LIMIT, check_token, form_token, submitted
from tenant_runtime.login.link_done import done_page, result_url_of
from tenant_runtime.login.pages import FormPage
from tenant_runtime.oauth.body import parse_form

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class VerificationPage(FormPage):
    """Posts nothing but the link's secret, as `state`."""

    template: ClassVar[str] = "verify_email.html"

    _: KW_ONLY
    email: str


@get(PATH, include_in_schema=False)
async def verification_page(request: AnyRequest) -> Response[str]:
    """Changes nothing, however often it is fetched."""
    ticket = parse_form(request.scope["query_string"]).get("ticket", "")
    tenant = tenant_of(request)
    good = await look_at(tenant, digest(ticket), _now(request))
    browser, found = browser_of(request.scope["headers"], tenant.issuer), await configuration(tenant)
    binding = browser.binding or new_binding()
    page = VerificationPage(
        branding=branding_of(tenant, found.settings),
        speech=speech_of(request, found),
        action=PATH,
        form_token=form_token(tenant, binding, PATH, ticket),
        state=ticket,
        email=good.proves,
    )
    cookies = [] if browser.binding else [binding_cookie(binding, is_https=browser.is_https)]
    return show(page, redirect_uri=result_url_of(found, good), cookies=cookies)


@post(PATH, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def verify_address(request: AnyRequest) -> Response[str]:
    tenant, services = tenant_of(request), services_of(request)
    fields = await submitted(request, tenant)
    ticket = fields.get("state", "")
    check_token(tenant, fields, browser_of(request.scope["headers"], tenant.issuer).binding, PATH, ticket)
    now = _now(request)
    try:
        good = await look_at(tenant, digest(ticket), now)
        event = _event(request, "sv", good, now)
        await tenant.database.write(verify, digest(ticket), event, tenant.data_key)
    except VerificationLinkUsed:
        services.audit.add(tenant, _event(request, "fv", None, now))
        raise
    services.deliveries.soon(tenant)
    return done_page(request, await configuration(tenant), replace(good, email=good.proves), "verified")


handlers = [verification_page, verify_address]


def _now(request: AnyRequest) -> int:
    return now_ms(services_of(request).clock)


def _event(request: AnyRequest, type: str, good: Verification | None, now: int) -> Event:
    return Event(
        type=type,
        created_at=now,
        description="The address was verified by a link." if good else VerificationLinkUsed.description,
        client_id=good.client_id if good else None,
        user_id=good.user_id if good else None,
        user_name=good.proves if good else None,
        ip=client_ip_of(request),
        user_agent=(request.headers.get("user-agent") or "")[:500] or None,
        request_id=request_id_of(request),
    )
