"""Passwords that other systems hashed: which match, which do not, and how much work nobody may ask for."""

import base64
import hashlib
from collections.abc import Iterator

import argon2
import bcrypt
import pytest

from core.crypto import foreign_hashes
from core.crypto.foreign_hashes import HashRefused
from core.crypto.passwords import PasswordHasher

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery staple"
SALT = b"sixteen bytes!!!"


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode().rstrip("=")


def pbkdf2(algorithm: str, rounds: int, password: str = PASSWORD) -> str:
    made = hashlib.pbkdf2_hmac(algorithm, password.encode(), SALT, rounds, 32)
    return f"$pbkdf2-{algorithm}$i={rounds},l=32${b64(SALT)}${b64(made)}"


def scrypt(password: str = PASSWORD) -> str:
    made = hashlib.scrypt(password.encode(), salt=SALT, n=1024, r=8, p=1, dklen=64)
    return foreign_hashes.scrypt_text(SALT, made, cost=1024, block_size=8, lanes=1)


HASHES = {
    "bcrypt 2a": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4, prefix=b"2a")).decode(),
    "bcrypt 2b": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(),
    "bcrypt 2y": "$2y$" + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()[4:],
    "pbkdf2 sha1": pbkdf2("sha1", 1000),
    "pbkdf2 sha256": pbkdf2("sha256", 1000),
    "pbkdf2 sha512": pbkdf2("sha512", 1000),
    "scrypt": scrypt(),
    "argon2id": argon2.PasswordHasher(1, 64, 1, type=argon2.Type.ID).hash(PASSWORD),
    "argon2i": argon2.PasswordHasher(3, 128, 2, type=argon2.Type.I).hash(PASSWORD),
}


@pytest.fixture(scope="module")
def hasher() -> Iterator[PasswordHasher]:
    made = PasswordHasher(memory_kib=256, iterations=1)
    yield made
    made.close()


@pytest.mark.parametrize("hashed", HASHES.values(), ids=HASHES)
async def test_a_password_matches_the_hash_that_its_source_made_and_is_hashed_anew(
    hasher: PasswordHasher, hashed: str
) -> None:
    assert await hasher.verify(hashed, PASSWORD)
    assert not await hasher.verify(hashed, PASSWORD + "!")
    assert not await hasher.verify(hashed, "")
    assert hasher.needs_rehash(hashed)
    assert not hasher.needs_rehash(await hasher.hash(PASSWORD))


async def test_a_published_vector_of_each_scheme_matches(hasher: PasswordHasher) -> None:
    openwall = (
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"  # Openwall crypt_blowfish, wrapper.c
    )
    assert await hasher.verify(openwall, "U*U")
    rfc7914 = foreign_hashes.scrypt_text(
        b"NaCl",
        bytes.fromhex(
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
            "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
        ),
        cost=1024,
        block_size=8,
        lanes=16,
    )
    assert await hasher.verify(rfc7914, "password")
    made = bytes.fromhex("4b007901b765489abead49d926f721d065a429c1")
    rfc6070 = f"$pbkdf2-sha1$i=4096,l=20${b64(b'salt')}${b64(made)}"
    assert await hasher.verify(rfc6070, "password")


async def test_no_password_matches_a_bcrypt_hash_by_its_beginning(hasher: PasswordHasher) -> None:
    """bcrypt looks at 72 bytes, and some implementations at those before a zero."""
    whole, early = "a" * 72, "secret"
    hashed = bcrypt.hashpw(whole.encode(), bcrypt.gensalt(4)).decode()
    assert await hasher.verify(hashed, whole)
    assert not await hasher.verify(hashed, whole + "b")
    assert not await hasher.verify(hashed, "ä" * 36 + "b")
    assert not await hasher.verify(
        bcrypt.hashpw(early.encode(), bcrypt.gensalt(4)).decode(), f"{early}\0anything"
    )


async def test_an_imported_hash_is_of_the_spelling_that_was_typed(hasher: PasswordHasher) -> None:
    """Our own are of one spelling of every accent; what another system did is not known."""
    decomposed = "cafe\u0301 cafe\u0301"
    for hashed in (
        bcrypt.hashpw(decomposed.encode(), bcrypt.gensalt(4)).decode(),
        argon2.PasswordHasher(1, 64, 1).hash(decomposed),
    ):
        assert await hasher.verify(hashed, decomposed)
    own = await hasher.hash(decomposed)
    assert await hasher.verify(own, "café café")


