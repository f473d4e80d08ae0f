"""Who are you? Answers the same whether the account exists or not."""

import msgspec
from litestar import Response, get, post
from sqlalchemy import Connection

from tenant_runtime.login.authorization_requests import load_request, save_progress
from tenant_runtime.login.cancelling import cancel, is_cancelled, may_cancel
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.login.forms import FORM_LIMIT
from tenant_runtime.login.pages import IdentifierPage
from tenant_runtime.login.steps import IDENTIFIER, PASSWORD, SIGNUP, AnyRequest, StepVisit, at, opened, posted
from tenant_runtime.login.texts import ProblemKey
from tenant_runtime.organizations.domains.discovery import discovered


@get(IDENTIFIER, include_in_schema=False)
async def identifier_page(request: AnyRequest) -> Response[str]:
    visit = await opened(request, IDENTIFIER)
    return visit.show(_page(visit, visit.progress.identifier or visit.request.parameters.login_hint))


@post(IDENTIFIER, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def identify(request: AnyRequest) -> Response[str]:
    visit = await posted(request, IDENTIFIER)
    if is_cancelled(visit):
        return await cancel(visit)
    email = normal_email(visit.fields.get("email", ""))
    if not email:
        return visit.show(_page(visit, "", "email_missing"), status=400)
    if not is_email(email):
        return visit.show(_page(visit, email, "email_malformed"), status=400)
    await visit.tenant.database.write(_remember, visit, email)
    return visit.go(PASSWORD)


handlers = [identifier_page, identify]


def _page(visit: StepVisit, email: str, problem: ProblemKey | None = None) -> IdentifierPage:
    may_sign_up = visit.takes_signups
    return visit.page(
        IdentifierPage,
        email=email,
        may_cancel=may_cancel(visit),
        signup_url=at(SIGNUP, visit.state) if may_sign_up else None,
        problems={"email": problem} if problem else {},
    )


def _remember(connection: Connection, visit: StepVisit, email: str) -> None:
    progress = load_request(connection, visit.key, visit.now).progress
    led_to = discovered(connection, email) if _may_be_led(visit) else None
    progress = msgspec.structs.replace(progress, identifier=email, led_to=led_to)
    save_progress(connection, visit.key.digest, progress)


def _may_be_led(visit: StepVisit) -> bool:
    """Where the client takes organizations, and named none itself."""
    is_free = visit.request.parameters.organization is None
    takes_any = visit.request.client.organization_usage != "deny"
    return is_free and takes_any and visit.organization_rules.has_settings
