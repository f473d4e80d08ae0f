"""What a libSQL server takes for a token: a JWT whose `alg` is literally `EdDSA` (RFC 8037)."""

import time
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.util import urlsafe_b64encode


@dataclass(frozen=True, slots=True)
class TokenKey:
    """An Ed25519 key pair of a server or of one namespace."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> str:
        """Raw, base64url: as a namespace's `jwt_key` takes it."""
        return _base64(self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @property
    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def mint(self, namespace: str = "", *, read_only: bool = False, seconds: float = 3600) -> str:
        """No namespace: everything that the key is for."""
        claims: dict[str, object] = {"exp": int(time.time() + seconds)}
        if namespace:
            claims["id"] = namespace
        if read_only:
            claims["a"] = "ro"
        signed = f"{_part({'alg': 'EdDSA', 'typ': 'JWT'})}.{_part(claims)}"
        return f"{signed}.{_base64(self.private.sign(signed.encode()))}"


def _part(value: dict[str, object]) -> str:
    return _base64(msgspec.json.encode(value))


def _base64(value: bytes) -> str:
    return urlsafe_b64encode(value).decode()
