"""Who are you? Answers the same whether the account exists or not."""

import msgspec
from litestar import Response, get, post
from sqlalchemy import Connection

from tenant_runtime.login.authorization_requests import RequestKey, load_request, save_progress
from tenant_runtime.login.cancelling import cancel, is_cancelled, may_cancel
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.login.forms import FORM_LIMIT
from tenant_runtime.login.pages import IdentifierPage
from tenant_runtime.login.steps import IDENTIFIER, PASSWORD, SIGNUP, AnyRequest, StepVisit, at, opened, posted
from tenant_runtime.login.texts import ProblemKey


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
    await visit.tenant.database.write(_remember, visit.key, email, visit.now)
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


def _remember(connection: Connection, key: RequestKey, email: str, now: int) -> None:
    progress = load_request(connection, key, now).progress
    save_progress(connection, key.digest, msgspec.structs.replace(progress, identifier=email))
