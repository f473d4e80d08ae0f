"""The authorization code grant (RFC 6749 section 4.1.3, RFC 7636, OpenID Connect Core 1.0 section 3.1.3).

A code is claimed, not looked up: of a hundred requests at once one gets it. Who fails the checks that follow
(verifier, redirect URI, time, the person's standing) has burnt it. A request by another client or at another
issuer leaves it as it was. A code that comes a second time ends everything the first use was given
(RFC 6749 section 10.5).
"""

import hashlib
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from core.clock import LEEWAY_MS
from core.database import Prepared
from core.errors import InvalidGrant
from core.http.security import is_equal
from core.ids import digest
from tenant_runtime.models import AuthorizationCode
from tenant_runtime.oauth.grants.request import Refused, TokenRequest
from tenant_runtime.oauth.grants.user_tokens import (
    Authorization,
    Issued,
    Minted,
    answer,
    begin_family,
    issue,
    tell,
)
from tenant_runtime.oauth.policy import split_scope
from tenant_runtime.oauth.tokens.families import end_family
from tenant_runtime.oauth.tokens.issuing import Login
from tenant_runtime.oauth.tokens.subject import load_subject, login_behind, redemption_problem

GRANT_TYPE = "authorization_code"
SUCCEEDED = "seacft"

_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
"""RFC 7636 section 4.1."""

_c = AuthorizationCode.__table__.c
_CLAIM = Prepared(
    update(AuthorizationCode.__table__)
    .where(_c.digest == bindparam("code"), _c.used_at.is_(None))
    .values(used_at=bindparam("now"))
    .returning(*_c)
)
_USED = select(_c.family_id, _c.client_id, _c.issuer).where(_c.digest == bindparam("code"))


@dataclass(frozen=True, slots=True)
class _Presented:
    digest: str
    redirect_uri: str | None
    verifier: str | None


async def redeem_code(request: TokenRequest) -> dict[str, Any]:
    request.require_grant_type(GRANT_TYPE)
    presented = _Presented(
        digest(request.required("code")),
        request.parameters.get("redirect_uri"),
        request.parameters.get("code_verifier"),
    )
    minted = Minted.new()
    outcome = await request.call.tenant.database.write(_redeem, request, presented, minted)
    if isinstance(outcome, Refused):
        raise InvalidGrant(outcome.description)
    tell(request, request.event(SUCCEEDED), outcome)
    return await answer(request, outcome, minted)


def _redeem(
    connection: Connection, request: TokenRequest, presented: _Presented, minted: Minted
) -> Issued | Refused:
    request.claim_single_use(connection)
    claim = {"code": presented.digest, "now": request.call.now_ms}
    code = _CLAIM.first(connection, claim)
    if code is None:
        return _refuse_second_use(connection, request, presented)
    _require_own(request, code.client_id, code.issuer)
    problem = _problem(code, presented, request)
    if problem is not None:
        return Refused(problem)
    subject = load_subject(
        connection,
        user_id=code.user_id,
        session_id=code.session_id,
        organization_id=code.organization_id,
        family_id=code.family_id,
        client=request.client,
        now_ms=request.call.now_ms,
        rules=request.configuration.organization_rules,
    )
    how = login_behind(code)
    problem = redemption_problem(connection, subject, code, how, request.call.now_ms)
    if subject is None or problem is not None:
        return Refused(problem or "The user does not exist.")
    request.require_target(code.audience)
    authorization = _authorization(code)
    offline = begin_family(connection, request, authorization, subject, how)
    return issue(connection, request, authorization, subject, minted, with_refresh_token=offline)


def _refuse_second_use(connection: Connection, request: TokenRequest, presented: _Presented) -> Refused:
    used = connection.execute(_USED, {"code": presented.digest}).one_or_none()
    if used is None:
        raise InvalidGrant("The code is unknown.")
    _require_own(request, used.client_id, used.issuer)
    end_family(connection, used.family_id, now_ms=request.call.now_ms, reason="code_reuse")
    return Refused("The code was already used.")


def _require_own(request: TokenRequest, client_id: str, issuer: str) -> None:
    """Another client's code, or one of another issuer of this tenant, is none of this request's business."""
    if client_id != request.client.client_id or issuer != request.call.tenant.issuer:
        raise InvalidGrant


def _problem(code: Row[Any], presented: _Presented, request: TokenRequest) -> str | None:
    if not code.created_at - LEEWAY_MS <= request.call.now_ms < code.expires_at:
        return "The code has expired."
    if code.dpop_jkt not in (None, request.jkt):
        return "The code is bound to another key."
    if presented.redirect_uri != code.redirect_uri and (
        code.redirect_uri_sent or presented.redirect_uri is not None
    ):
        return "The redirect_uri is not the one of the authorization request."
    return _verifier_problem(code.code_challenge, presented.verifier)


def _verifier_problem(challenge: str | None, verifier: str | None) -> str | None:
    """RFC 7636 section 4.6; a verifier without a challenge is a downgrade (RFC 9700 section 2.1.1)."""
    if challenge is None:
        return None if verifier is None else "There was no code_challenge for this code_verifier."
    if verifier is None:
        return "The code_verifier is missing."
    if _VERIFIER.fullmatch(verifier) is None or not is_equal(code_challenge(verifier), challenge):
        return "The code_verifier does not fit."
    return None


def code_challenge(verifier: str) -> str:
    """S256, the only method."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


def _authorization(code: Row[Any]) -> Authorization:
    return Authorization(
        family_id=code.family_id,
        scope=split_scope(code.scope),
        audience=code.audience,
        requested_claims=code.claims,
        login=Login(
            authenticated_at=code.authenticated_at,
            acr=code.acr,
            amr=tuple(code.amr),
            nonce=code.nonce,
            session_id=code.session_id,
        ),
    )
