"""A password that somebody shows for an address: counted before it is looked at, with the same work for everybody.

Unknown user, wrong password and blocked user are one answer after the same work (`specs/bad-inputs.md` 106); so is the
wait after too many (105), which `attack_protection` counts. How that is said is the page's, or the endpoint's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from core.tenants import Tenant
from tenant_runtime.attack_protection.addresses import notify_of_address, tell_now_and_then
from tenant_runtime.attack_protection.guard import Counted, Guard, begin
from tenant_runtime.attack_protection.leaks import Chosen, is_refused
from tenant_runtime.attack_protection.letters import TO_OWNER, blocked_account, tell
from tenant_runtime.audit import Event
from tenant_runtime.configuration import Configuration, ConnectionConfiguration
from tenant_runtime.dependencies import Services
from tenant_runtime.login.accounts import Account, find_account


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Where the password is shown, and whence. `event` makes an event of the request: type, description, more.
    `lets_in`: whoever is signed in already shows theirs to be rid of one that leaked, too."""

    tenant: Tenant
    services: Services
    configuration: Configuration
    connection: ConnectionConfiguration
    ip: str
    now: int
    event: Callable[..., Event]
    lets_in: bool = True

    @property
    def guard(self) -> Guard:
        of = Guard.of(self.configuration, self.ip)
        return of if self.connection.database.brute_force_protection else of.without_account_counts()


@dataclass(frozen=True, slots=True)
class Attempt:
    email: str
    subject: str  # what failures are counted against
    account: Account | None
    counted: Counted


@dataclass(frozen=True, slots=True)
class Matches:
    """`new_hash`: the password hashed as passwords are today, where it was not."""

    account: Account
    new_hash: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """`retry_after` in seconds, of those who are slowed down."""

    why: Literal["wrong", "leaked", "slowed_down"]
    retry_after: int = 0


def attempt_by_address(
    connection: Connection, connection_id: str, email: str, of: Guard, now: int
) -> Attempt:
    """A unit that writes for every address, known or not, so that both take as long."""
    user = find_account(connection, connection_id, email)
    subject = user.user_id if user is not None else f"{connection_id}\0{email}"
    counted = begin(connection, of, subject, user, now)
    return Attempt(email, subject, Account.of(user) if user is not None and user.hash else None, counted)


async def judge(trial: Trial, attempt: Attempt, password: str) -> Matches | Refused:
    """Whoever lets somebody in asks again in the unit that does (`accounts.may_still_sign_in`)."""
    until = attempt.counted.refused_until
    if until:
        return await _slowed_down(trial, attempt, until)
    account, passwords = attempt.account, trial.services.passwords
    hashed = account.hash if account is not None else None
    matches = await passwords.verify(hashed, password, tenant=trial.tenant.id)
    if account is None or not matches or account.is_blocked:
        return await wrong(trial, attempt)
    if trial.lets_in and await is_refused(_shown(trial, account, password)):
        return Refused("leaked")
    new_hash = None
    if account.hash is not None and passwords.needs_rehash(account.hash):
        new_hash = await passwords.hash(password, tenant=trial.tenant.id)
    return Matches(account, new_hash)


async def wrong(trial: Trial, attempt: Attempt) -> Refused:
    account = attempt.account
    event = trial.event(
        "fp" if account else "fu",
        "Wrong email or password.",
        user_id=account.user_id if account else None,
        user_name=attempt.email,
    )
    trial.services.audit.add(trial.tenant, event)
    shields = trial.guard.brute_force.shields
    if attempt.counted.attempt.begins_block and "user_notification" in shields:
        await _tell_owner(trial, attempt)
    return Refused("wrong")


def _shown(trial: Trial, account: Account, password: str) -> Chosen:
    event = trial.event(
        "pwd_leak",
        "Signed in to with a password that is known from a leak.",
        user_id=account.user_id,
        user_name=account.email,
    )
    return Chosen(
        tenant=trial.tenant,
        services=trial.services,
        current=trial.configuration,
        password=password,
        event=event,
    )


async def _tell_owner(trial: Trial, attempt: Attempt) -> None:
    """Counted for everybody, so that it takes as long for an address that is nobody's."""
    if not trial.services.mail.are_there(trial.tenant, trial.configuration):
        return
    account, key = attempt.account, trial.tenant.data_key
    letter = None
    if account is not None and account.email and not account.is_blocked:
        letter = blocked_account(account.email, account.user_id, trial.ip, trial.now)
    counted_as = f"blocked {attempt.subject}"
    if await trial.tenant.database.write(tell, key, letter, counted_as, TO_OWNER, trial.now):
        trial.services.deliveries.soon(trial.tenant)


async def _slowed_down(trial: Trial, attempt: Attempt, until: int) -> Refused:
    by_address = attempt.counted.refused_by == "address"
    type, what = (
        ("limit_mu", "Too many failed sign-ins from one address.")
        if by_address
        else ("limit_wc", "Too many wrong passwords in a row.")
    )
    tell_now_and_then(trial.tenant, trial.services, trial.event(type, what, user_name=attempt.email))
    if by_address:
        await notify_of_address(
            trial.tenant, trial.services, trial.configuration, "login", trial.ip, trial.now
        )
    return Refused("slowed_down", max(1, -(-(until - trial.now) // 1000)))
