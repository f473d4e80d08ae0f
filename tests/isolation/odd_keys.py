"""Public keys as nobody should publish them: each member of a good one in turn is something odd, or costly."""

import base64
from collections.abc import Iterator
from typing import Any

from core.crypto.keys import SigningKey

OF_ALL = ("kty", "kid", "use", "alg", "key_ops", "d")
MEMBERS = {"ES256": ("crv", "x", "y"), "EdDSA": ("crv", "x"), "RS256": ("n", "e", "p")}


def number(value: int, length: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(length, "big")).rstrip(b"=").decode()


VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 7, 10**40, 1.5, "", " ", "\0", "\ud800", "A", "AA", "====", "!", "\u00e9", "a" * 43, "_" * 43,
    "a" * 86, "a" * 342, "_" * 340 + "w", "a" * 5_000, "a" * 30_000, [], ["a"], [None], {}, {"a": {}}, [[[]]],
    "EC", "RSA", "OKP", "oct", "P-256", "P-521", "secp256k1", "Ed25519", "X25519", "Ed448", "sig", "enc", "none",
    "HS256", "RS256", "ES256", "EdDSA", "AQAB", "AQ", "Ag", "AA", number(1, 256), number(2**2047, 256),
    number(2**2048 - 1, 256), number(2**31, 4), number(2**256 - 1, 32), number(0, 32),
)  # fmt: skip


def odd_keys() -> Iterator[tuple[str, dict[str, Any]]]:
    for alg, own in MEMBERS.items():
        good = dict(SigningKey.generate(alg).public_jwk)
        for member in (*own, *OF_ALL):
            yield f"{alg} without {member}", {name: value for name, value in good.items() if name != member}
            for place, value in enumerate(VALUES):
                yield f"{alg} {member}: {place} {str(value)[:20]!r}", {**good, member: value}


KEY_SETS: tuple[Any, ...] = (
    {}, {"keys": None}, {"keys": {}}, {"keys": [None]}, {"keys": ["x"]}, {"keys": [[]]}, {"keys": [{}]},
    {"keys": [{"kty": "EC"}] * 200}, {"keys": "x"}, [], None, "x", 7,
)  # fmt: skip
