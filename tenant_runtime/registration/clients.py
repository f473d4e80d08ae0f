"""Registered clients as rows, and as what the client is told of itself (RFC 7591 section 3.2.1). Units of work.

What an operator decides about such a client (which APIs it may call for itself, whether it is one of the tenant's
own, its connections) is never in what the client writes; but a client that changes itself is a third party again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from core.crypto.sealing import DataKey
from core.errors import AccessDenied, InvalidToken
from core.http.security import is_equal
from core.ids import digest, new_id, new_secret
from tenant_runtime.models import Client, ClientKey, ClientSecret, Grant
from tenant_runtime.oauth.tokens.withdrawal import Given, end_given
from tenant_runtime.registration.client_keys import NewKey
from tenant_runtime.registration.metadata import Registered

REGISTRATION, DOCUMENT = "registration", "document"
DAY_MS = 86_400_000
REMOVED_AT_ONCE = 50

_c, _s, _k = Client.__table__.c, ClientSecret.__table__.c, ClientKey.__table__.c
_FIND = select(Client.__table__).where(_c.client_id == bindparam("of"))
_INSERT = insert(Client.__table__)
_COUNT = select(func.count()).where(_c.origin == bindparam("of_origin"))
_UNUSED = (
    select(_c.client_id)
    .where(
        _c.origin == bindparam("of_origin"),
        _c.created_at < bindparam("before"),
        _c.is_first_party.is_(False),
        _c.client_id.not_in(select(Grant.__table__.c.client_id)),
    )
    .order_by(_c.created_at)
    .limit(REMOVED_AT_ONCE)
)
_KEYS = select(ClientKey.__table__).where(_k.client_id == bindparam("of")).order_by(_k.kid)
_SECRETS = select(ClientSecret.__table__).where(_s.client_id == bindparam("of")).order_by(_s.created_at)


@dataclass(frozen=True, slots=True)
class NewSecret:
    """Not yet anybody's; sealed for its row."""

    id: str
    text: str
    sealed: bytes

    @classmethod
    def made(cls, data_key: DataKey) -> "NewSecret":
        id, text = new_id("sec"), new_secret(48)
        return cls(id, text, data_key.seal(text.encode(), "client_secrets", "sealed", id))


def make_room(connection: Connection, origin: str, most: int, before: int) -> None:
    """Beyond `most`, those go that nobody ever consented to or vouched for and that did not change since `before`."""
    if connection.execute(_COUNT, {"of_origin": origin}).scalar_one() < most:
        return
    unused = connection.execute(_UNUSED, {"of_origin": origin, "before": before}).scalars().all()
    if not unused:
        raise AccessDenied("This tenant takes no more clients that register themselves.")
    connection.execute(delete(Client.__table__).where(_c.client_id.in_(unused)))


def insert_client(
    connection: Connection, client_id: str, values: Mapping[str, Any], keys: Sequence[NewKey], now_ms: int
) -> None:
    row = {
        "client_id": client_id,
        "organization_usage": "allow",
        "organization_require_behavior": "no_prompt",
        "web_origins": [],
        "allowed_origins": [],
        "signed_request_object": {},
        "refresh_token": {},
        "client_metadata": {},
        "attributes": {},
        "created_at": now_ms,
        "updated_at": now_ms,
        **values,
    }
    connection.execute(_INSERT, row)
    _add_keys(connection, client_id, keys, now_ms)


def replace_client(
    connection: Connection, client_id: str, values: Mapping[str, Any], keys: Sequence[NewKey], now_ms: int
) -> None:
    change = update(Client.__table__).where(_c.client_id == client_id)
    connection.execute(change.values(**values, updated_at=now_ms))
    connection.execute(delete(ClientKey.__table__).where(_k.client_id == client_id))
    _add_keys(connection, client_id, keys, now_ms)


def refresh_client(connection: Connection, client_id: str, fresh_until: int, now_ms: int) -> None:
    change = update(Client.__table__).where(_c.client_id == client_id)
    connection.execute(change.values(fresh_until=fresh_until, updated_at=now_ms))


def _add_keys(connection: Connection, client_id: str, keys: Iterable[NewKey], now_ms: int) -> None:
    """A key's id follows from whose it is: in one database there is one of them."""
    rows = [
        {
            "id": f"pkc_{digest(f'{client_id} {key.kid}')[:24]}",
            "client_id": client_id,
            "kid": key.kid,
            "alg": key.alg,
            "jwk": dict(key.jwk),
            "created_at": now_ms,
        }
        for key in keys
    ]
    if rows:
        connection.execute(insert(ClientKey.__table__), rows)


