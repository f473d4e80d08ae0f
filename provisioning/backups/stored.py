"""A backup as a file: `KEYSTEAD-BACKUP-1`, a line of JSON that says what it is, and the sealed content.

The heading is in the clear, so that a person with a folder of files knows what they have, and authenticated, so that
no file passes for another. It names no person.
"""

import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import msgspec

from core.crypto.sealed_files import PIECE, open_pieces, seal_pieces
from core.crypto.sealing import SealBroken
from core.errors import Conflict
from core.failpoints import failpoint

MAGIC = b"KEYSTEAD-BACKUP-1\n"
LONGEST_HEADING = 4096


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """`digest` and `size` are the plain database's."""

    id: str
    owner: str
    taken_at: int
    backend: str
    incarnation: str
    generation: int
    schema_version: str
    size: int
    digest: str


class InvalidBackup(Conflict):
    """Not a backup, not this tenant's, or damaged: nothing of it is used."""

    code = "invalid_backup"
    description = "The backup cannot be read: it is damaged, or it is another's."


def write_backup(path: Path, key: bytes, heading: Heading, content: Path) -> str:
    """Whole under its name or not at all; answers the file's digest. Over an earlier try of the same backup."""
    _make_private(path.parent)
    draft = path.with_name(f".{path.name}.draft")
    line = msgspec.json.encode(heading) + b"\n"
    written = sha256()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for part in _parts(key, line, content):
            written.update(part)
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    failpoint("backup.draft.after")
    draft.replace(path)
    _sync_folder(path.parent)
    return written.hexdigest()


def read_heading(path: Path) -> Heading:
    with _opened(path) as file:
        return _heading(file)[0]


def read_backup(path: Path, key: bytes, target: Path) -> Heading:
    """The database as it was, in a new file; `InvalidBackup` when a single bit of it is another."""
    found, size = sha256(), 0
    with _opened(path) as source, target.open("xb") as copy:
        heading, line = _heading(source)
        try:
            for part in _decompressed(open_pieces(key, line, source)):
                found.update(part)
                size += len(part)
                if size > heading.size:
                    raise InvalidBackup
                copy.write(part)
        except (SealBroken, zlib.error) as error:
            raise InvalidBackup from error
    if (size, found.hexdigest()) != (heading.size, heading.digest):
        raise InvalidBackup
    return heading


def delete_backup(path: Path) -> None:
    """Safe to repeat."""
    for file in (path, path.with_name(f".{path.name}.draft")):
        file.unlink(missing_ok=True)
    with suppress(OSError):  # others lie there
        path.parent.rmdir()


def digest_of(path: Path) -> str:
    found = sha256()
    with path.open("rb") as file:
        while part := file.read(PIECE):
            found.update(part)
    return found.hexdigest()


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InvalidBackup("The backup's file is not there, or cannot be read.") from error


def _parts(key: bytes, line: bytes, content: Path) -> Iterator[bytes]:
    yield MAGIC
    yield line
    with content.open("rb") as file:
        yield from seal_pieces(key, line, _compressed(file))


def _heading(file: BinaryIO) -> tuple[Heading, bytes]:
    if file.read(len(MAGIC)) != MAGIC:
        raise InvalidBackup
    line = file.readline(LONGEST_HEADING)
    try:
        return msgspec.json.decode(line, type=Heading), line
    except msgspec.DecodeError as error:
        raise InvalidBackup from error


def _compressed(file: BinaryIO) -> Iterator[bytes]:
    compressing = zlib.compressobj(3)
    while part := file.read(PIECE):
        yield compressing.compress(part)
    yield compressing.flush()


def _decompressed(parts: Iterable[bytes]) -> Iterator[bytes]:
    decompressing = zlib.decompressobj()
    for part in parts:
        while part:
            yield decompressing.decompress(part, 4 * PIECE)
            part = decompressing.unconsumed_tail
    yield decompressing.flush()
    if not decompressing.eof:
        raise SealBroken


def _make_private(folder: Path) -> None:
    """Whoever may list it would know every tenant. `mkdir` gives its mode to the last folder only."""
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
