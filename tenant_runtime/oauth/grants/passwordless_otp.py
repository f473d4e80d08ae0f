"""The grant that redeems a code sent to an address (Auth0's `passwordless/otp`), for a client that asked for it.

One sentence for everything that is wrong with address and code. A wrong guess is counted in the row before anything
else is said, and the third ends the code: a hundred at once are three. Guesses at many codes are counted like wrong
passwords (`attack_protection`). The right code is claimed by its first use.
Whoever redeems it owns the address: their account in this connection is found, or made where sign-up is open. It is
never an account that another connection knows by the same address.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from core.database import Prepared
from core.errors import ConsentRequired, InvalidGrant, RateLimited
from core.http.security import is_equal
from core.ids import new_id, new_user_id
from tenant_runtime.attack_protection import suspicious_addresses
from tenant_runtime.attack_protection.addresses import tell_now_and_then
from tenant_runtime.attack_protection.guard import Counted, Guard, begin, succeed
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import ConnectionConfiguration
from tenant_runtime.expiry import is_current
from tenant_runtime.login.accounts import logged_in
from tenant_runtime.login.consents import Consent, is_covered
from tenant_runtime.login.emails import normal_email
from tenant_runtime.models import Identity, LoginCode, User
from tenant_runtime.oauth.authentication_api.passwordless import (
    GRANT_TYPE,
    STRATEGY,
    code_digest,
    email_connection,
    find_person,
    require_grant,
)
from tenant_runtime.oauth.authorization.acr import acr_of
from tenant_runtime.oauth.grants.request import Refused, TokenRequest
from tenant_runtime.oauth.grants.user_tokens import (
    Authorization,
    Issued,
    Minted,
    answer,
    begin_family,
    issue,
    switched_organization,
    tell,
)
from tenant_runtime.oauth.policy import cut_scope, needs_consent
from tenant_runtime.oauth.tokens.issuing import Login
from tenant_runtime.oauth.tokens.subject import load_subject
from tenant_runtime.organizations.joining.at_login import JOINED, WayIn, join_at_login
from tenant_runtime.organizations.membership import NotAMember
from tenant_runtime.organizations.policies import LoggedIn

__all__ = ["FAILED", "GRANT_TYPE", "redeem_otp"]

SUCCEEDED = "sepotpft"
FAILED = "fepotpft"
AMR = ("otp",)  # RFC 8176
MOST_FAILURES = 3
WRONG = "Wrong email or verification code."

_c = LoginCode.__table__.c
_UNUSED = (_c.connection_id == bindparam("connection"), _c.address == bindparam("of"), _c.used_at.is_(None))
_ACTIVE = Prepared(
    select(_c.id, _c.digest, _c.client_id, _c.failures).where(*_UNUSED, is_current(LoginCode.__table__))
)
_LAPSE = Prepared(
    update(LoginCode.__table__)
    .where(*_UNUSED, _c.client_id == bindparam("client"), _c.expires_at <= bindparam("now"))
    .values(used_at=bindparam("now"))
)
"""What was told that it is wrong because it was too old stays so, wherever the clock goes."""

_FAIL = Prepared(
    update(LoginCode.__table__)
    .where(_c.id == bindparam("code"))
    .values(failures=_c.failures + 1, used_at=bindparam("over_at"))
)
_CLAIM = Prepared(
    update(LoginCode.__table__)
    .where(_c.id == bindparam("code"), _c.used_at.is_(None))
    .values(used_at=bindparam("now"))
    .returning(_c.id)
)
_VERIFY = (
    update(User.__table__).where(User.__table__.c.user_id == bindparam("user")).values(email_verified=True)
)


@dataclass(frozen=True, slots=True)
class _Presented:
    """And the ids of what may have to be made."""

    connection: ConnectionConfiguration
    address: str
    digest: str
    family_id: str
    user_id: str
    membership_id: str
    signed_up: Event
    joined: Event
    guard: Guard | None = None


async def redeem_otp(request: TokenRequest) -> dict[str, Any]:
    require_grant(request.client.configuration)
    presented, minted = _presented(request), Minted.new()
    outcome = await request.call.tenant.database.write(_redeem, request, presented, minted)
    if isinstance(outcome, Counted):
        raise _too_many(request, presented, outcome)
    if isinstance(outcome, Refused):
        raise InvalidGrant(outcome.description)
    event = request.event(SUCCEEDED, user_name=presented.address, connection=presented.connection.name)
    tell(request, event, outcome)
    return await answer(request, outcome, minted)


def _presented(request: TokenRequest) -> _Presented:
    address, code = normal_email(request.required("username")), request.required("otp")
    client = request.client.configuration
    connection = email_connection(request.configuration, client, request.required("realm"))
    user_id = new_user_id(STRATEGY)
    return _Presented(
        connection=connection,
        address=address,
        digest=code_digest(request.call.tenant.data_key, connection.id, address, code),
        family_id=new_id("fam"),
        user_id=user_id,
        membership_id=new_id("mem"),
        signed_up=request.event("ss", user_id=user_id, user_name=address, connection=connection.name),
        joined=request.event(JOINED, user_name=address, connection=connection.name),
        guard=_guard(request) if client.is_public else None,
    )


def _guard(request: TokenRequest) -> Guard:
    """Of a public client's caller. A confidential one asks for many people from the address of its server."""
    return Guard.of(request.configuration, request.call.ip)


