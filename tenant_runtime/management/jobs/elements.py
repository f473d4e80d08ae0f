"""The elements of a JSON array, one after the other, from pieces of its text: a file is never held whole."""

import codecs
import json
import re
from collections.abc import Callable

import msgspec

from core.errors import InvalidInput

LONGEST_ELEMENT = 64 * 1024

_BLANK = re.compile(r"[ \t\n\r]*")
_scan = json.JSONDecoder().raw_decode


class MalformedFile(InvalidInput):
    description = "Failed to parse users file JSON when importing users. Make sure it is valid JSON."


class Elements:
    """`feed` answers those that are complete; `close` raises unless the array was."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._next: Callable[[list[str]], bool] = self._opening

    def feed(self, piece: bytes, *, is_last: bool = False) -> list[str]:
        try:
            self._text = self._text[self._at :] + self._decoder.decode(piece, is_last)
        except UnicodeDecodeError:
            raise MalformedFile() from None
        self._at = 0
        found: list[str] = []
        while self._skip_blanks() and self._next(found):
            pass
        return found

    def close(self) -> list[str]:
        found = self.feed(b"", is_last=True)
        if self._next != self._nothing:
            raise MalformedFile()
        return found

    def _skip_blanks(self) -> bool:
        blank = _BLANK.match(self._text, self._at)
        self._at = blank.end() if blank else self._at
        return self._at < len(self._text)

    # --- What may stand here; False: more text is needed ---

    def _opening(self, _: list[str]) -> bool:
        if self._text[self._at] != "[":
            raise MalformedFile("The users file must be a JSON array of users.")
        self._at, self._next = self._at + 1, self._first
        return True

    def _first(self, found: list[str]) -> bool:
        return self._closing() if self._text[self._at] == "]" else self._element(found)

    def _element(self, found: list[str]) -> bool:
        """Whole only with what follows it: a number could go on."""
        try:
            _, end = _scan(self._text, self._at)
        except RecursionError:
            raise MalformedFile("The users file is nested too deeply.") from None
        except ValueError:
            return self._wait()
        after = _BLANK.match(self._text, end)
        if after is None or after.end() == len(self._text):
            return self._wait()
        if end - self._at > LONGEST_ELEMENT:
            raise _too_long()
        element = self._text[self._at : end]
        _check_again(element)
        found.append(element)
        self._at, self._next = end, self._separator
        return True

    def _wait(self) -> bool:
        if len(self._text) - self._at > 2 * LONGEST_ELEMENT:
            raise _too_long()
        return False

    def _separator(self, _: list[str]) -> bool:
        match self._text[self._at]:
            case ",":
                self._at, self._next = self._at + 1, self._element
                return True
            case "]":
                return self._closing()
        raise MalformedFile()

    def _closing(self) -> bool:
        self._at, self._next = self._at + 1, self._nothing
        return True

    def _nothing(self, _: list[str]) -> bool:
        raise MalformedFile()


def _check_again(element: str) -> None:
    """As it will be read: `NaN` and half a surrogate pair are JSON to one reader only, and would stop the job."""
    try:
        msgspec.json.decode(f"[{element}]", type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        raise MalformedFile() from None


def _too_long() -> MalformedFile:
    return MalformedFile(f"A user in the file is malformed, or longer than {LONGEST_ELEMENT} characters.")
