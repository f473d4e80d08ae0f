"""Coming in: what a sign-in and a sign-up have in common after the password was looked at. Units and their values."""

from dataclasses import dataclass

from litestar import Response
from sqlalchemy import Connection

from core.ids import digest, new_id
from tenant_runtime.attack_protection import guard
from tenant_runtime.attack_protection.guard import Counted, Guard
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import ConnectionConfiguration
from tenant_runtime.deliveries import Outgoing, enqueue
from tenant_runtime.login.accounts import Account, NewAccount, create_account, logged_in, may_still_sign_in
from tenant_runtime.login.authentication import AMR
from tenant_runtime.login.cookies import api_sign_in_cookies, api_token
from tenant_runtime.login.sessions import Lifetimes, NewSession, begin_session
from tenant_runtime.login.sweeping import SWEEP_WHEN, sweep
from tenant_runtime.organizations.accounts.shapes import Answer
from tenant_runtime.organizations.wire import ApiCall, ApiError, ApiSession
from tenant_runtime.organizations.wire.sessions import load_api_session

FORGETTING_MS = 86_400_000
"""How long a session lasts that the browser is to forget (`rememberMe: false`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entering:
    """What is fixed before the unit: the secret of the new session is not part of it."""

    connection_id: str
    email: str
    session: NewSession
    previous_digest: str | None
    events: tuple[Event, ...]
    new_hash: str | None = None
    guard: Guard | None = None
    counted: Counted | None = None


def enter(connection: Connection, entering: Entering, account: Account) -> ApiSession | None:
    """A person with an account; None if it changed since the password was looked at."""
    if not may_still_sign_in(connection, entering.connection_id, entering.email, account):
        return None
    if entering.guard is not None and entering.counted is not None:
        guard.succeed(connection, entering.guard, entering.counted)
    return begin(connection, entering)


def enter_anew(
    connection: Connection, entering: Entering, account: NewAccount, letter: Outgoing | None
) -> ApiSession | None:
    """A person who has just made an account; None when the address is taken."""
    if not create_account(connection, account):
        return None
    if letter is not None:
        enqueue(connection, entering.session.data_key, letter, account.now)
    return begin(connection, entering)


def begin(connection: Connection, entering: Entering) -> ApiSession:
    new = entering.session
    begin_session(connection, new, entering.previous_digest)
    logged_in(connection, new.user_id, new.now, new.ip, entering.new_hash)
    record(connection, *entering.events)
    if new.token_digest.startswith(SWEEP_WHEN):
        sweep(connection, new.now)
    session = load_api_session(connection, api_token(new.data_key, new.token_digest), new.issuer, new.now)
    if session is None:
        raise RuntimeError("a session that was just begun is not there")
    return session


async def new_session(
    call: ApiCall, secret: str, user_id: str, connection_id: str | None, *, remembers: bool
) -> NewSession:
    current = await call.configuration()
    lifetimes = Lifetimes.of(current.settings)
    if not remembers:
        lifetimes = Lifetimes(
            absolute=min(lifetimes.absolute, FORGETTING_MS), idle=min(lifetimes.idle, FORGETTING_MS)
        )
    return NewSession(
        id=new_id("ses"),
        token_digest=digest(secret),
        issuer=call.tenant.issuer,
        user_id=user_id,
        now=call.now,
        amr=AMR,
        lifetimes=lifetimes,
        ip=call.ip,
        user_agent=call.user_agent,
        data_key=call.tenant.data_key,
        connection_id=connection_id,
        remembers=remembers,
        has_context=current.has_organization_api,
    )


def entered(
    call: ApiCall, secret: str, session: ApiSession, body: Answer, headers: dict[str, str] | None = None
) -> Response[Answer]:
    """With both cookies of the new session; whose it was before is told of its end."""
    if call.browser.session is not None:
        call.services.deliveries.soon(call.tenant)
    max_age = (session.expires_at - call.now) // 1000 if session.remembers else None
    cookies = api_sign_in_cookies(
        secret, call.tenant.data_key, is_https=call.browser.is_https, max_age=max_age
    )
    return Response(body, cookies=cookies, headers=headers)


async def database_of(call: ApiCall, disabled: ApiError) -> ConnectionConfiguration:
    """The tenant's own database of users; raises `disabled` without one."""
    found = (await call.configuration()).database_connection()
    if found is None:
        raise disabled
    return found
