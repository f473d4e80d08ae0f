"""The password: one attempt is one unit before the hash, and one after it.

Unknown user, wrong password and blocked user are one answer, of one status, after the same work
(`specs/bad-inputs.md` 106); so is the wait after too many (105).
"""

from dataclasses import dataclass

import msgspec
from litestar import Response, get, post
from sqlalchemy import Connection

from core.ids import new_secret
from tenant_runtime.login.accounts import Account, try_account
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
    account: Account | None


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
    connection_id = visit.request.connection.id
    attempt = await visit.tenant.database.write(_attempt, visit.key, connection_id, visit.now)
    refused_until = _refused_until(visit, attempt)
    if refused_until:
        return _slowed_down(visit, attempt, refused_until)
    account = attempt.account
    matches = await visit.services.passwords.verify(account.hash if account else None, password)
    if account is None or not matches or account.is_blocked:
        return _refused(visit, attempt)
    return await _enter(visit, attempt, account, password)


handlers = [password_page, check_password]


def _attempt(connection: Connection, key: RequestKey, connection_id: str, now: int) -> Attempt:
    """Writes for every identifier, known or not, so that both take as long."""
    progress = load_request(connection, key, now).progress
    save_progress(connection, key.digest, msgspec.structs.replace(progress, attempts=progress.attempts + 1))
    return Attempt(progress.identifier, try_account(connection, connection_id, progress.identifier, now))


def _refused_until(visit: StepVisit, attempt: Attempt) -> int:
    if attempt.account is not None:
        return attempt.account.refused_until
    return visit.services.unknown_accounts.attempt(
        visit.tenant, f"{visit.request.connection.id}\0{attempt.email}", visit.now
    )


async def _enter(visit: StepVisit, attempt: Attempt, account: Account, password: str) -> Response[str]:
    passwords = visit.services.passwords
    new_hash = None
    if account.hash is not None and passwords.needs_rehash(account.hash):
        new_hash = await passwords.hash(password)
    secret = new_secret()
    event = visit.event("s", user_id=account.user_id, user_name=attempt.email)
    signing = sign_in(visit, secret, account.user_id, email=attempt.email, events=(event,), new_hash=new_hash)
    if not await visit.tenant.database.write(enter, signing, account):
        return _refused(visit, attempt)
    return signed_in(visit, secret)


def _refused(visit: StepVisit, attempt: Attempt) -> Response[str]:
    account = attempt.account
    event = visit.event(
        "fp" if account else "fu",
        "Wrong email or password.",
        user_id=account.user_id if account else None,
        user_name=attempt.email,
    )
    visit.services.audit.add(visit.tenant, event)
    return visit.show(_page(visit, "", "credentials_wrong"), status=400)


def _slowed_down(visit: StepVisit, attempt: Attempt, until: int) -> Response[str]:
    event = visit.event("limit_wc", "Too many wrong passwords in a row.", user_name=attempt.email)
    visit.services.audit.add(visit.tenant, event)
    seconds = max(1, -(-(until - visit.now) // 1000))
    return visit.show(_page(visit, "", "too_many"), status=429, headers={"Retry-After": str(seconds)})


def _page(visit: StepVisit, field: str = "", problem: ProblemKey | None = None) -> PasswordPage:
    has_mail = visit.services.mail.are_there(visit.tenant, visit.configuration)
    return visit.page(
        PasswordPage,
        email=visit.progress.identifier,
        may_cancel=may_cancel(visit),
        switch_url=at(IDENTIFIER, visit.state),
        reset_url=at(RESET, visit.state) if has_mail else None,
        problems={field: problem} if problem else {},
    )
