"""The device code grant (RFC 8628 section 3.4): a device asks again and again until somebody has decided.

Each answer is kept in the row although it is an error: when it was asked, and how long the next wait is. Once the
person has approved, the code is claimed by the first request; a later one ends what the first was given, as with an
authorization code. What has happened to the person since they approved counts at this moment.
"""

from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from core.clock import LEEWAY_MS
from core.errors import AccessDenied, AuthorizationPending, ExpiredToken, InvalidGrant, OAuthError, SlowDown
from core.ids import digest
from tenant_runtime.login.devices.requests import GRANT_TYPE
from tenant_runtime.models import DeviceCode
from tenant_runtime.oauth.grants.request import TokenRequest
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

__all__ = ["FAILED", "GRANT_TYPE", "STILL_WAITING", "redeem_device_code"]

SUCCEEDED = "sede"
FAILED = "fede"
STILL_WAITING = (AuthorizationPending, SlowDown)
"""No failures, and as frequent as the devices are many: the log says nothing of them."""

SLOWER_MS = 5000
JITTER_MS = 500
"""A device that waits as long as it was told may still arrive a little early."""

_c = DeviceCode.__table__.c
_mine = _c.digest == bindparam("code")
_FIND = select(DeviceCode.__table__).where(_mine)
_POLLED = (
    update(DeviceCode.__table__)
    .where(_mine)
    .values(polled_at=bindparam("now"), interval_ms=bindparam("new_interval"))
)
_CLAIM = update(DeviceCode.__table__).where(_mine, _c.used_at.is_(None)).values(used_at=bindparam("now"))

_EXPIRE = update(DeviceCode.__table__).where(_mine, _c.expires_at > 0).values(expires_at=0)
"""What was told that it has expired stays so, wherever the clock goes."""


async def redeem_device_code(request: TokenRequest) -> dict[str, Any]:
    request.require_grant_type(GRANT_TYPE)
    code, minted = digest(request.required("device_code")), Minted.new()
    outcome = await request.call.tenant.database.write(_redeem, request, code, minted)
    if isinstance(outcome, OAuthError):
        raise outcome
    tell(request, request.event(SUCCEEDED), outcome)
    return await answer(request, outcome, minted)


def _redeem(connection: Connection, request: TokenRequest, code: str, minted: Minted) -> Issued | OAuthError:
    """What is returned is kept, also where it is an error."""
    request.claim_single_use(connection)
    row = connection.execute(_FIND, {"code": code}).one_or_none()
    if row is None:
        raise InvalidGrant("The device code is unknown.")
    _require_own(request, row)
    if row.used_at is not None:
        end_family(connection, row.family_id, now_ms=request.call.now_ms, reason="device_code_reuse")
        return InvalidGrant("The device code was already used.")
    if not row.created_at - LEEWAY_MS <= request.call.now_ms < row.expires_at:
        connection.execute(_EXPIRE, {"code": code})
        return ExpiredToken()
    if row.is_approved is None:
        return _wait(connection, row, request.call.now_ms)
    if not row.is_approved:
        raise AccessDenied("The person did not approve.", status=400)
    connection.execute(_CLAIM, {"code": code, "now": request.call.now_ms})
    return _issue(connection, request, row, minted)


def _require_own(request: TokenRequest, row: Row[Any]) -> None:
    """Another client's code, or one of another issuer of this tenant, is none of this request's business."""
    if row.client_id != request.client.client_id or row.issuer != request.call.tenant.issuer:
        raise InvalidGrant
    if row.dpop_jkt not in (None, request.jkt):
        raise InvalidGrant("The device code is bound to another key.")


def _wait(connection: Connection, row: Row[Any], now_ms: int) -> OAuthError:
    is_early = row.polled_at is not None and 0 <= now_ms - row.polled_at < row.interval_ms - JITTER_MS
    interval = row.interval_ms + (SLOWER_MS if is_early else 0)
    connection.execute(_POLLED, {"code": row.digest, "now": now_ms, "new_interval": interval})
    return SlowDown() if is_early else AuthorizationPending()


def _issue(
    connection: Connection, request: TokenRequest, row: Row[Any], minted: Minted
) -> Issued | OAuthError:
    subject = load_subject(
        connection,
        user_id=row.user_id,
        session_id=row.session_id,
        organization_id=row.organization_id,
        family_id=row.family_id,
        client=request.client,
        now_ms=request.call.now_ms,
        rules=request.configuration.organization_rules,
    )
    how = login_behind(row)
    problem = redemption_problem(connection, subject, row, how, request.call.now_ms)
    if subject is None or problem is not None:
        return InvalidGrant(problem)
    request.require_target(row.audience)
    authorization = _authorization(row)
    offline = begin_family(connection, request, authorization, subject, how)
    return issue(connection, request, authorization, subject, minted, with_refresh_token=offline)


def _authorization(row: Row[Any]) -> Authorization:
    return Authorization(
        family_id=row.family_id,
        scope=split_scope(row.scope),
        audience=row.audience,
        requested_claims=None,
        login=Login(
            authenticated_at=row.authenticated_at,
            acr=row.acr,
            amr=tuple(row.amr),
            nonce=None,
            session_id=None,  # the browser that approved may be signed out, and the device goes on
        ),
    )
