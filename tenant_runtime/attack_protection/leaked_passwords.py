"""Whether a password is known from a leak, found out on this machine: nothing of it is sent anywhere.

The file is the public one of leaked passwords in the order of their hashes: a SHA-1 in hexadecimal on each line, with
or without `:` and a count behind it. It is searched where it lies, in some forty looks however long it is, by whichever
process maps it: they share its pages. Beside it the short list of the pages counts, which needs no file.
"""

import asyncio
import hashlib
import mmap
import re
from pathlib import Path

from core.settings import SettingsError
from tenant_runtime.login.password_rules import is_listed

_HEX = 40
_LINE = re.compile(rb"[0-9A-Fa-f]{40}(?::[0-9]+)?\s*")
_LONGEST_LINE = 64


class LeakedPasswords:
    """One per process."""

    def __init__(self, path: Path | None = None) -> None:
        self._lines = _mapped(path) if path is not None else None

    def close(self) -> None:
        if self._lines is not None:
            self._lines.close()

    async def knows(self, password: str) -> bool:
        """In a thread: a page of the file may have to come from the disk."""
        if is_listed(password):
            return True
        if self._lines is None:
            return False
        wanted = hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
        return await asyncio.to_thread(_has, self._lines, wanted.upper().encode())


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is empty"
        raise SettingsError(f"KEYSTEAD_BREACHED_PASSWORDS_FILE cannot be read: {reason}.") from error
    if _LINE.match(lines[:_LONGEST_LINE]) is None:
        raise SettingsError("KEYSTEAD_BREACHED_PASSWORDS_FILE does not begin with a SHA-1 in hexadecimal.")
    return lines


def _has(lines: mmap.mmap, wanted: bytes) -> bool:
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        before = lines.rfind(b"\n", low, middle)
        start = low if before < 0 else before + 1
        found = lines[start : start + _HEX].upper()
        if found == wanted:
            return True
        if found < wanted:
            after = lines.find(b"\n", start, high)
            low = high if after < 0 else after + 1
        else:
            high = start
    return False
