"""Ids and secrets: random, prefixed, and never derived from anything.

A secret that must only be recognised again is stored as its digest. That is enough because every secret made
here has at least 128 random bits; passwords, which people choose, are hashed in `core/crypto/passwords.py`.
"""

import hashlib
import secrets
import string

_ALPHABET = string.ascii_letters + string.digits


def _random_text(length: int) -> str:
    """From one random number, 64 bits longer than the text: no letter is likelier by more than 2^-64. Forty
    microseconds cheaper than a choice for each letter, and every log event has an id."""
    return _letters(secrets.randbits(6 * length + 64), length)


def text_of(source: bytes, length: int) -> str:
    """Letters and digits that are as random as `source`, of which there must be eight bytes more than they hold."""
    return _letters(int.from_bytes(source), length)


def _letters(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, place = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[place])
    return "".join(letters)


def new_id(prefix: str) -> str:
    """`rol_` and 16 characters: 95 random bits."""
    return f"{prefix}_{_random_text(16)}"


def new_invitation_id() -> str:
    """256 random bits and more (`specs/organization-api.md` section 0)."""
    return _random_text(44)


def new_client_id() -> str:
    return _random_text(32)


def new_user_id(strategy: str) -> str:
    """`auth0|` and 24 hexadecimal characters: the subject, unique within its issuer."""
    return f"{strategy}|{secrets.token_hex(12)}"


def new_secret(nbytes: int = 32) -> str:
    return secrets.token_urlsafe(nbytes)


def digest(secret: str) -> str:
    """How single-use values, tokens and cookies are stored and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
