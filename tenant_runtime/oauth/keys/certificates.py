"""A signing key as a self-signed X.509 certificate, for tools that take nothing else. Nobody is asked to trust it.

Made with the key, while its private part is there. An RSA key's is the same each time it is made (its first key has
none stored); that of a curve has a random signature, so it is made once.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from core.crypto.keys import SigningKey

_VALID = timedelta(days=3650)
_LAST = datetime(9990, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shown:
    """PEM, and its names: SHA-1, as Auth0 writes them."""

    pem: str
    fingerprint: str
    thumbprint: str

    @classmethod
    def of(cls, der: bytes) -> Self:
        certificate = x509.load_der_x509_certificate(der)
        name = certificate.fingerprint(SHA1())  # noqa: S303  (a name; nothing rests on it)
        return cls(
            certificate.public_bytes(Encoding.PEM).decode("ascii"), name.hex(":").upper(), name.hex().upper()
        )


def certificate(key: SigningKey, tenant_id: str, created_at: int) -> bytes:
    """DER. About a millisecond for RSA. `created_at` in milliseconds."""
    begins = min(datetime.fromtimestamp(created_at // 1000, UTC), _LAST)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, tenant_id[:64])])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.private.public_key())
        .serial_number(_serial(key.kid))
        .not_valid_before(begins)
        .not_valid_after(begins + _VALID if begins < _LAST else begins)
        .sign(key.private, None if isinstance(key.private, Ed25519PrivateKey) else SHA256())
    )
    return made.public_bytes(Encoding.DER)


def _serial(kid: str) -> int:
    return int.from_bytes(kid.encode()[:15], "big") or 1
