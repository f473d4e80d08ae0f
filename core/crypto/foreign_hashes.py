"""Hashes of passwords that another system made: bcrypt, scrypt, PBKDF2, Argon2. Kept as they came, verified at the
first sign-in, and then replaced by our own.

One text says scheme, cost, salt and hash (the PHC string format; bcrypt has its own). What one verification may cost
is bounded, when a hash is taken in and again when it is verified: whoever brings hashes must not choose how long the
threads for passwords are busy.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import argon2
import bcrypt
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import verify_secret

BCRYPT_BYTES = 72
"""bcrypt reads no more than that. A longer password is no match, instead of one by its beginning."""

MAX_BCRYPT_COST = 15
MAX_SCRYPT_MEMORY = 64 * 1024 * 1024
MAX_SCRYPT_WORK = 4 * MAX_SCRYPT_MEMORY
MAX_PBKDF2_ROUNDS = 2_000_000
MAX_ARGON2_MEMORY_KIB = 128 * 1024
MAX_ARGON2_WORK_KIB = 1024 * 1024
MAX_LANES = 16
_LONGEST = 1024
_SHORTEST_HASH, _LONGEST_HASH = 12, 128

_B64 = r"([A-Za-z0-9+/.]{1,400}={0,2})"
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}", re.ASCII)
_PBKDF2 = re.compile(
    rf"\$pbkdf2-(sha1|sha256|sha512)\$i=([0-9]{{1,9}})(?:,l=([0-9]{{1,4}}))?\${_B64}\${_B64}", re.ASCII
)
_SCRYPT = re.compile(
    rf"\$scrypt\$ln=([0-9]{{1,2}}),r=([0-9]{{1,4}}),p=([0-9]{{1,4}})\${_B64}\${_B64}", re.ASCII
)
_ARGON2 = re.compile(
    rf"\$argon2(id|i|d)\$v=19\$m=([0-9]{{1,8}}),t=([0-9]{{1,8}}),p=([0-9]{{1,3}})\${_B64}\${_B64}", re.ASCII
)
_TYPES = {"id": argon2.Type.ID, "i": argon2.Type.I, "d": argon2.Type.D}

Verify: TypeAlias = Callable[[bytes], bool]


class HashRefused(ValueError):
    """Not a hash that can be verified here. The sentence may be shown; it holds nothing of the hash."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """`read` turns a hash into what verifies a password against it, or raises `HashRefused`."""

    prefixes: tuple[str, ...]
    read: Callable[[str], Verify]


def check(scheme: str, hashed: str) -> None:
    """Raises `HashRefused` unless this is a hash of the scheme whose verification costs no more than it may."""
    SCHEMES[scheme].read(hashed)


def scrypt_text(salt: bytes, digest: bytes, *, cost: int, block_size: int, lanes: int) -> str:
    """From the parameters as Node's `crypto.scrypt` names them; raises `HashRefused`."""
    if cost < 2 or cost & (cost - 1):
        raise HashRefused("The cost of scrypt must be a power of two.")
    hashed = f"$scrypt$ln={cost.bit_length() - 1},r={block_size},p={lanes}${_text(salt)}${_text(digest)}"
    check("scrypt", hashed)
    return hashed


def is_foreign(hashed: str) -> bool:
    """Whether it is of a scheme that is never made here."""
    return _scheme_of(hashed) not in (None, "argon2")


def matches(hashed: str, password: bytes) -> bool:
    """The password as it was typed: what the source made of its spelling is not known."""
    scheme = _scheme_of(hashed)
    if scheme is None:
        return False
    try:
        return SCHEMES[scheme].read(hashed)(password)
    except HashRefused:
        return False


def _scheme_of(hashed: str) -> str | None:
    return next((name for name, scheme in SCHEMES.items() if hashed.startswith(scheme.prefixes)), None)


# --- One reader for each scheme ------------------------------------------------------------------------------------


def _bcrypt(hashed: str) -> Verify:
    found = _BCRYPT.fullmatch(hashed)
    if found is None:
        raise HashRefused("This is not a bcrypt hash ($2a$, $2b$ or $2y$).")
    if not 4 <= int(found[1]) <= MAX_BCRYPT_COST:
        raise HashRefused(f"The cost of bcrypt must be from 4 to {MAX_BCRYPT_COST}.")
    known = f"$2b${hashed[4:]}".encode()  # the letters differ in bugs that nobody has any more

    def verify(password: bytes) -> bool:
        if len(password) > BCRYPT_BYTES or b"\0" in password:
            return False
        try:
            return bcrypt.checkpw(password, known)
        except ValueError:  # a salt with bits that mean nothing
            return False

    return verify


