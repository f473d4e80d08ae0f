"""The password of whoever is signed in: shown again, and changed. It is counted as at a sign-in."""

from dataclasses import dataclass, replace

from litestar import Response
from sqlalchemy import Connection, bindparam, select

from core.ids import new_secret
from core.tenants import Tenant
from tenant_runtime.attack_protection import brute_force, guard
from tenant_runtime.attack_protection.guard import Guard
from tenant_runtime.attack_protection.leaks import Chosen, is_refused
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import ConnectionConfiguration
from tenant_runtime.deliveries import Outgoing, enqueue
from tenant_runtime.login.accounts import PROVIDER, may_still_sign_in, set_password
from tenant_runtime.login.password_check import Attempt, Matches, Trial, attempt_by_address, judge
from tenant_runtime.login.password_rules import is_too_long
from tenant_runtime.login.reset import NOTICE_MS
from tenant_runtime.mail.queue import posted
from tenant_runtime.mail.texts import Template
from tenant_runtime.management.endings import end_logins
from tenant_runtime.models import Identity, Password
from tenant_runtime.oauth.backchannel_logout import Initiator
from tenant_runtime.organizations.accounts.entering import Entering, begin, entered, new_session
from tenant_runtime.organizations.accounts.new_passwords import check_password
from tenant_runtime.organizations.accounts.shapes import Answer, ChangePasswordBody, VerifyPasswordBody
from tenant_runtime.organizations.accounts.sign_in import leaked_password, refused, trial_of
from tenant_runtime.organizations.wire import ApiCall, ApiError, ApiSession, CallOf, refusal, write_endpoint

_i, _p = Identity.__table__.c, Password.__table__.c
_CREDENTIAL = (
    select(_i.connection_id, _i.email)
    .join(Password.__table__, _p.user_id == _i.user_id)
    .where(_i.user_id == bindparam("user"), _i.provider == PROVIDER, _i.email.is_not(None))
    .order_by(_i.connection_id)
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A password that was right, and what is to be asked again in the unit that acts on it."""

    trial: Trial
    attempt: Attempt
    matches: Matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """`entering`: everything that was begun before ends, and a new session is begun here."""

    tenant: Tenant
    shown: Shown
    new_hash: str
    event: Event
    notice: Outgoing | None
    entering: Entering | None


@write_endpoint("/verify-password")
async def verify_password(call: CallOf) -> Answer:
    session, body = await call.session(), await call.body(VerifyPasswordBody)
    shown = await show_password(call, session, body.password)
    await call.write(was_right, shown)
    return {"status": True}


@write_endpoint("/change-password")
async def change_password(call: CallOf) -> Response[Answer]:
    session, body = await call.session(), await call.body(ChangePasswordBody)
    database = await _database_of(call, session)
    if database.database.disable_self_service_change_password:
        raise refusal(400, "CHANGE_PASSWORD_DISABLED", "Passwords of this connection are not changed here")
    names = (session.email or "", session.name or "", call.tenant.id)
    check_password(body.new_password, database, *names)
    await refuse_leaked(call, body.new_password, session.user_id, session.email)
    shown = await show_password(call, session, body.current_password)
    change = await _change(call, session, shown, body)
    secret = new_secret()
    if body.revoke_other_sessions:
        change = replace(change, entering=await _anew(call, session, shown, secret))
    after = await call.write(change_own_password, change)
    call.deliver()
    if after is None:
        return Response({"token": None, "user": session.shown_user()})
    return entered(call, secret, after, {"token": after.token, "user": after.shown_user()})


handlers = [verify_password, change_password]


def invalid_password() -> ApiError:
    return refusal(400, "INVALID_PASSWORD", "Invalid password")


async def show_password(call: ApiCall, session: ApiSession, password: str) -> Shown:
    """Raises what is answered to a wrong one, or to one too many."""
    database = await _database_of(call, session)
    trial = replace(await trial_of(call, database), lets_in=False)
    if not password or is_too_long(password):
        raise invalid_password()
    attempt = await call.write(attempt_of_own, session.user_id, trial.guard, call.now)
    verdict = await judge(trial, attempt, password)
    if isinstance(verdict, Matches):
        return Shown(trial, attempt, verdict)
    raise invalid_password() if verdict.why == "wrong" else refused(verdict)


def attempt_of_own(connection: Connection, user_id: str, of: Guard, now: int) -> Attempt:
    credential = credential_of(connection, user_id)
    if credential is None:
        raise no_credential()
    return attempt_by_address(connection, credential[0], credential[1], of, now)


def was_right(connection: Connection, shown: Shown) -> None:
    """Raises if the account changed since the password was looked at."""
    attempt, account = shown.attempt, shown.matches.account
    if not may_still_sign_in(connection, shown.trial.connection.id, attempt.email, account):
        raise invalid_password()
    guard.succeed(connection, shown.trial.guard, attempt.counted)


def change_own_password(connection: Connection, change: Change) -> ApiSession | None:
    was_right(connection, change.shown)
    user_id, now = change.shown.matches.account.user_id, change.event.created_at
    set_password(connection, user_id, change.new_hash, now)
    brute_force.unblock(connection, user_id)
    record(connection, change.event)
    key = change.tenant.data_key
    if change.notice is not None:
        enqueue(connection, key, change.notice, now)
    if change.entering is None:
        return None
    end_logins(connection, key, user_id, now, why=Initiator.PASSWORD_CHANGED)
    return begin(connection, change.entering)


def credential_of(connection: Connection, user_id: str) -> tuple[str, str] | None:
    """The connection and the address that the user's password goes with."""
    row = connection.execute(_CREDENTIAL, {"user": user_id}).first()
    return (row.connection_id, row.email) if row is not None else None


def no_credential() -> ApiError:
    return refusal(400, "CREDENTIAL_ACCOUNT_NOT_FOUND", "Credential account not found")


async def refuse_leaked(call: ApiCall, password: str, user_id: str, email: str | None) -> None:
    event = call.event("reset_pwd_leak", "The new password is known from a leak.")
    chosen = Chosen(
        tenant=call.tenant,
        services=call.services,
        current=await call.configuration(),
        password=password,
        event=replace(event, user_id=user_id, user_name=email),
    )
    if await is_refused(chosen):
        raise leaked_password()


async def _database_of(call: ApiCall, session: ApiSession) -> ConnectionConfiguration:
    credential = await call.read(credential_of, session.user_id)
    known = (await call.configuration()).connections
    if credential is None or credential[0] not in known:
        raise no_credential()
    return known[credential[0]]


async def _change(call: ApiCall, session: ApiSession, shown: Shown, body: ChangePasswordBody) -> Change:
    template: Template = "password_changed" if body.revoke_other_sessions else "password_replaced"
    notice = None
    if session.email and call.services.mail.are_there(call.tenant, await call.configuration()):
        notice = posted(template, session.email, expires_at=call.now + NOTICE_MS, languages=call.languages)
    return Change(
        tenant=call.tenant,
        shown=shown,
        new_hash=await call.services.passwords.hash(body.new_password, tenant=call.tenant.id),
        event=call.event("scp", "The password was changed by its owner."),
        notice=notice,
        entering=None,
    )


async def _anew(call: ApiCall, session: ApiSession, shown: Shown, secret: str) -> Entering:
    connection_id = shown.trial.connection.id
    new = await new_session(call, secret, session.user_id, connection_id, remembers=session.remembers)
    return Entering(
        connection_id=connection_id,
        email=shown.attempt.email,
        session=new,
        previous_digest=None,
        events=(),
    )
