"""What lets a client into one libSQL database: a bearer token, or a private key that mints short ones for it.

A libSQL server takes JWTs whose `alg` is literally `EdDSA`, ignores `nbf` and allows a minute around `exp`; `id` names
the only namespace that the token is good for. The namespace holds the public half (`jwt_key`), nobody but this
installation the private one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, cast

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from joserfc.util import urlsafe_b64encode

LIFETIME = 300.0
"""Seconds. Half of it is used: a clock that is some minutes behind the server's does no harm."""

_PEM = "-----BEGIN"


@dataclass(frozen=True, slots=True)
class DatabaseKey:
    """The key pair of one database, made with it."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate, repr=False)

    @classmethod
    def from_pem(cls, pem: str) -> Self:
        return cls(cast(Ed25519PrivateKey, load_pem_private_key(pem.encode(), password=None)))

    def to_pem(self) -> str:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def public(self) -> str:
        """As a namespace's configuration takes it."""
        return _base64(self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def mint(self, namespace: str, now: float) -> str:
        header = _base64(msgspec.json.encode({"alg": "EdDSA", "typ": "JWT"}))
        claims = _base64(msgspec.json.encode({"id": namespace, "exp": int(now + LIFETIME)}))
        signed = f"{header}.{claims}"
        return f"{signed}.{_base64(self.private.sign(signed.encode()))}"


def bearer(secret: str, namespace: str) -> Callable[[], str]:
    """Asked before each request: the token itself, or one that is good for some minutes yet."""
    if not secret.startswith(_PEM):
        return lambda: secret
    return Minted(DatabaseKey.from_pem(secret), namespace)


class Minted:
    """Tokens of one key for one namespace, each used for half of its life. Any thread may ask."""

    def __init__(self, key: DatabaseKey, namespace: str) -> None:
        self._key = key
        self._namespace = namespace
        self._current = ("", 0.0)

    def __call__(self) -> str:
        token, until = self._current
        now = time.time()
        if now >= until or now < until - LIFETIME:
            token = self._key.mint(self._namespace, now)
            self._current = (token, now + LIFETIME / 2)
        return token


def _base64(value: bytes) -> str:
    return urlsafe_b64encode(value).decode("ascii")
