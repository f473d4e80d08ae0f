"""OpenID Connect Back-Channel Logout 1.0: each client that took part in a session is told of its end.

`tell_clients` stands in the unit that ends sessions, and enqueues one delivery for each address of each such client;
`send_logout_token` is what the delivery does, later and outside of any unit. What makes two attempts the same message
(`jti`, `sid`, `sub`) is fixed with the delivery; times, key and algorithm are those of the attempt.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Connection, select

from core.clock import now_ms
from core.crypto import jwt
from core.crypto.sealing import DataKey
from core.ids import digest
from core.outbound import OutboundFailed, OutboundRefused
from core.tenants import Tenant
from tenant_runtime.configuration import configuration
from tenant_runtime.deliveries import DeliveryFailed, Outgoing, enqueue
from tenant_runtime.dependencies import Services
from tenant_runtime.models import Client, Session, SessionClient
from tenant_runtime.oauth.keys.signing import signing_key

KIND = "backchannel_logout"
LOGOUT_TOKEN_TYPE = "logout+jwt"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME = 120
"""Seconds. Two minutes at most are recommended (section 4)."""

FORM = "application/x-www-form-urlencoded"
DONE = (200, 204)
_s, _j, _c = Session.__table__.c, SessionClient.__table__.c, Client.__table__.c
_PARTICIPANTS = (
    select(_s.id, _s.issuer, _s.user_id, _j.client_id, _c.oidc_logout)
    .join(SessionClient.__table__, _j.session_id == _s.id)
    .join(Client.__table__, _c.client_id == _j.client_id)
)


class Initiator(StrEnum):
    """Why a session ended, by Auth0's names; a client may choose which of them it is told of."""

    RP_LOGOUT = "rp-logout"
    IDP_LOGOUT = "idp-logout"
    PASSWORD_CHANGED = "password-changed"
    SESSION_EXPIRED = "session-expired"
    SESSION_REVOKED = "session-revoked"
    ACCOUNT_DELETED = "account-deleted"
    ACCOUNT_DEACTIVATED = "account-deactivated"
    EMAIL_CHANGED = "email-identifier-changed"


def tell_clients(
    connection: Connection, data_key: DataKey, sessions: ColumnElement[bool], why: Initiator, now: int
) -> None:
    """`sessions` says which sessions end here. `Deliveries.soon` after the commit."""
    for row in connection.execute(_PARTICIPANTS.where(sessions)):
        if not is_told_of(row.oidc_logout, why):
            continue
        for url in urls_of(row.oidc_logout):
            enqueue(connection, data_key, _outgoing(row, url), now)


def urls_of(oidc_logout: Mapping[str, Any]) -> Sequence[str]:
    return tuple(dict.fromkeys(oidc_logout.get("backchannel_logout_urls") or ()))


def is_told_of(oidc_logout: Mapping[str, Any], why: Initiator) -> bool:
    """All initiators, unless the client chose some."""
    chosen = oidc_logout.get("backchannel_logout_initiators") or {}
    return chosen.get("mode") != "custom" or why in (chosen.get("selected_initiators") or ())


def _outgoing(row: Any, url: str) -> Outgoing:
    """A session ends once, so its end, the client and the address name the message."""
    id = f"dlv_{digest(f'{row.id} {row.client_id} {url}')[:32]}"
    payload = {
        "url": url,
        "client_id": row.client_id,
        "iss": row.issuer,
        "sub": row.user_id,
        "sid": row.id,
        "jti": id,
    }
    return Outgoing(id, KIND, row.client_id, payload)


async def send_logout_token(services: Services, tenant: Tenant, payload: Mapping[str, Any]) -> None:
    """Sections 2.5 to 2.8. 400 means that the token was understood and refused: it would be again."""
    url = payload["url"]
    body = urlencode({"logout_token": await _logout_token(services, tenant, payload)}).encode("ascii")
    try:
        fetched = await services.outbound.post(url, body, FORM, tenant=tenant.id)
    except OutboundRefused as refused:
        raise DeliveryFailed(str(refused), is_final=True) from refused
    except OutboundFailed as failed:
        raise DeliveryFailed(failed.reason) from failed
    if fetched.status not in DONE:
        raise DeliveryFailed(f"status {fetched.status}", is_final=fetched.status == 400)


async def _logout_token(services: Services, tenant: Tenant, payload: Mapping[str, Any]) -> str:
    """Section 2.4, signed as the client's ID tokens are."""
    held, now = await configuration(tenant), now_ms(services.clock)
    client = held.clients.get(payload["client_id"])
    if client is None or payload["url"] not in urls_of(client.oidc_logout):
        raise DeliveryFailed("the address is the client's no more", is_final=True)
    claims = {
        "iss": payload["iss"],
        "aud": payload["client_id"],
        "iat": now // 1000,
        "exp": now // 1000 + LIFETIME,
        "jti": payload["jti"],
        "events": {EVENT: {}},
        "sub": payload["sub"],
        "sid": payload["sid"],
    }
    key = await signing_key(tenant, services, held, client.id_token_signing_alg, now)
    return jwt.sign(claims, key, typ=LOGOUT_TOKEN_TYPE)
