"""The refresh token grant (RFC 6749 section 6, RFC 9700 section 4.14, `specs/tenancy.md` section 7).

A rotating token is claimed by its first use. A second use within the client's leeway yields a sibling; later it
ends the family, and that is kept although the answer is an error. Everything else that is wrong undoes the claim:
who asks for too much, or meets a failed commit, still holds a good token. `organization` names the organization of
the new tokens; membership is checked now, whatever was true before.
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from core.database import Prepared
from core.errors import AccessDenied, ConsentRequired, InvalidGrant, InvalidScope
from core.ids import digest
from tenant_runtime.audit import Event, record
from tenant_runtime.models import Grant, RefreshFamily, RefreshToken
from tenant_runtime.oauth.grants.request import Refused, TokenRequest
from tenant_runtime.oauth.grants.user_tokens import (
    Authorization,
    Issued,
    Minted,
    answer,
    issue,
    server_of,
    switched_organization,
    tell,
)
from tenant_runtime.oauth.policy import is_defined, needs_consent, resolve_audience, split_scope
from tenant_runtime.oauth.tokens.families import end_family
from tenant_runtime.oauth.tokens.issuing import Login
from tenant_runtime.oauth.tokens.refresh_policy import RefreshPolicy, refresh_policy
from tenant_runtime.oauth.tokens.subject import Subject, load_subject
from tenant_runtime.organizations.policies import LoggedIn

GRANT_TYPE = "refresh_token"
SUCCEEDED = "sertft"
REUSED = "ferrt"

_t, _f, _g = RefreshToken.__table__.c, RefreshFamily.__table__.c, Grant.__table__.c
_FIND = Prepared(
    select(
        *_f,
        _t.organization_id.label("token_organization_id"),
    )
    .join(RefreshToken.__table__, _t.family_id == _f.id)
    .where(_t.digest == bindparam("token"))
)
_CLAIM = Prepared(
    update(RefreshToken.__table__)
    .where(_t.digest == bindparam("token"), _t.used_at.is_(None))
    .values(used_at=bindparam("now"))
    .returning(_t.digest)
)
_FIRST_USE = select(_t.used_at).where(_t.digest == bindparam("token"))
_TOUCH = Prepared(
    update(RefreshFamily.__table__)
    .where(_f.id == bindparam("family"))
    .values(used_at=bindparam("now"), idle_expires_at=bindparam("idle"))
)
_BIND = Prepared(
    update(RefreshFamily.__table__).where(_f.id == bindparam("family")).values(dpop_jkt=bindparam("jkt"))
)
_EXPIRE = update(RefreshFamily.__table__).where(_f.id == bindparam("family")).values(expires_at=0)
"""What was told that it has expired stays so, wherever the clock goes; access tokens keep their own end."""

_CONSENT = select(_g.scope).where(
    *(_g[name] == bindparam(name) for name in ("user_id", "client_id", "audience", "organization_id"))
)


@dataclass(frozen=True, slots=True)
class _Presented:
    digest: str
    policy: RefreshPolicy
    organization: str | None
    scope: tuple[str, ...]
    audience: str | None


async def refresh(request: TokenRequest) -> dict[str, Any]:
    request.require_grant_type(GRANT_TYPE)
    presented = _Presented(
        digest(request.required("refresh_token")),
        refresh_policy(request.client.configuration),
        request.parameters.get("organization"),
        split_scope(request.parameters.get("scope")),
        request.parameters.get("audience"),
    )
    minted, event = Minted.new(), request.event(REUSED)
    outcome = await request.call.tenant.database.write(_refresh, request, presented, minted, event)
    if isinstance(outcome, Refused):
        raise InvalidGrant(outcome.description)
    tell(request, replace(event, type=SUCCEEDED), outcome)
    return await answer(request, outcome, minted)


def _refresh(
    connection: Connection, request: TokenRequest, presented: _Presented, minted: Minted, event: Event
) -> Issued | Refused:
    now_ms = request.call.now_ms
    request.claim_single_use(connection)
    family = _FIND.first(connection, {"token": presented.digest})
    if family is None:
        raise InvalidGrant("The refresh token is unknown.")
    _require_alive(request, family)
    if _has_expired(family, now_ms):
        connection.execute(_EXPIRE, {"family": family.id})
        return Refused("The refresh token has expired.")
    if presented.policy.rotates and not _claim(connection, presented, now_ms):
        end_family(connection, family.id, now_ms=now_ms, reason="refresh_token_reuse")
        record(connection, _told(event, family))
        return Refused("The refresh token was already used.")
    subject = _subject(connection, request, presented, family)
    authorization = _authorization(request, presented, family, subject)
    _require_consent(connection, request, family, subject.organization_id, authorization.scope)
    touched = {"family": family.id, "now": now_ms, "idle": presented.policy.idle_expires_at(now_ms)}
    _TOUCH.run(connection, touched)
    if request.jkt is not None and family.dpop_jkt is None:  # RFC 9449 section 5: its next token has a holder
        _BIND.run(connection, {"family": family.id, "jkt": request.jkt})
    return issue(
        connection,
        request,
        authorization,
        subject,
        minted,
        with_refresh_token=presented.policy.rotates,
    )


def _require_alive(request: TokenRequest, family: Row[Any]) -> None:
    if family.client_id != request.client.client_id or family.issuer != request.call.tenant.issuer:
        raise InvalidGrant
    if family.revoked_at is not None:
        raise InvalidGrant("The refresh token was revoked.")
    if family.dpop_jkt not in (None, request.jkt):
        raise InvalidGrant("The refresh token is bound to another key.")


def _has_expired(family: Row[Any], now_ms: int) -> bool:
    return any(end is not None and now_ms >= end for end in (family.expires_at, family.idle_expires_at))


def _claim(connection: Connection, presented: _Presented, now_ms: int) -> bool:
    """The first use, or one that the leeway forgives."""
    token = {"token": presented.digest}
    if _CLAIM.first(connection, {**token, "now": now_ms}) is not None:
        return True
    used_at: int = connection.execute(_FIRST_USE, token).scalar_one()
    elapsed = max(0, now_ms - used_at)  # a request may have arrived before the one that was served first
    return elapsed < presented.policy.leeway_ms


def _subject(
    connection: Connection, request: TokenRequest, presented: _Presented, family: Row[Any]
) -> Subject:
    organization_id, login = family.token_organization_id, _login_behind(family)
    if presented.organization is not None:
        organization_id = switched_organization(
            connection, request, presented.organization, family.user_id, login
        )
    subject = load_subject(
        connection,
        user_id=family.user_id,
        session_id=family.session_id,
        organization_id=organization_id,
        family_id=family.id,
        client=request.client,
        now_ms=request.call.now_ms,
        rules=request.configuration.organization_rules,
    )
    if subject is None:
        raise InvalidGrant("The user does not exist.")
    problem = subject.refusal(family.authenticated_at)
    if problem is not None:
        raise InvalidGrant(problem)
    subject.require_met(connection, login, request.call.now_ms)
    return subject


def _login_behind(family: Row[Any]) -> LoggedIn:
    return LoggedIn(
        session_id=family.session_id,
        family_id=family.id,
        authenticated_at=family.authenticated_at,
        amr=tuple(family.amr),
    )


def _require_consent(
    connection: Connection,
    request: TokenRequest,
    family: Row[Any],
    organization_id: str | None,
    scope: tuple[str, ...],
) -> None:
    """Consent that was withdrawn ends what it allowed; one organization's is not another's, in whole or in part."""
    server = server_of(request.configuration, family.audience)
    if not needs_consent(request.client.configuration, server):
        return
    key = {
        "user_id": family.user_id,
        "client_id": family.client_id,
        "audience": family.audience or "",
        "organization_id": organization_id or "",
    }
    consented = connection.execute(_CONSENT, key).scalar_one_or_none()
    if organization_id != family.organization_id and not set(scope) <= set(consented or ()):
        raise ConsentRequired
    if consented is None:
        raise InvalidGrant


def _authorization(
    request: TokenRequest, presented: _Presented, family: Row[Any], subject: Subject
) -> Authorization:
    """A session that ended leaves an offline family alive; its new tokens then name no session."""
    request.require_target(family.audience)
    _require_audience(request, presented.audience, family.audience)
    return Authorization(
        family_id=family.id,
        scope=_narrowed(request, presented.scope, family),
        audience=family.audience,
        requested_claims=family.claims,
        login=Login(
            authenticated_at=family.authenticated_at,
            acr=family.acr,
            amr=tuple(family.amr),
            nonce=None,
            session_id=None if subject.session_ended else family.session_id,
        ),
    )


def _require_audience(request: TokenRequest, asked: str | None, authorized: str | None) -> None:
    if asked in (None, authorized):
        return
    try:
        server = resolve_audience(request.configuration, asked)
    except AccessDenied:
        server = None
    if server is None or server.identifier != authorized:
        raise InvalidGrant("The refresh token is for another audience.")


def _narrowed(request: TokenRequest, requested: tuple[str, ...], family: Row[Any]) -> tuple[str, ...]:
    """RFC 6749 section 6: never more than was authorized. A scope that nobody defines is left out, as it was at the
    authorization; browser SDKs send their first request's list again."""
    authorized = split_scope(family.scope)
    if not requested:
        return authorized
    server = server_of(request.configuration, family.audience)
    known = tuple(scope for scope in requested if is_defined(scope, server))
    if not set(known) <= {*authorized, "offline_access"}:
        raise InvalidScope("The scope exceeds what was authorized.")
    return tuple(scope for scope in known if scope in authorized)


def _told(event: Event, family: Row[Any]) -> Event:
    return replace(
        event,
        user_id=family.user_id,
        organization_id=family.token_organization_id,
        audience=family.audience,
        scope=family.scope,
    )
