"""The password: one attempt is one unit before the hash, and one after it.

Unknown user, wrong password and blocked user are one answer, of one status, after the same work
(`specs/bad-inputs.md` 106); so is the wait after too many (105), which `attack_protection` counts.
"""

from dataclasses import dataclass, replace

import msgspec
from litestar import Response, get, post
from sqlalchemy import Connection

from core.ids import new_secret
from tenant_runtime.attack_protection.addresses import notify_of_address, tell_now_and_then
from tenant_runtime.attack_protection.guard import Counted, Guard, begin
from tenant_runtime.attack_protection.leaks import Chosen, is_refused
from tenant_runtime.attack_protection.letters import TO_OWNER, blocked_account, tell
from tenant_runtime.login.accounts import Account, find_account
from tenant_runtime.login.authentication import enter, sign_in, signed_in
from tenant_runtime.login.authorization_requests import RequestKey, load_request, save_progress
from tenant_runtime.login.cancelling import cancel, is_cancelled, may_cancel
from tenant_runtime.login.forms import FORM_LIMIT
from tenant_runtime.login.pages import PasswordPage
from tenant_runtime.login.password_rules import is_too_long
from tenant_runtime.login.steps import IDENTIFIER, PASSWORD, RESET, AnyRequest, StepVisit, at, opened, posted
from tenant_runtime.login.texts import ProblemKey


@dataclass(frozen=True, slots=True)
class Attempt:
    email: str
    subject: str  # what failures are counted against
    account: Account | None
    counted: Counted


@get(PASSWORD, include_in_schema=False)
async def password_page(request: AnyRequest) -> Response[str]:
    visit = await opened(request, PASSWORD)
    return visit.show(_page(visit)) if visit.progress.identifier else visit.go(IDENTIFIER)


