"""Addresses as identifiers: what counts as one, and when two are the same.

Only plain letter case is folded. Dots, plus tags and look-alike letters stay what they are: an address that merely
resembles another's must never become it (`str.lower` would make the Kelvin sign a k).
"""

import re

MAX_LENGTH = 254  # RFC 5321 section 4.5.3.1, with the brackets of a path taken off
MAX_LOCAL_PART = 64

_SPECIAL = r"\s@\"(),:;<>\[\]\\\x00-\x1f\x7f"
_LABEL = rf"[^{_SPECIAL}/.]+"
_EMAIL = re.compile(rf"[^{_SPECIAL}]+@{_LABEL}(?:\.{_LABEL})*")


def normal_email(text: str) -> str:
    return text.strip().encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def is_email(text: str) -> bool:
    if len(text) > MAX_LENGTH or not _is_encodable(text):
        return False
    return _EMAIL.fullmatch(text) is not None and text.index("@") <= MAX_LOCAL_PART


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
