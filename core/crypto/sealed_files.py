"""A file of any length, sealed: in pieces of a megabyte, so that neither side ever holds all of it.

    salt (32 bytes) | length (4 bytes), piece | length, piece | ...

Each file has a key of its own, derived with its salt, so the pieces are simply counted: the nonce is the number of
the piece and whether it is the last one. A piece that is changed, left out, put elsewhere, or missing at the end
does not open. The `context` (what the file says of itself) is authenticated with every piece.
"""

import secrets
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.crypto.sealing import SealBroken

PIECE = 1 << 20
_SALT = 32
_TAG = 16


def seal_pieces(key: bytes, context: bytes, content: Iterable[bytes]) -> Iterator[bytes]:
    """What to write, one after the other."""
    salt = secrets.token_bytes(_SALT)
    aead = _of_file(key, salt)
    yield salt
    number, waiting = 0, bytearray()
    for part in content:
        waiting += part
        while len(waiting) > PIECE:  # the last piece is known only at the end
            yield from _sealed(aead, context, number, bytes(waiting[:PIECE]), is_last=False)
            del waiting[:PIECE]
            number += 1
    yield from _sealed(aead, context, number, bytes(waiting), is_last=True)


def open_pieces(key: bytes, context: bytes, source: BinaryIO) -> Iterator[bytes]:
    """The content, piece by piece. `SealBroken` as soon as something is not as it was sealed, at the end at the
    latest: nothing may be believed before the last piece came."""
    aead = _of_file(key, _exactly(source, _SALT))
    number, following = 0, _exactly(source, 4)
    while True:
        length = int.from_bytes(following, "big")
        if not _TAG <= length <= PIECE + _TAG:
            raise SealBroken
        piece, following = _exactly(source, length), source.read(4)
        is_last = not following
        try:
            yield aead.decrypt(_nonce(number, is_last=is_last), piece, context)
        except InvalidTag as error:
            raise SealBroken from error
        if is_last:
            return
        if len(following) != 4:
            raise SealBroken
        number += 1


def _sealed(aead: AESGCM, context: bytes, number: int, piece: bytes, *, is_last: bool) -> tuple[bytes, bytes]:
    sealed = aead.encrypt(_nonce(number, is_last=is_last), piece, context)
    return len(sealed).to_bytes(4, "big"), sealed


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")


def _of_file(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"keystead sealed file").derive(key))


def _exactly(source: BinaryIO, length: int) -> bytes:
    found = source.read(length)
    if len(found) != length:
        raise SealBroken
    return found