@post(PASSWORD, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def check_password(request: AnyRequest) -> Response[str]:
    visit = await posted(request, PASSWORD)
    if is_cancelled(visit):
        return await cancel(visit)
    password = visit.fields.get("password", "")
    if not visit.progress.identifier:
        return visit.go(IDENTIFIER)
    if not password or is_too_long(password):
        problem: ProblemKey = "password_long" if password else "password_missing"
        return visit.show(_page(visit, "password", problem), status=400)
    of = Guard.of(visit.tenant, visit.configuration, visit.ip)
    if not visit.request.connection.database.brute_force_protection:
        of = of.without_account_counts()
    connection_id = visit.request.connection.id
    attempt = await visit.tenant.database.write(_attempt, visit.key, connection_id, of, visit.now)
    refused_until = attempt.counted.refused_until or _refused_in_memory(visit, of, attempt)
    if refused_until:
        return await _slowed_down(visit, attempt, refused_until)
    account = attempt.account
    hashed = account.hash if account is not None else None
    matches = await visit.services.passwords.verify(hashed, password, tenant=visit.tenant.id)
    if account is None or not matches or account.is_blocked:
        return await _refused(visit, of, attempt)
    if await is_refused(_shown(visit, account, password)):
        return visit.show(_page(visit, "", "password_leaked"), status=400)
    return await _enter(visit, of, attempt, account, password)


handlers = [password_page, check_password]


def _attempt(connection: Connection, key: RequestKey, connection_id: str, of: Guard, now: int) -> Attempt:
    """Writes for every identifier, known or not, so that both take as long."""
    progress = load_request(connection, key, now).progress
    save_progress(connection, key.digest, msgspec.structs.replace(progress, attempts=progress.attempts + 1))
    email = progress.identifier
    user = find_account(connection, connection_id, email)
    subject = user.user_id if user is not None else f"{connection_id}\0{email}"
    counted = begin(connection, of, subject, user, now)
    return Attempt(email, subject, Account.of(user) if user is not None and user.hash else None, counted)


def _refused_in_memory(visit: StepVisit, of: Guard, attempt: Attempt) -> int:
    """One release behind, the tenant's database has no place for counts."""
    if of.is_counted or not of.brute_force.enabled:
        return 0
    return visit.services.attempts.attempt(visit.tenant, attempt.subject, visit.now)


def _shown(visit: StepVisit, account: Account, password: str) -> Chosen:
    event = visit.event(
        "pwd_leak",
        "Signed in to with a password that is known from a leak.",
        user_id=account.user_id,
        user_name=account.email,
    )
    return Chosen(
        tenant=visit.tenant,
        services=visit.services,
        current=visit.configuration,
        password=password,
        event=event,
    )


async def _enter(
    visit: StepVisit, of: Guard, attempt: Attempt, account: Account, password: str
) -> Response[str]:
    passwords = visit.services.passwords
    new_hash = None
    if account.hash is not None and passwords.needs_rehash(account.hash):
        new_hash = await passwords.hash(password, tenant=visit.tenant.id)
    secret = new_secret()
    event = visit.event("s", user_id=account.user_id, user_name=attempt.email)
    signing = sign_in(visit, secret, account.user_id, email=attempt.email, events=(event,), new_hash=new_hash)
    signing = replace(signing, guard=of, counted=attempt.counted)
    if not await visit.tenant.database.write(enter, signing, account):
        return await _refused(visit, of, attempt)
    visit.services.attempts.succeed(visit.tenant, attempt.subject)
    return signed_in(visit, secret)


async def _refused(visit: StepVisit, of: Guard, attempt: Attempt) -> Response[str]:
    account = attempt.account
    event = visit.event(
        "fp" if account else "fu",
        "Wrong email or password.",
        user_id=account.user_id if account else None,
        user_name=attempt.email,
    )
    visit.services.audit.add(visit.tenant, event)
    if attempt.counted.attempt.begins_block and "user_notification" in of.brute_force.shields:
        await _tell_owner(visit, attempt)
    return visit.show(_page(visit, "", "credentials_wrong"), status=400)


async def _tell_owner(visit: StepVisit, attempt: Attempt) -> None:
    """Counted for everybody, so that it takes as long for an address that is nobody's."""
    if not visit.services.mail.are_there(visit.tenant, visit.configuration):
        return
    account, key = attempt.account, visit.tenant.data_key
    letter = None
    if account is not None and account.email and not account.is_blocked:
        letter = blocked_account(account.email, account.user_id, visit.ip, visit.now)
    counted_as = f"blocked {attempt.subject}"
    if await visit.tenant.database.write(tell, key, letter, counted_as, TO_OWNER, visit.now):
        visit.services.deliveries.soon(visit.tenant)


async def _slowed_down(visit: StepVisit, attempt: Attempt, until: int) -> Response[str]:
    by_address = attempt.counted.refused_by == "address"
    type, what = (
        ("limit_mu", "Too many failed sign-ins from one address.")
        if by_address
        else ("limit_wc", "Too many wrong passwords in a row.")
    )
    tell_now_and_then(visit.tenant, visit.services, visit.event(type, what, user_name=attempt.email))
    if by_address:
        await notify_of_address(
            visit.tenant, visit.services, visit.configuration, "login", visit.ip, visit.now
        )
    seconds = max(1, -(-(until - visit.now) // 1000))
    return visit.show(_page(visit, "", "too_many"), status=429, headers={"Retry-After": str(seconds)})


def _page(visit: StepVisit, field: str = "", problem: ProblemKey | None = None) -> PasswordPage:
    has_mail = visit.services.mail.are_there(visit.tenant, visit.configuration)
    return visit.page(
        PasswordPage,
        email=visit.progress.identifier,
        may_cancel=may_cancel(visit),
        switch_url=at(IDENTIFIER, visit.state),
        reset_url=at(RESET, visit.state) if has_mail and visit.takes_new_passwords else None,
        problems={field: problem} if problem else {},
    )