BEYOND = {
    "bcrypt cost 16": ("bcrypt", "$2b$16$" + "a" * 53),
    "bcrypt cost 3": ("bcrypt", "$2b$03$" + "a" * 53),
    "bcrypt of an unknown kind": ("bcrypt", "$2x$10$" + "a" * 53),
    "pbkdf2 rounds": ("pbkdf2", f"$pbkdf2-sha256$i=2000001,l=32${b64(SALT)}${b64(bytes(32))}"),
    "pbkdf2 rounds for each block": ("pbkdf2", f"$pbkdf2-sha1$i=500000${b64(SALT)}${b64(bytes(128))}"),
    "pbkdf2 no rounds": ("pbkdf2", f"$pbkdf2-sha256$i=0,l=32${b64(SALT)}${b64(bytes(32))}"),
    "pbkdf2 with md5": ("pbkdf2", f"$pbkdf2-md5$i=1000,l=32${b64(SALT)}${b64(bytes(32))}"),
    "pbkdf2 of another length": ("pbkdf2", f"$pbkdf2-sha256$i=1000,l=64${b64(SALT)}${b64(bytes(32))}"),
    "pbkdf2 of four bytes": ("pbkdf2", f"$pbkdf2-sha256$i=1000${b64(SALT)}${b64(bytes(4))}"),
    "scrypt memory": ("scrypt", f"$scrypt$ln=17,r=8,p=1${b64(SALT)}${b64(bytes(64))}"),
    "scrypt cost": ("scrypt", f"$scrypt$ln=99,r=8,p=1${b64(SALT)}${b64(bytes(64))}"),
    "scrypt block size": ("scrypt", f"$scrypt$ln=16,r=1,p=1${b64(SALT)}${b64(bytes(64))}"),
    "scrypt lanes": ("scrypt", f"$scrypt$ln=16,r=8,p=16${b64(SALT)}${b64(bytes(64))}"),
    "argon2 memory": ("argon2", f"$argon2id$v=19$m=131073,t=1,p=1${b64(SALT)}${b64(bytes(32))}"),
    "argon2 passes": ("argon2", f"$argon2id$v=19$m=131072,t=9,p=1${b64(SALT)}${b64(bytes(32))}"),
    "argon2 version": ("argon2", f"$argon2id$v=16$m=1024,t=1,p=1${b64(SALT)}${b64(bytes(32))}"),
    "no base64": ("pbkdf2", f"$pbkdf2-sha256$i=1000$A${b64(bytes(32))}"),
}


@pytest.mark.parametrize(("scheme", "hashed"), BEYOND.values(), ids=BEYOND)
async def test_what_would_cost_too_much_or_is_no_hash_is_refused_and_never_computed(
    hasher: PasswordHasher, scheme: str, hashed: str
) -> None:
    with pytest.raises(HashRefused) as refused:
        foreign_hashes.check(scheme, hashed)
    assert b64(SALT) not in str(refused.value)
    assert not foreign_hashes.matches(hashed, PASSWORD.encode())
    if scheme != "argon2":
        assert not await hasher.verify(hashed, PASSWORD)


def test_a_cost_of_scrypt_is_a_power_of_two() -> None:
    for cost in (0, 1, 1000, -2):
        with pytest.raises(HashRefused):
            foreign_hashes.scrypt_text(SALT, bytes(64), cost=cost, block_size=8, lanes=1)


async def test_whatever_scrypt_may_be_taken_in_is_computed(hasher: PasswordHasher) -> None:
    """Many lanes of large blocks need room of their own."""
    made = hashlib.scrypt(PASSWORD.encode(), salt=SALT, n=2, r=1024, p=16, maxmem=32 * 1024 * 1024, dklen=64)
    hashed = foreign_hashes.scrypt_text(SALT, made, cost=2, block_size=1024, lanes=16)
    assert await hasher.verify(hashed, PASSWORD)
    assert not await hasher.verify(hashed, PASSWORD + "!")