def _too_many(request: TokenRequest, presented: _Presented, counted: Counted) -> RateLimited:
    by_address = counted.refused_by == "address"
    event = request.event(
        "limit_mu" if by_address else "limit_wc",
        user_name=presented.address,
        connection=presented.connection.name,
        description="Too many wrong codes.",
    )
    call = request.call
    tell_now_and_then(call.tenant, call.services, event)
    return RateLimited(retry_after=max(1, -(-(counted.refused_until - call.now_ms) // 1000)))


def _redeem(
    connection: Connection, request: TokenRequest, presented: _Presented, minted: Minted
) -> Issued | Refused | Counted:
    """A refusal by what was counted before is returned as such."""
    request.claim_single_use(connection)
    user, guard, counted = _who(connection, presented), presented.guard, Counted()
    if guard is not None:
        subject = user.user_id if user is not None else f"{presented.connection.id}\0{presented.address}"
        counted = begin(connection, guard, subject, user, request.call.now_ms)
        if counted.refused_until:
            return counted
    if not _claim_code(connection, request, presented):
        return Refused(WRONG)
    user_id = _person(connection, request, presented, user)
    if user_id is None:
        return Refused(WRONG)
    outcome = _issue(connection, request, presented, user_id, minted)
    if guard is not None and isinstance(outcome, Issued):
        succeed(connection, guard, counted)
    return outcome


def _who(connection: Connection, presented: _Presented) -> Any | None:
    return find_person(connection, presented.connection.id, presented.address)


def _claim_code(connection: Connection, request: TokenRequest, presented: _Presented) -> bool:
    """Another client's code is none of this request's business: it is neither redeemed nor worn out."""
    now = request.call.now_ms
    where = {"connection": presented.connection.id, "of": presented.address, "now": now}
    code = _ACTIVE.first(connection, where)
    if code is None:
        _LAPSE.run(connection, {**where, "client": request.client.client_id})
        return False
    if code.client_id != request.client.client_id:
        return False
    if not is_equal(code.digest, presented.digest):
        is_over = code.failures + 1 >= MOST_FAILURES
        _FAIL.run(connection, {"code": code.id, "over_at": now if is_over else None})
        return False
    return _CLAIM.first(connection, {"code": code.id, "now": now}) is not None


def _person(
    connection: Connection, request: TokenRequest, presented: _Presented, user: Any | None
) -> str | None:
    """Who has the address in this connection; somebody new where that is allowed."""
    if user is None:
        if not request.configuration.takes_signups(presented.connection):
            return None
        _count_signup(connection, presented, request.call.now_ms)
        _sign_up(connection, presented, request.call.now_ms)
        return presented.user_id
    if user.blocked:
        return None
    if user.email == presented.address and not user.email_verified:
        connection.execute(_VERIFY, {"user": user.user_id})
    return str(user.user_id)


def _count_signup(connection: Connection, presented: _Presented, now: int) -> None:
    """Raised, the code is still good."""
    guard = presented.guard
    if guard is None:
        return
    wait = suspicious_addresses.take(connection, guard.suspicious_ip, "registration", guard.ip, now)
    if wait:
        raise RateLimited(retry_after=max(1, -(-wait // 1000)))


def _sign_up(connection: Connection, presented: _Presented, now: int) -> None:
    user = {
        "user_id": presented.user_id,
        "email": presented.address,
        "email_verified": True,
        "phone_verified": False,
        "name": presented.address,
        "nickname": presented.address.partition("@")[0],
        "profile": {},
        "user_metadata": {},
        "app_metadata": {},
        "blocked": False,
        "created_at": now,
        "updated_at": now,
        "sessions_valid_from": 0,
        "logins_count": 0,
    }
    identity = {
        "connection_id": presented.connection.id,
        "provider_user_id": presented.user_id.partition("|")[2],
        "user_id": presented.user_id,
        "provider": STRATEGY,
        "is_social": False,
        "email": presented.address,
        "profile_data": {},
    }
    connection.execute(insert(User.__table__), user)
    connection.execute(insert(Identity.__table__), identity)
    record(connection, presented.signed_up)


def _organization(
    connection: Connection,
    request: TokenRequest,
    presented: _Presented,
    named: str,
    user_id: str,
    how: LoggedIn,
) -> str:
    """This is a log-in: it may bring membership, as one at the pages does."""
    try:
        return switched_organization(connection, request, named, user_id, how)
    except NotAMember:
        tenant, configured = request.call.tenant, request.configuration
        way_in = WayIn.of(tenant, configured, presented.joined, presented.membership_id)
        if not join_at_login(connection, way_in, named, user_id, how):
            raise
    return switched_organization(connection, request, named, user_id, how)


def _issue(
    connection: Connection, request: TokenRequest, presented: _Presented, user_id: str, minted: Minted
) -> Issued | Refused:
    """What the client asks wrongly is raised: it undoes everything, and the code is still good."""
    client, named = request.client.configuration, request.parameters.get("organization")
    server = request.target()
    how = LoggedIn(
        family_id=presented.family_id,
        connection_id=presented.connection.id,
        authenticated_at=request.call.now_ms,
        amr=AMR,
    )
    organization_id = None
    if named is not None:
        organization_id = _organization(connection, request, presented, named, user_id, how)
    scope = cut_scope(request.configuration, client, server, request.parameters.get("scope"))
    audience = server.identifier if server is not None else None
    consent = Consent(user_id, client.client_id, audience or "", organization_id or "", scope)
    if needs_consent(client, server) and not is_covered(connection, consent):
        raise ConsentRequired
    subject = load_subject(
        connection,
        user_id=user_id,
        session_id=None,
        organization_id=organization_id,
        family_id=presented.family_id,
        client=request.client,
        now_ms=request.call.now_ms,
    )
    if subject is None or subject.refusal(request.call.now_ms) is not None:
        return Refused(WRONG)
    logged_in(connection, user_id, request.call.now_ms, request.call.ip, None)
    authorization = Authorization(
        family_id=presented.family_id,
        scope=scope,
        audience=audience,
        requested_claims=None,
        login=Login(
            authenticated_at=request.call.now_ms, acr=acr_of(AMR), amr=AMR, nonce=None, session_id=None
        ),
    )
    offline = begin_family(connection, request, authorization, subject, how)
    return issue(connection, request, authorization, subject, minted, with_refresh_token=offline)
