"""A forgotten password: the link of `login.reset`, asked for and followed in this wire's words.

Whoever says where their application asks for a new password has the letter lead there, with the link's secret; for
everybody else it leads to the page of this host.
"""

from dataclasses import replace

from litestar import Response
from litestar.params import FromPath

from core.ids import digest
from tenant_runtime.configuration import ConnectionConfiguration
from tenant_runtime.login.answers import redirect
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.login.reset import NOTICE_MS, Asked, Link, ResetLinkUsed, ask, look_at
from tenant_runtime.login.reset import change_password as change_by_link
from tenant_runtime.mail.queue import MailUnavailable, posted
from tenant_runtime.organizations.accounts.entering import database_of
from tenant_runtime.organizations.accounts.new_passwords import check_password
from tenant_runtime.organizations.accounts.own_password import refuse_leaked
from tenant_runtime.organizations.accounts.shapes import (
    Answer,
    CallbackQuery,
    RequestResetBody,
    ResetPasswordBody,
    no_address,
)
from tenant_runtime.organizations.wire import (
    ApiCall,
    ApiError,
    CallOf,
    read_endpoint,
    refusal,
    write_endpoint,
)
from tenant_runtime.organizations.wire.origins import check_callback, refused_callback, with_parameters

SENT = "If this email exists in our system, check your email for the reset link"


@write_endpoint("/request-password-reset")
async def request_password_reset(call: CallOf) -> Answer:
    """The same to everybody. Whether anybody has the address is asked when the letter is sent."""
    body = await call.body(RequestResetBody)
    await check_callback(call.tenant, "redirectTo", body.redirect_to)
    database, email = await _resettable(call), normal_email(body.email)
    if not is_email(email):
        raise no_address("email")
    asked = Asked(
        connection_id=database.id,
        connection_name=database.name,
        email=email,
        client_id=None,
        client_name=None,
        now=call.now,
        ip=call.ip,
        user_agent=call.user_agent,
        request_id=call.request_id,
        languages=call.languages,
        redirect_to=body.redirect_to or None,
    )
    try:
        await ask(call.tenant, call.services, asked)
    except MailUnavailable:
        raise _disabled() from None
    return {"status": True, "message": SENT}


@read_endpoint("/reset-password/{token:str}")
async def follow_reset_link(call: CallOf, token: FromPath[str]) -> Response[str]:
    """To the application, with the secret or with what is wrong with it; uses nothing up."""
    address = call.query(CallbackQuery).callback_url
    if not address:
        raise refused_callback("callbackURL")
    await check_callback(call.tenant, "callbackURL", address)
    try:
        await look_at(call.tenant, digest(token), call.now)
    except ResetLinkUsed:
        return redirect(with_parameters(address, {"error": "INVALID_TOKEN"}), status=302)
    return redirect(with_parameters(address, {"token": token}), status=302)


@write_endpoint("/reset-password")
async def reset_password(call: CallOf) -> Answer:
    """Ends everything that was begun with the old one, and signs nobody in."""
    body = await call.body(ResetPasswordBody)
    token = body.token or call.query(CallbackQuery).token
    database, link = await _resettable(call), await _good(call, token)
    known = (await call.configuration()).connections.get(link.connection_id, database)
    check_password(body.new_password, known, link.email, call.tenant.id)
    await refuse_leaked(call, body.new_password, link.user_id, link.email)
    new_hash = await call.services.passwords.hash(body.new_password, tenant=call.tenant.id)
    notice = posted("password_changed", link.email, expires_at=call.now + NOTICE_MS, languages=call.languages)
    event = call.event("scp", "The password was changed by a link.")
    event = replace(event, user_id=link.user_id, user_name=link.email, client_id=link.client_id)
    try:
        await call.write(change_by_link, digest(token), new_hash, event, notice, call.tenant)
    except ResetLinkUsed:
        raise _invalid_token() from None
    call.deliver()
    return {"status": True}


handlers = [request_password_reset, follow_reset_link, reset_password]


async def _resettable(call: ApiCall) -> ConnectionConfiguration:
    database = await database_of(call, _disabled())
    if database.database.disable_self_service_change_password:
        raise _disabled()
    if not call.services.mail.are_there(call.tenant, await call.configuration()):
        raise _disabled()
    return database


async def _good(call: ApiCall, token: str) -> Link:
    try:
        return await look_at(call.tenant, digest(token), call.now)
    except ResetLinkUsed:
        raise _invalid_token() from None


def _disabled() -> ApiError:
    return refusal(400, "RESET_PASSWORD_DISABLED", "Reset password isn't enabled")


def _invalid_token() -> ApiError:
    return refusal(400, "INVALID_TOKEN", "Invalid token")