def _pbkdf2(hashed: str) -> Verify:
    found = _PBKDF2.fullmatch(hashed)
    if found is None or len(hashed) > _LONGEST:
        raise HashRefused("This is not a PBKDF2 hash ($pbkdf2-sha256$i=...,l=...$salt$hash).")
    algorithm, rounds, salt, known = found[1], int(found[2]), _bytes(found[4]), _digest(found[5])
    blocks = -(-len(known) // hashlib.new(algorithm).digest_size)  # each is made anew (RFC 8018 section 5.2)
    if rounds < 1 or rounds * blocks > MAX_PBKDF2_ROUNDS:
        raise HashRefused(
            f"PBKDF2 must have from 1 to {MAX_PBKDF2_ROUNDS} rounds, for all blocks of the hash."
        )
    if found[3] is not None and int(found[3]) != len(known):
        raise HashRefused("The hash is not as long as its parameters say.")

    def verify(password: bytes) -> bool:
        made = hashlib.pbkdf2_hmac(algorithm, password, salt, rounds, len(known))
        return hmac.compare_digest(made, known)

    return verify


def _scrypt(hashed: str) -> Verify:
    found = _SCRYPT.fullmatch(hashed)
    if found is None or len(hashed) > _LONGEST:
        raise HashRefused("This is not a scrypt hash ($scrypt$ln=...,r=...,p=...$salt$hash).")
    cost, block_size, lanes = 1 << int(found[1]), int(found[2]), int(found[3])
    salt, known = _bytes(found[4]), _digest(found[5])
    memory = 128 * cost * block_size
    if cost < 2 or not block_size or not 1 <= lanes <= MAX_LANES:
        raise HashRefused(f"scrypt needs a cost above 1, a block size, and 1 to {MAX_LANES} lanes.")
    if int(found[1]) >= 16 * block_size:
        raise HashRefused("The cost of scrypt is too high for its block size.")
    if memory > MAX_SCRYPT_MEMORY or memory * lanes > MAX_SCRYPT_WORK:
        raise HashRefused(f"scrypt may use {MAX_SCRYPT_MEMORY} bytes, four times over at most.")

    def verify(password: bytes) -> bool:
        room = 2 * memory + 128 * block_size * (lanes + 2) + 1024 * 1024
        made = hashlib.scrypt(
            password, salt=salt, n=cost, r=block_size, p=lanes, maxmem=room, dklen=len(known)
        )
        return hmac.compare_digest(made, known)

    return verify


def _argon2(hashed: str) -> Verify:
    found = _ARGON2.fullmatch(hashed)
    if found is None or len(hashed) > _LONGEST:
        raise HashRefused(
            "This is not an Argon2 hash of version 19 ($argon2id$v=19$m=...,t=...,p=...$salt$hash)."
        )
    memory, passes, lanes = int(found[2]), int(found[3]), int(found[4])
    _bytes(found[5]), _digest(found[6])
    if not 1 <= lanes <= MAX_LANES or memory < 8 * lanes or passes < 1:
        raise HashRefused(f"Argon2 needs a pass, 1 to {MAX_LANES} lanes, and 8 KiB of memory for each.")
    if memory > MAX_ARGON2_MEMORY_KIB or memory * passes > MAX_ARGON2_WORK_KIB:
        raise HashRefused(
            f"Argon2 may use {MAX_ARGON2_MEMORY_KIB} KiB, and {MAX_ARGON2_WORK_KIB} in all passes."
        )

    def verify(password: bytes) -> bool:
        try:
            return verify_secret(hashed.encode(), password, _TYPES[found[1]])
        except (Argon2Error, InvalidHashError):
            return False

    return verify


SCHEMES: Mapping[str, Scheme] = {
    "bcrypt": Scheme(("$2a$", "$2b$", "$2y$"), _bcrypt),
    "pbkdf2": Scheme(("$pbkdf2-",), _pbkdf2),
    "scrypt": Scheme(("$scrypt$",), _scrypt),
    "argon2": Scheme(("$argon2",), _argon2),
}


def _bytes(text: str) -> bytes:
    """Base64 with or without its padding; some write a dot for a plus."""
    plain = text.replace(".", "+").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise HashRefused("Salt and hash must be base64.") from None


def _digest(text: str) -> bytes:
    found = _bytes(text)
    if not _SHORTEST_HASH <= len(found) <= _LONGEST_HASH:
        raise HashRefused(f"A hash must have from {_SHORTEST_HASH} to {_LONGEST_HASH} bytes.")
    return found


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode().rstrip("=")
