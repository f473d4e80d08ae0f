"""The public keys of a client: which one made a signature that it shows.

They are the client's own rows, or the set at its `jwks_uri`. A signature names one of them by `kid`; where it names
none, exactly one must fit. No key ever comes from the signature's own header.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from core.crypto.jwt import TokenInvalid, Unverified
from core.crypto.keys import PublicKey, UnsupportedKey, read_public_key
from core.tenants import Tenant
from tenant_runtime.configuration import ClientConfiguration, PublicClientKey
from tenant_runtime.dependencies import Services
from tenant_runtime.oauth.keys.signing import ALGORITHMS

FAPI_ALGORITHMS = ("PS256", "ES256", "EdDSA")
"""FAPI 2.0 Security Profile section 5.4.1."""


@dataclass(frozen=True, slots=True)
class Signer:
    """By which the key is asked for again in the unit that acts: one of the two is there."""

    kid: str | None
    """Of a key in `client_keys`."""

    jwks_uri: str | None


BY_NO_KEY = Signer(None, None)


def signature_algorithms(client: ClientConfiguration) -> tuple[str, ...]:
    """What the client may sign with."""
    return FAPI_ALGORITHMS if client.is_fapi else ALGORITHMS


async def signer_of(
    token: Unverified, client: ClientConfiguration, tenant: Tenant, services: Services, now_ms: int
) -> Signer:
    """Raises `TokenInvalid` when no key of the client made it, `KeysUnavailable` when its keys cannot be read."""
    if client.jwks_uri is None:
        known = [key for key in client.keys if key.expires_at is None or key.expires_at > now_ms]
        return Signer(_made_by(token, _parsed(known)).kid, None)
    remote = services.remote_keys if client.origin == "operator" else services.strangers_keys
    try:
        _made_by(token, await remote.get(services.outbound, tenant, client.jwks_uri, now_ms))
    except TokenInvalid:
        _made_by(token, await remote.get(services.outbound, tenant, client.jwks_uri, now_ms, again=True))
    return Signer(None, client.jwks_uri)


def _made_by(token: Unverified, keys: Iterable[PublicKey]) -> PublicKey:
    fitting = [key for key in keys if token.kid in (None, key.kid) and token.alg in key.algorithms]
    if len(fitting) != 1:
        raise TokenInvalid("no key, or more than one")
    if not token.is_signed_by(fitting[0]):
        raise TokenInvalid("signature")
    return fitting[0]


def _parsed(keys: Iterable[PublicClientKey]) -> list[PublicKey]:
    found = (_parse(msgspec.json.encode({**key.jwk, "kid": key.kid, "alg": key.alg})) for key in keys)
    return [key for key in found if key is not None]


@lru_cache(4096)
def _parse(jwk: bytes) -> PublicKey | None:
    try:
        return read_public_key(msgspec.json.decode(jwk))
    except UnsupportedKey:
        return None
