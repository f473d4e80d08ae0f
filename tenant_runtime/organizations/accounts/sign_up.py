"""`POST /sign-up/email`: address, password, name, picture, and nothing else that a person could claim for themself."""

import re

from litestar import Response

from core.ids import new_secret, new_user_id
from tenant_runtime.attack_protection.addresses import admit_registration
from tenant_runtime.attack_protection.leaks import Chosen, is_refused
from tenant_runtime.configuration import ConnectionConfiguration
from tenant_runtime.login.accounts import PROVIDER, NewAccount
from tenant_runtime.login.addresses import image_of
from tenant_runtime.login.email_verification import letter_at_signup
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.organizations.accounts.entering import (
    Entering,
    database_of,
    enter_anew,
    entered,
    new_session,
)
from tenant_runtime.organizations.accounts.new_passwords import check_password
from tenant_runtime.organizations.accounts.shapes import Answer, SignUpBody, no_address
from tenant_runtime.organizations.accounts.sign_in import account_event, leaked_password
from tenant_runtime.organizations.wire import ApiCall, CallOf, refusal, write_endpoint
from tenant_runtime.organizations.wire.names import ONE_LINE
from tenant_runtime.organizations.wire.origins import check_callback

NAME_LENGTH = 150
IMAGE_LENGTH = 2048


@write_endpoint("/sign-up/email")
async def sign_up_email(call: CallOf) -> Response[Answer]:
    """The password is hashed before it is known whether the address is taken: both answers take as long."""
    body = await call.form_or_body(SignUpBody)
    database = await _open_database(call)
    email, name = normal_email(body.email), body.name.strip()
    if not is_email(email):
        raise no_address("email")
    await check_callback(call.tenant, "callbackURL", body.callback_url)
    check_profile(name, body.image)
    check_password(body.password, database, email, name, call.tenant.id)
    await _admit(call, database, email, body.password)
    account = NewAccount(
        user_id=new_user_id(PROVIDER),
        connection_id=database.id,
        email=email,
        name=name,
        hash=await call.services.passwords.hash(body.password, tenant=call.tenant.id),
        now=call.now,
        profile={"name": name or None, "picture": body.image or None},
    )
    return await _enter(call, body, database, account)


handlers = [sign_up_email]


def check_profile(name: str, image: str | None) -> None:
    if len(name) > NAME_LENGTH:
        raise refusal(400, "VALIDATION_ERROR", f"[body.name] Must have {NAME_LENGTH} characters at most")
    if re.match(ONE_LINE, name) is None:
        raise refusal(400, "VALIDATION_ERROR", "[body.name] Must be one line of text")
    if image and (len(image) > IMAGE_LENGTH or image_of(image) is None):
        raise refusal(400, "VALIDATION_ERROR", "[body.image] Must be the address of an image")


async def _open_database(call: ApiCall) -> ConnectionConfiguration:
    closed = refusal(400, "EMAIL_PASSWORD_SIGN_UP_DISABLED", "Email and password sign up is not enabled")
    database = await database_of(call, closed)
    if not (await call.configuration()).takes_signups_by_page(database):
        raise closed
    return database


async def _admit(call: ApiCall, database: ConnectionConfiguration, email: str, password: str) -> None:
    current = await call.configuration()
    limited = account_event(
        call, database, "limit_mu", "Too many new accounts from one address.", user_name=email
    )
    await admit_registration(call.tenant, call.services, current, limited)
    leaked = account_event(
        call, database, "signup_pwd_leak", "The password is known from a leak.", user_name=email
    )
    chosen = Chosen(
        tenant=call.tenant, services=call.services, current=current, password=password, event=leaked
    )
    if await is_refused(chosen):
        raise leaked_password()


async def _enter(
    call: ApiCall, body: SignUpBody, database: ConnectionConfiguration, account: NewAccount
) -> Response[Answer]:
    secret, of_user = new_secret(), {"user_id": account.user_id, "user_name": account.email}
    entering = Entering(
        connection_id=database.id,
        email=account.email,
        session=await new_session(call, secret, account.user_id, database.id, remembers=body.remember_me),
        previous_digest=call.browser.session_digest,
        events=tuple(account_event(call, database, type, **of_user) for type in ("ss", "s")),
    )
    letter = await letter_at_signup(call.services, call.tenant, call.ip, account, None, call.languages)
    session = await call.write(enter_anew, entering, account, letter)
    if session is None:
        event = account_event(call, database, "fs", "The address is taken.", user_name=account.email)
        call.services.audit.add(call.tenant, event)
        message = "User already exists. Use another email."
        raise refusal(422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL", message)
    if letter is not None:
        call.services.deliveries.soon(call.tenant)
    return entered(call, secret, session, {"token": session.token, "user": session.shown_user()})
