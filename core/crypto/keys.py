"""Signing keys and the public keys they are checked with.

A key is named by its RFC 7638 thumbprint, parsed once, and kept as a native object. Keys of ours are loaded
from DER without re-validating the primes (3 microseconds against 37 milliseconds under the interpreter's
lock).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_public_key,
)
from cryptography.x509 import load_pem_x509_certificate
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

NativeKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey
JoseKey: TypeAlias = RSAKey | ECKey | OKPKey

RSA_BITS = 2048
_RSA_RANGE = range(2048, 8193)
"""Smaller is weak; larger is a way to make each verification expensive."""

_RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVE_ALGORITHM = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_CURVES: Mapping[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}
_EDWARDS_ALGORITHMS = ("EdDSA", "Ed25519")
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_PUBLIC_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}


class UnsupportedKey(ValueError):
    """A key of another type, curve or size than what tokens are signed with here."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    kid: str
    alg: str
    private: NativeKey = field(repr=False, compare=False)
    jose: JoseKey = field(repr=False, compare=False)
    public_jwk: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def generate(cls, alg: str) -> "SigningKey":
        """RSA takes some 50 ms: ask `KeyStock` instead, or do it in a thread."""
        return _signing_key(None, alg, _generate(alg))

    @classmethod
    def from_der(cls, kid: str | None, alg: str, der: bytes) -> "SigningKey":
        """Only for keys made here: what is inside is believed. Without `kid` it is the thumbprint."""
        private = load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey):
            raise UnsupportedKey("Not a key that tokens are signed with.")
        return _signing_key(kid, alg, private)

    def to_der(self) -> bytes:
        """PKCS 8, in clear: for sealing, never for storing as it is."""
        return self.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _generate(alg: str) -> NativeKey:
    if alg in _RSA_ALGORITHMS:
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    if alg in _CURVES:
        return ec.generate_private_key(_CURVES[alg])
    if alg in _EDWARDS_ALGORITHMS:
        return Ed25519PrivateKey.generate()
    raise UnsupportedKey(f"No key is made for the algorithm '{alg}'.")


def _signing_key(kid: str | None, alg: str, private: NativeKey) -> SigningKey:
    public = _import_native(private.public_key())
    if alg not in algorithms_of(public):
        raise UnsupportedKey(f"The key does not fit the algorithm '{alg}'.")
    name = kid or public.thumbprint()
    members = {**public.as_dict(private=False), "kid": name, "use": "sig", "alg": alg}
    jose = _import_native(private)
    jose.dict_value  # noqa: B018  (joserfc computes it once; here, not in the first request)
    return SigningKey(name, alg, private, jose, members)


def _import_native(key: Any) -> JoseKey:
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return RSAKey.import_key(key)
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return ECKey(key, key)
    return OKPKey(key, key)


def algorithms_of(key: JoseKey) -> tuple[str, ...]:
    """Which algorithms a key of this type may be used with (RFC 8725 section 3.1)."""
    match key:
        case RSAKey():
            return _RSA_ALGORITHMS
        case ECKey():
            algorithm = _CURVE_ALGORITHM.get(key.curve_name)
            return (algorithm,) if algorithm else ()
        case _:
            return _EDWARDS_ALGORITHMS if key.curve_name == "Ed25519" else ()


@dataclass(frozen=True, slots=True)
class PublicKey:
    kid: str
    algorithms: tuple[str, ...]
    jose: JoseKey = field(repr=False, compare=False)


class PublicKeys:
    """The keys a token may be checked with, by `kid`. The header of a token chooses among them and nothing
    else.

    Members that are no public signature key of a known type (symmetric, private, for encryption, weak,
    malformed, without `kid`) are left out: they can verify nothing.
    """

    __slots__ = ("_by_kid",)

    def __init__(self, jwks: Iterable[Mapping[str, Any]]) -> None:
        keys = (_public_key(jwk) for jwk in jwks)
        self._by_kid = {key.kid: key for key in keys if key is not None}

    def get(self, kid: str) -> PublicKey | None:
        return self._by_kid.get(kid)

    def __len__(self) -> int:
        return len(self._by_kid)


def _public_key(jwk: Mapping[str, Any]) -> PublicKey | None:
    """Left out instead of refused, and so are keys without a name."""
    if not isinstance(jwk.get("kid"), str):
        return None
    try:
        return read_public_key(jwk)
    except UnsupportedKey:
        return None


def read_public_key(jwk: Mapping[str, Any]) -> PublicKey:
    """A key that somebody else made and shows. Without `kid` it is named by its thumbprint. Raises `UnsupportedKey`,
    whose sentence may be shown to whoever brought the key."""
    members, kid = _PUBLIC_MEMBERS.get(str(jwk.get("kty"))), jwk.get("kid")
    if members is None:
        raise UnsupportedKey("The type of a key must be RSA, EC or OKP.")
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise UnsupportedKey("A key must be public: this one has private members.")
    if jwk.get("use", "sig") != "sig" or "verify" not in _operations(jwk):
        raise UnsupportedKey("A key must be for signatures.")
    try:
        key = _import_public({name: jwk[name] for name in members})
    except UnsupportedKey:
        raise
    except (JoseError, ValueError, KeyError, TypeError):
        raise UnsupportedKey("A key is malformed.") from None
    fitting, named = algorithms_of(key), jwk.get("alg")
    algorithms = fitting if named is None else tuple(alg for alg in fitting if alg == named)
    if not algorithms:
        raise UnsupportedKey("A key does not fit the algorithm it is for.")
    return PublicKey(kid if isinstance(kid, str) and kid else key.thumbprint(), algorithms, key)


def _operations(jwk: Mapping[str, Any]) -> Collection[Any]:
    named = jwk.get("key_ops", ("verify",))
    return named if isinstance(named, list | tuple) else ()


def public_members(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """The key itself, without what is said of it."""
    return {name: jwk[name] for name in _PUBLIC_MEMBERS[jwk["kty"]]}


def public_jwk_of_pem(pem: str) -> tuple[dict[str, Any], datetime | None]:
    """Of a public key, or of a certificate and then also when it ends. The certificate is not judged: whoever brings it
    vouches for the key. Raises `UnsupportedKey`."""
    text = pem.strip().encode("utf-8")
    native: object
    ends_at: datetime | None = None
    try:
        if text.startswith(b"-----BEGIN CERTIFICATE-----"):
            certificate = load_pem_x509_certificate(text)
            native, ends_at = certificate.public_key(), certificate.not_valid_after_utc
        else:
            native = load_pem_public_key(text)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnsupportedKey("The text is no public key and no certificate in PEM.") from None
    if not isinstance(native, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey):
        raise UnsupportedKey("The type of a key must be RSA, EC or Ed25519.")
    try:
        return _import_native(native).as_dict(private=False), ends_at
    except (JoseError, ValueError, KeyError):
        raise UnsupportedKey("The key is on a curve that is not supported.") from None


def _import_public(members: dict[str, Any]) -> JoseKey:
    match members["kty"]:
        case "RSA":
            native = RSAKey.binding.import_from_dict(members)
            if native.key_size not in _RSA_RANGE:
                raise UnsupportedKey("The RSA key is too small or too large.")
            return RSAKey.import_key(native)
        case "EC":
            return ECKey.import_key(members)
        case _:
            return OKPKey.import_key(members)


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638, over the public members only."""
    members = _PUBLIC_MEMBERS.get(str(jwk.get("kty")))
    if members is None:
        raise UnsupportedKey("No thumbprint for this type of key.")
    return _import_public({name: jwk[name] for name in members}).thumbprint()
