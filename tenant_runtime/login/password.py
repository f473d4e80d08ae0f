"""The password: one attempt is one unit before the hash, and one after it (`password_check`)."""

from dataclasses import replace

import msgspec
from litestar import Response, get, post
from sqlalchemy import Connection

from core.ids import new_secret
from tenant_runtime.attack_protection.guard import Guard
from tenant_runtime.login.authentication import enter, sign_in, signed_in
from tenant_runtime.login.authorization_requests import RequestKey, load_request, save_progress
from tenant_runtime.login.cancelling import cancel, is_cancelled, may_cancel
from tenant_runtime.login.forms import FORM_LIMIT
from tenant_runtime.login.invitations.at_login import answering, tell_of_answer
from tenant_runtime.login.pages import PasswordPage
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
from tenant_runtime.login.steps import IDENTIFIER, PASSWORD, RESET, AnyRequest, StepVisit, at, opened, posted
from tenant_runtime.login.texts import ProblemKey


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
    trial = _trial(visit)
    attempt = await visit.tenant.database.write(
        _attempt, visit.key, trial.connection.id, trial.guard, visit.now
    )
    verdict = await judge(trial, attempt, password)
    if isinstance(verdict, Refused):
        return _refused(visit, verdict)
    return await _enter(visit, trial, attempt, verdict)


handlers = [password_page, check_password]


def _trial(visit: StepVisit) -> Trial:
    return Trial(
        tenant=visit.tenant,
        services=visit.services,
        configuration=visit.configuration,
        connection=visit.request.connection,
        ip=visit.ip,
        now=visit.now,
        event=visit.event,
    )


def _attempt(connection: Connection, key: RequestKey, connection_id: str, of: Guard, now: int) -> Attempt:
    progress = load_request(connection, key, now).progress
    save_progress(connection, key.digest, msgspec.structs.replace(progress, attempts=progress.attempts + 1))
    return attempt_by_address(connection, connection_id, progress.identifier, of, now)


async def _enter(visit: StepVisit, trial: Trial, attempt: Attempt, verdict: Matches) -> Response[str]:
    account, secret = verdict.account, new_secret()
    event = visit.event("s", user_id=account.user_id, user_name=attempt.email)
    signing = sign_in(
        visit, secret, account.user_id, email=attempt.email, events=(event,), new_hash=verdict.new_hash
    )
    answer = await answering(visit, account.user_id)
    signing = replace(signing, guard=trial.guard, counted=attempt.counted, answering=answer)
    if not await visit.tenant.database.write(enter, signing, account):
        return _refused(visit, await wrong(trial, attempt))
    await tell_of_answer(visit, answer, account.user_id)
    return signed_in(visit, secret)


def _refused(visit: StepVisit, verdict: Refused) -> Response[str]:
    match verdict.why:
        case "wrong":
            return visit.show(_page(visit, "", "credentials_wrong"), status=400)
        case "leaked":
            return visit.show(_page(visit, "", "password_leaked"), status=400)
    headers = {"Retry-After": str(verdict.retry_after)}
    return visit.show(_page(visit, "", "too_many"), status=429, headers=headers)


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
