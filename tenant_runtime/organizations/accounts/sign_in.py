"""`POST /sign-in/email` and `POST /sign-out`."""

from dataclasses import replace
from typing import Any

from litestar import Response
from sqlalchemy import Row

from core.errors import IdentityError, RateLimited
from core.ids import new_secret
from tenant_runtime.audit import Event
from tenant_runtime.configuration import ConnectionConfiguration
from tenant_runtime.login.cookies import cleared_api_cookies
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.login.password_check import (
    Attempt,
    Matches,
    Refused,
    Trial,
    attempt_by_address,
    judge,
    wrong,
)
from tenant_runtime.login.password_rules import is_too_long
from tenant_runtime.login.sessions import load_session
from tenant_runtime.oauth.logout import end_here, kept_clients
from tenant_runtime.organizations.accounts.entering import (
    Entering,
    database_of,
    enter,
    entered,
    new_session,
)
from tenant_runtime.organizations.accounts.shapes import Answer, SignInBody
from tenant_runtime.organizations.wire import ApiCall, ApiError, ApiSession, CallOf, refusal, write_endpoint
from tenant_runtime.organizations.wire.origins import check_callback


def wrong_email_or_password() -> ApiError:
    return refusal(401, "INVALID_EMAIL_OR_PASSWORD", "Invalid email or password")


def leaked_password() -> ApiError:
    message = "The password you entered has been compromised. Please choose a different password."
    return refusal(400, "PASSWORD_COMPROMISED", message)


@write_endpoint("/sign-in/email")
async def sign_in_email(call: CallOf) -> Response[Answer]:
    body = await call.form_or_body(SignInBody)
    disabled = refusal(400, "EMAIL_PASSWORD_DISABLED", "Email and password is not enabled")
    database = await database_of(call, disabled)
    email = normal_email(body.email)
    if not is_email(email):
        raise refusal(400, "INVALID_EMAIL")
    await check_callback(call.tenant, "callbackURL", body.callback_url)
    if not body.password or is_too_long(body.password):
        raise wrong_email_or_password()
    trial = await trial_of(call, database)
    attempt = await call.write(attempt_by_address, database.id, email, trial.guard, call.now)
    verdict = await judge(trial, attempt, body.password)
    if isinstance(verdict, Refused):
        raise refused(verdict)
    return await _enter(call, body, trial, attempt, verdict)


@write_endpoint("/sign-out")
async def sign_out(call: CallOf) -> Response[Answer]:
    """Both cookies stand for one session; should they not, neither goes on."""
    for here in await _sessions_here(call):
        kept = kept_clients(await call.configuration())
        event = replace(call.event("slo", "Signed out."), user_id=here.user_id, user_name=here.email)
        await call.write(end_here, call.tenant.data_key, here.id, kept, event)
        call.deliver()
    cookies = cleared_api_cookies(is_https=call.browser.is_https)
    return Response({"success": True}, cookies=cookies)


handlers = [sign_in_email, sign_out]


async def trial_of(call: ApiCall, database: ConnectionConfiguration) -> Trial:
    def event(type: str, description: str | None = None, **more: Any) -> Event:
        return account_event(call, database, type, description, **more)

    return Trial(
        tenant=call.tenant,
        services=call.services,
        configuration=await call.configuration(),
        connection=database,
        ip=call.ip,
        now=call.now,
        event=event,
    )


def account_event(
    call: ApiCall, database: ConnectionConfiguration, type: str, description: str | None = None, **more: Any
) -> Event:
    """Of somebody who is not signed in yet."""
    return Event(
        type=type,
        created_at=call.now,
        description=description,
        connection=database.name,
        ip=call.ip,
        user_agent=call.user_agent,
        request_id=call.request_id,
        **more,
    )


def refused(verdict: Refused) -> IdentityError:
    match verdict.why:
        case "slowed_down":
            return RateLimited(retry_after=verdict.retry_after)
        case "leaked":
            return leaked_password()
    return wrong_email_or_password()


async def _enter(
    call: ApiCall, body: SignInBody, trial: Trial, attempt: Attempt, verdict: Matches
) -> Response[Answer]:
    user_id, database, secret = verdict.account.user_id, trial.connection, new_secret()
    entering = Entering(
        connection_id=database.id,
        email=attempt.email,
        session=await new_session(call, secret, user_id, database.id, remembers=body.remember_me),
        previous_digest=call.browser.session_digest,
        events=(trial.event("s", user_id=user_id, user_name=attempt.email),),
        new_hash=verdict.new_hash,
        guard=trial.guard,
        counted=attempt.counted,
    )
    session = await call.write(enter, entering, verdict.account)
    if session is None:
        raise refused(await wrong(trial, attempt))
    answer: Answer = {"redirect": False, "token": session.token, "user": session.shown_user()}
    if not body.callback_url:
        return entered(call, secret, session, answer)
    answer |= {"redirect": True, "url": body.callback_url}
    return entered(call, secret, session, answer, {"Location": body.callback_url})


async def _sessions_here(call: ApiCall) -> list[ApiSession | Row[Any]]:
    """Each once; each has `id`, `user_id` and `email`."""
    by_token = await call.session_or_none()
    by_secret = await call.read(load_session, call.browser.session_digest, call.now, call.tenant.issuer)
    found = [session for session in (by_token, by_secret) if session is not None]
    return list({session.id: session for session in found}.values())
