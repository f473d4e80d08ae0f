"""The address of whoever asks: proved by a link, and changed by one that goes to the new address.

The letter leads to the page of this host, whose button uses the link up: what fetches every link of a mail proves
nothing (`login.email_verification`). `GET /verify-email` takes the same secret from an application with pages of its
own.
"""

from dataclasses import replace
from typing import Any

from litestar import Response

from core.ids import digest
from tenant_runtime.login.addresses import origin_of
from tenant_runtime.login.answers import redirect
from tenant_runtime.login.email_verification import (
    VerificationLinkUsed,
    has_expired,
    letter_to_new_address,
    look_at,
    queue_letter,
    verification_letter,
    verify,
)
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.mail.queue import MailUnavailable, admit
from tenant_runtime.organizations.accounts.entering import database_of
from tenant_runtime.organizations.accounts.own_sessions import is_fresh
from tenant_runtime.organizations.accounts.shapes import (
    Answer,
    CallbackQuery,
    ChangeEmailBody,
    SendVerificationBody,
    no_address,
)
from tenant_runtime.organizations.wire import (
    ApiCall,
    ApiError,
    ApiSession,
    CallOf,
    read_endpoint,
    refusal,
    write_endpoint,
)
from tenant_runtime.organizations.wire.origins import check_callback, with_parameters


@write_endpoint("/send-verification-email")
async def send_verification_email(call: CallOf) -> Answer:
    """To somebody who is signed in it says what is wrong; to everybody else the same of every address."""
    body = await call.body(SendVerificationBody)
    await check_callback(call.tenant, "callbackURL", body.callback_url)
    session, email = await call.session_or_none(), normal_email(body.email)
    if session is not None:
        _check_own(session, email)
    elif not is_email(email):
        raise no_address("email")
    await _admit(call)
    database = await database_of(call, _not_enabled())
    about: dict[str, Any] = {"connection_id": database.id, "result_url": _absolute(body.callback_url)}
    user_id = session.user_id if session is not None else None
    letter = verification_letter(user_id, email, call.now, None, languages=call.languages, **about)
    await call.write(queue_letter, call.tenant.data_key, letter, call.now)
    call.deliver()
    return {"status": True}


@write_endpoint("/change-email")
async def change_email(call: CallOf) -> Answer:
    """Whether somebody else has the new address is asked when the letter is sent, and again when it is proved."""
    session, body = await call.session(), await call.body(ChangeEmailBody)
    if not (await call.options()).allow_email_change:
        raise refusal(400, "CHANGE_EMAIL_DISABLED", "Change email is disabled")
    await check_callback(call.tenant, "callbackURL", body.callback_url)
    new_email = normal_email(body.new_email)
    if not is_email(new_email):
        raise no_address("newEmail")
    if new_email == session.email:
        raise refusal(400, "EMAIL_IS_THE_SAME", "Email is the same", has_code=False)
    if not is_fresh(session, call.now):
        raise refusal(403, "SESSION_NOT_FRESH", "Session is not fresh")
    await _admit(call)
    letter = letter_to_new_address(
        session.user_id,
        session.email or "",
        new_email,
        call.now,
        session_id=session.id,
        languages=call.languages,
        result_url=_absolute(body.callback_url),
    )
    await call.write(queue_letter, call.tenant.data_key, letter, call.now)
    call.deliver()
    return {"status": True}


@read_endpoint("/verify-email")
async def verify_email(call: CallOf) -> Response[Any]:
    query = call.query(CallbackQuery)
    await check_callback(call.tenant, "callbackURL", query.callback_url)
    try:
        await _verify(call, digest(query.token))
    except VerificationLinkUsed:
        code = (
            "TOKEN_EXPIRED"
            if await call.read(has_expired, digest(query.token), call.now)
            else "INVALID_TOKEN"
        )
        call.services.audit.add(call.tenant, call.event("fv", VerificationLinkUsed.description))
        if not query.callback_url:
            raise _refused(code) from None
        return redirect(with_parameters(query.callback_url, {"error": code}), status=302)
    if query.callback_url:
        return redirect(query.callback_url, status=302)
    return Response({"status": True, "user": None})


handlers = [send_verification_email, change_email, verify_email]


def _check_own(session: ApiSession, email: str) -> None:
    if email != session.email:
        raise refusal(400, "EMAIL_MISMATCH", "Email mismatch")
    if session.email_verified:
        raise refusal(400, "EMAIL_ALREADY_VERIFIED", "Email is already verified")


async def _admit(call: ApiCall) -> None:
    try:
        await admit(call.services, call.tenant, call.ip, call.now)
    except MailUnavailable:
        raise _not_enabled() from None


async def _verify(call: ApiCall, of: str) -> None:
    good = await look_at(call.tenant, of, call.now)
    event = replace(
        call.event("sv", "The address was verified by a link."),
        client_id=good.client_id,
        user_id=good.user_id,
        user_name=good.proves,
    )
    await call.write(verify, of, event, call.tenant.data_key)
    call.deliver()


def _absolute(callback: str | None) -> str | None:
    """The page that proves it has nowhere to lead to on its own host."""
    return callback if callback is not None and origin_of(callback) is not None else None


def _not_enabled() -> ApiError:
    return refusal(400, "VERIFICATION_EMAIL_NOT_ENABLED", "Verification email isn't enabled")


def _refused(code: str) -> ApiError:
    message = "Token expired" if code == "TOKEN_EXPIRED" else "Invalid token"
    return refusal(401, code, message)
