"""What the first bytes of a SQLite file say (file format, section 1.3): who takes a file raw is particular about it."""

from collections.abc import Iterator
from pathlib import Path

from core.errors import InvalidInput

FORMAT_VERSIONS = 18
WAL = bytes((2, 2))
"""What stands at that offset of a database in WAL mode: so the first to open it need not change it."""

_SIZE = 100
_CHUNK = 1 << 20


def refuse_unfit(path: Path) -> None:
    """Turso takes files with pages of 4096 bytes, in UTF-8, without auto-vacuum."""
    with path.open("rb") as file:
        header = file.read(_SIZE)
    pages = int.from_bytes(header[16:18], "big")
    vacuums = int.from_bytes(header[52:56], "big")
    encoding = int.from_bytes(header[56:60], "big")
    if not header.startswith(b"SQLite format 3\0") or (pages, vacuums, encoding) != (4096, 0, 1):
        raise InvalidInput("Only a SQLite file with pages of 4096 bytes, in UTF-8, can be put there.")


def content_for_upload(path: Path) -> Iterator[bytes]:
    """As if it had been in WAL mode, which is the only one that Turso takes."""
    with path.open("rb") as file:
        first = bytearray(file.read(_CHUNK))
        first[FORMAT_VERSIONS : FORMAT_VERSIONS + len(WAL)] = WAL
        yield bytes(first)
        while chunk := file.read(_CHUNK):
            yield chunk
