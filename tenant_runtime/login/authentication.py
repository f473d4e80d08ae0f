"""The moment somebody is who they say: a session under a new secret, and the request knows of it. One unit."""

from dataclasses import dataclass

from litestar import Response
from sqlalchemy import Connection

from core.ids import digest, new_id
from tenant_runtime.attack_protection import guard
from tenant_runtime.attack_protection.guard import Counted, Guard
from tenant_runtime.audit import Event, record
from tenant_runtime.deliveries import Outgoing, enqueue
from tenant_runtime.login.accounts import Account, NewAccount, create_account, logged_in, may_still_sign_in
from tenant_runtime.login.answers import redirect
from tenant_runtime.login.authorization_requests import Progress, RequestKey, load_request, save_progress
from tenant_runtime.login.cookies import session_cookies
from tenant_runtime.login.invitations.at_login import Answering, answer_at_login
from tenant_runtime.login.sessions import Lifetimes, NewSession, begin_session
from tenant_runtime.login.steps import RESUME, StepVisit, at
from tenant_runtime.organizations.membership import may_sign_up
from tenant_runtime.organizations.rules import OrganizationRules

AMR = ("pwd",)  # RFC 8176


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What is fixed before the unit: the secret of the new session is not part of it."""

    key: RequestKey
    connection_id: str
    email: str
    session: NewSession
    previous_digest: str | None
    events: tuple[Event, ...]
    new_hash: str | None = None
    guard: Guard | None = None
    counted: Counted | None = None
    """Of a password: what its attempt was counted as."""

    organization: str | None = None
    organization_rules: OrganizationRules
    answering: Answering | None = None


def sign_in(
    visit: StepVisit,
    secret: str,
    user_id: str,
    *,
    email: str,
    events: tuple[Event, ...],
    new_hash: str | None = None,
) -> SignIn:
    session = NewSession(
        id=new_id("ses"),
        token_digest=digest(secret),
        issuer=visit.tenant.issuer,
        user_id=user_id,
        now=visit.now,
        amr=AMR,
        lifetimes=Lifetimes.of(visit.configuration.settings),
        ip=visit.ip,
        user_agent=visit.user_agent,
        data_key=visit.tenant.data_key,
        connection_id=visit.request.connection.id,
        has_context=visit.configuration.has_organization_api,
    )
    return SignIn(
        key=visit.key,
        connection_id=visit.request.connection.id,
        email=email,
        session=session,
        previous_digest=visit.browser.session_digest,
        events=events,
        new_hash=new_hash,
        organization=visit.request.parameters.organization,
        organization_rules=visit.configuration.organization_rules,
    )


def enter(connection: Connection, signing: SignIn, account: Account) -> bool:
    """A person with an account; False if it changed since the password was looked at."""
    if not may_still_sign_in(connection, signing.connection_id, signing.email, account):
        return False
    if signing.guard is not None and signing.counted is not None:
        guard.succeed(connection, signing.guard, signing.counted)
    _begin(connection, signing)
    return True


def enter_anew(
    connection: Connection, signing: SignIn, account: NewAccount, letter: Outgoing | None = None
) -> bool:
    """A person who has just made an account; False when the address is taken, or their organization takes nobody who
    comes so. The letter asks them to prove it."""
    if not _is_let_in(connection, signing):
        return False
    if not create_account(connection, account):
        return False
    if letter is not None:
        enqueue(connection, signing.session.data_key, letter, account.now)
    _begin(connection, signing)
    return True


def _is_let_in(connection: Connection, signing: SignIn) -> bool:
    """Who is invited is."""
    named, rules = signing.organization, signing.organization_rules
    if named is None or signing.answering is not None:
        return True
    return may_sign_up(connection, named, signing.connection_id, rules)


def _begin(connection: Connection, signing: SignIn) -> None:
    now, user_id = signing.session.now, signing.session.user_id
    before = load_request(connection, signing.key, now).progress
    session_id = begin_session(connection, signing.session, signing.previous_digest)
    logged_in(connection, user_id, now, signing.session.ip, signing.new_hash)
    led_to = before.led_to if before.identifier == signing.email else None
    progress = Progress(identifier=signing.email, session_id=session_id, authenticated_at=now, led_to=led_to)
    save_progress(connection, signing.key.digest, progress)
    record(connection, *signing.events)
    if signing.answering is not None:
        answer_at_login(connection, signing.answering, user_id, session_id)


def signed_in(visit: StepVisit, secret: str) -> Response[str]:
    if visit.session is not None:  # it may have been another person's, and is over
        visit.services.deliveries.soon(visit.tenant)
    max_age = Lifetimes.of(visit.configuration.settings).absolute // 1000
    cookies = session_cookies(secret, visit.tenant.data_key, is_https=visit.browser.is_https, max_age=max_age)
    return redirect(at(RESUME, visit.state), cookies=cookies)
