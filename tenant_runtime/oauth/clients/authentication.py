"""Who calls the token endpoint and its neighbours (RFC 6749 section 2.3).

`client_secret_basic`, `client_secret_post`, `none`, and by assertion `client_secret_jwt` and `private_key_jwt`. A
client that sends its secret may do so either way, whichever it registered: the SDKs of one application differ.
Nothing else is forgiven: a secret in the address, two ways at once, a secret of a public client, none of a
confidential one, a secret where an assertion was registered and the reverse.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes

from sqlalchemy import Connection, String, and_, bindparam, case, exists, false, or_, select, true

from core.database import Prepared
from core.errors import InvalidClient, InvalidRequest
from core.http.security import is_equal
from core.ids import digest
from tenant_runtime.configuration import ClientConfiguration, Configuration
from tenant_runtime.models import Client, ClientKey, ClientSecret
from tenant_runtime.oauth.clients.assertions import Asserted, read_assertion
from tenant_runtime.oauth.clients.documents import with_document
from tenant_runtime.oauth.single_use import SingleUse
from tenant_runtime.oauth.wire import Call

_CREDENTIALS = frozenset(
    {
        "client_secret",
        "client_assertion",
        "code",
        "code_verifier",
        "refresh_token",
        "access_token",
        "token",
        "password",
    }
)
"""What must never stand in an address, where logs and histories keep it (RFC 6749 section 2.3.1)."""

_OF_ASSERTION = frozenset({"client_assertion", "client_assertion_type"})
_BY_SECRET = ("client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True)
class AuthenticatedClient:
    """A client that proved itself; with what, is asked again in the unit that acts. All empty: a public client."""

    configuration: ClientConfiguration
    named: str | None
    """The `client_id` of the body, which may be another's."""

    secret_digest: str | None = None
    kid: str | None = None
    """Of a key in `client_keys`."""

    jwks_uri: str | None = None
    """Where the key was read, if not from `client_keys`."""

    used: SingleUse | None = None
    """The assertion."""

    @property
    def client_id(self) -> str:
        return self.configuration.client_id


@dataclass(frozen=True, slots=True)
class _Credentials:
    client_id: str
    secret: str | None


async def authenticate(
    call: Call, parameters: Mapping[str, str], configuration: Configuration
) -> AuthenticatedClient:
    refuse_credentials_in_address(call)
    header = call.one_header(b"authorization")
    by_assertion = not _OF_ASSERTION.isdisjoint(parameters)
    if (header is not None) + ("client_secret" in parameters) + by_assertion > 1:
        raise InvalidRequest("The client authenticates in two ways at once.")
    if by_assertion:
        return _asserted(await read_assertion(call, parameters, configuration), parameters)
    given = _basic(header) if header is not None else _posted(parameters)
    configuration = await with_document(call.tenant, call.services, configuration, given.client_id)
    client = configuration.clients.get(given.client_id)
    secret_digest = _check(client, given.secret, call.now_ms)
    assert client is not None
    return AuthenticatedClient(client, parameters.get("client_id"), secret_digest)


def _asserted(asserted: Asserted, parameters: Mapping[str, str]) -> AuthenticatedClient:
    return AuthenticatedClient(
        asserted.client,
        parameters.get("client_id"),
        asserted.secret_digest,
        asserted.signer.kid,
        asserted.signer.jwks_uri,
        asserted.used,
    )


def refuse_credentials_in_address(call: Call) -> None:
    if not call.query:
        return
    names = {name for name, _ in parse_qsl(call.query.decode("latin-1"), keep_blank_values=True)}
    if not names.isdisjoint(_CREDENTIALS):
        raise InvalidRequest("Credentials must not be in the address.")


def _basic(header: str) -> _Credentials:
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("This way of client authentication is not supported.")
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        if not colon:
            raise InvalidClient
        return _Credentials(_decoded(name), _decoded(secret))
    except (binascii.Error, ValueError):  # no base64, or no UTF-8 on either level
        raise InvalidClient from None


def _decoded(text: str) -> str:
    """RFC 6749 section 2.3.1: both parts are form-encoded before they are joined."""
    if "%" not in text and "+" not in text:
        return text
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")


def _posted(parameters: Mapping[str, str]) -> _Credentials:
    client_id = parameters.get("client_id")
    if client_id is None:
        raise InvalidClient("The client does not say who it is.")
    return _Credentials(client_id, parameters.get("client_secret"))


def _check(client: ClientConfiguration | None, secret: str | None, now_ms: int) -> str | None:
    """One sentence for an unknown client and a wrong secret; every secret is compared, in constant time."""
    if client is None:
        raise InvalidClient
    if client.is_public and not client.is_fapi:
        if secret is not None:
            raise InvalidClient
        return None
    if secret is None or client.token_endpoint_auth_method not in _BY_SECRET or client.is_fapi:
        raise InvalidClient
    given = digest(secret)
    matches = [
        is_equal(given, known.digest) and (known.expires_at is None or known.expires_at > now_ms)
        for known in client.secrets
    ]
    if not any(matches):
        raise InvalidClient
    return given


# --- Checked again in the unit that issues -------------------------------------------------------------------------

_s, _k, _c = ClientSecret.__table__.c, ClientKey.__table__.c, Client.__table__.c
_by_key = _c.token_endpoint_auth_method == "private_key_jwt"
_holds = or_(
    exists().where(
        _s.client_id == bindparam("client_id"),
        _s.digest == bindparam("secret_digest"),
        or_(_s.expires_at.is_(None), _s.expires_at > bindparam("now")),
    ),
    exists().where(
        _k.client_id == bindparam("client_id"),
        _k.kid == bindparam("kid"),
        or_(_k.expires_at.is_(None), _k.expires_at > bindparam("now")),
        exists().where(_c.client_id == bindparam("client_id"), _by_key),
    ),
    exists().where(_c.client_id == bindparam("client_id"), _by_key, _c.jwks_uri == bindparam("jwks_uri")),
    and_(
        bindparam("secret_digest", type_=String).is_(None),
        bindparam("kid", type_=String).is_(None),
        bindparam("jwks_uri", type_=String).is_(None),
        exists().where(_c.client_id == bindparam("client_id"), _c.token_endpoint_auth_method == "none"),
    ),
)
STILL_HOLDS = case((_holds, true()), else_=false())
"""A condition on the values of `still_holds`: the client and what it showed may have been taken away by another
process since the snapshot was read. In a `CASE` SQLite looks no further than the first part that is true."""

_ASK = Prepared(select(STILL_HOLDS))


def still_holds(client: AuthenticatedClient, now_ms: int) -> dict[str, str | int | None]:
    return {
        "client_id": client.client_id,
        "secret_digest": client.secret_digest,
        "kid": client.kid,
        "jwks_uri": client.jwks_uri,
        "now": now_ms,
    }


def require_still(connection: Connection, client: AuthenticatedClient, now_ms: int) -> None:
    (holds,) = _ASK.rows(connection, still_holds(client, now_ms))[0]
    if not holds:
        raise InvalidClient
