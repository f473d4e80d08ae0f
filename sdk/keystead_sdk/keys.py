"""Public keys of an issuer, by key id.

A key set is read once and then only looked up. Keys that must not verify are left out: symmetric ones
(with an HMAC key in a public document anybody could sign), ones with private members, ones meant for
encryption, weak ones, and ones whose id is used twice.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

PublicKey = RSAKey | ECKey | OKPKey
MOST_KEYS = 100
SMALLEST_RSA = 2048
LARGEST_RSA = 8192

_algorithms_of = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA", "Ed25519"),
}
_public_members = ("kty", "crv", "n", "e", "x", "y")
_classes: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


@dataclass(frozen=True, slots=True)
class VerificationKey:
    key: PublicKey
    algorithms: frozenset[str]


class KeySet:
    def __init__(self, keys: Mapping[str, VerificationKey]) -> None:
        self._keys = dict(keys)

    @classmethod
    def from_jwks(cls, document: Mapping[str, Any]) -> Self:
        """Raises ValueError when the document is no key set (RFC 7517 section 5)."""
        members = document.get("keys")
        if not isinstance(members, list | tuple) or len(members) > MOST_KEYS:
            raise ValueError("not a key set")
        return cls(dict(_usable(one for one in members if isinstance(one, Mapping))))

    def find(self, key_id: str, algorithm: str) -> PublicKey | None:
        found = self._keys.get(key_id)
        return found.key if found is not None and algorithm in found.algorithms else None

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys

    def __len__(self) -> int:
        return len(self._keys)


class KeySource(Protocol):
    """Where keys come from: over HTTP (`DiscoveredKeys`), or from the process itself."""

    async def keys(self, issuer: str, key_id: str) -> KeySet:
        """The issuer's keys now, or `KeysUnavailable`. One without `key_id` is worth a refresh."""


def _usable(members: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, VerificationKey]]:
    named = [one for one in members if isinstance(one.get("kid"), str)]
    times = Counter(one["kid"] for one in named)
    for member in named:
        key = verification_key(member) if times[member["kid"]] == 1 else None
        if key is not None:
            yield member["kid"], key


def verification_key(jwk: Mapping[str, Any]) -> VerificationKey | None:
    """One public key for signatures, or None for what must not verify anything."""
    kind, use, alg = jwk.get("kty"), jwk.get("use", "sig"), jwk.get("alg")
    if not isinstance(kind, str) or kind not in _classes or use != "sig" or "d" in jwk:
        return None
    curve = jwk.get("crv") if kind != "RSA" else None
    able = _algorithms_of.get((kind, curve)) if curve is None or isinstance(curve, str) else None
    if able is None or (alg is not None and alg not in able):
        return None
    key = _import(kind, {name: value for name, value in jwk.items() if name in _public_members})
    if key is None:
        return None
    return VerificationKey(key, frozenset(able if alg is None else (alg,)))


def _import(kind: str, members: dict[str, Any]) -> PublicKey | None:
    if kind == "RSA" and not _is_strong(members.get("n")):
        return None
    try:
        key = _classes[kind].import_key(members)
        key.raw_value  # noqa: B018 - made when first asked for; a point off its curve shows itself here
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key


def _is_strong(modulus: object) -> bool:
    """By the length of its base64url text: six bits a character."""
    return isinstance(modulus, str) and SMALLEST_RSA // 6 <= len(modulus) <= LARGEST_RSA // 6 + 2