def register(
    connection: Connection, client_id: str, new: Registered, token_digest: str, secret: NewSecret, now_ms: int
) -> Row[Any]:
    values = {**new.columns, "origin": REGISTRATION, "registration_digest": token_digest}
    insert_client(connection, client_id, values, new.keys, now_ms)
    if new.has_secret:
        _add_secret(connection, client_id, secret, now_ms)
    return connection.execute(_FIND, {"of": client_id}).one()


def change(
    connection: Connection, client_id: str, new: Registered, secret: NewSecret, now_ms: int
) -> Row[Any]:
    """The secret stays as it is, unless the client begins or ceases to have one."""
    replace_client(connection, client_id, new.columns, new.keys, now_ms)
    has_secret = connection.execute(_SECRETS, {"of": client_id}).first() is not None
    if has_secret and not new.has_secret:
        connection.execute(delete(ClientSecret.__table__).where(_s.client_id == client_id))
    elif new.has_secret and not has_secret:
        _add_secret(connection, client_id, secret, now_ms)
    return connection.execute(_FIND, {"of": client_id}).one()


def _add_secret(connection: Connection, client_id: str, secret: NewSecret, now_ms: int) -> None:
    row = {
        "id": secret.id,
        "client_id": client_id,
        "digest": digest(secret.text),
        "sealed": secret.sealed,
        "created_at": now_ms,
    }
    connection.execute(insert(ClientSecret.__table__), row)


def find_registered(connection: Connection, client_id: str, token_digest: str) -> Row[Any]:
    """The client whose registration access token this is. One answer for every other case (RFC 7592 section 2.1)."""
    row = connection.execute(_FIND, {"of": client_id}).one_or_none()
    known = row.registration_digest if row is not None and row.origin == REGISTRATION else None
    if row is None or known is None or not is_equal(known, token_digest):
        raise InvalidToken
    return row


def delete_client(connection: Connection, client_id: str, now_ms: int) -> None:
    """With its consents, codes and refresh tokens; its access tokens are refused from now on."""
    end_given(connection, Given(client_id=client_id), now_ms=now_ms, reason="client_deleted")
    connection.execute(delete(Client.__table__).where(_c.client_id == client_id))


def told(connection: Connection, row: Row[Any], data_key: DataKey) -> dict[str, Any]:
    """Everything registered, defaults included."""
    said: dict[str, Any] = dict(row.registration)
    shown = {
        "client_id": row.client_id,
        "client_id_issued_at": row.created_at // 1000,
        "client_name": row.name,
        "redirect_uris": row.callbacks,
        "grant_types": row.grant_types,
        "token_endpoint_auth_method": row.token_endpoint_auth_method,
        "subject_type": "public",
        "id_token_signed_response_alg": row.jwt_configuration.get("alg", "RS256"),
        "require_pushed_authorization_requests": row.require_pushed_authorization_requests,
        "dpop_bound_access_tokens": row.require_proof_of_possession,
        **said,
        **_secret(connection, row, data_key),
    }
    keys = [key.jwk for key in connection.execute(_KEYS, {"of": row.client_id})]
    optional = {
        "logo_uri": row.logo_uri,
        "jwks_uri": row.jwks_uri,
        "jwks": {"keys": keys} if keys else None,
        "post_logout_redirect_uris": row.allowed_logout_urls,
        "backchannel_logout_uri": next(iter(row.oidc_logout.get("backchannel_logout_urls", ())), None),
        "initiate_login_uri": row.initiate_login_uri,
    }
    return {**shown, **{name: value for name, value in optional.items() if value}}


def _secret(connection: Connection, row: Row[Any], data_key: DataKey) -> dict[str, Any]:
    """The newest one, for the holder of the registration access token (RFC 7592 section 3)."""
    if not row.token_endpoint_auth_method.startswith("client_secret"):
        return {}
    kept = connection.execute(_SECRETS, {"of": row.client_id}).all()
    if not kept:
        return {}
    text = data_key.open(kept[-1].sealed, "client_secrets", "sealed", kept[-1].id).decode()
    expires_at = kept[-1].expires_at
    return {"client_secret": text, "client_secret_expires_at": expires_at // 1000 if expires_at else 0}
