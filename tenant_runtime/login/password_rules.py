"""Which passwords a person may choose (NIST SP 800-63B-4 section 3.1.1.2).

Length and a block list, no composition rules. Eight characters is the least (ASVS 6.2.1), fifteen are advised. The
list holds bases: what is left of a password when the digits and signs around it are taken off, so that `Password123!`
is as blocked as `password`.
"""

import unicodedata
from functools import cache
from pathlib import Path

from core.crypto.passwords import MAX_PASSWORD_BYTES
from tenant_runtime.login.texts import ProblemKey

MINIMUM = 8
_LEAST_LEFT = 4
"""Fewer different characters than this are easy to guess however long the password is."""

_LIST = Path(__file__).parent / "common_passwords.txt"


def is_too_long(password: str) -> bool:
    return len(password.encode("utf-8", "surrogatepass")) >= MAX_PASSWORD_BYTES


def problem_of(password: str, *names: str, least: int = MINIMUM) -> ProblemKey | None:
    """`names`: what belongs to the account or the tenant, and is guessed first. `least`: a connection may ask for a
    longer one, never for a shorter."""
    normal = unicodedata.normalize("NFC", password)
    if not normal:
        return "password_missing"
    if is_too_long(normal):
        return "password_long"
    if len(normal) < max(least, MINIMUM):
        return "password_short"
    return "password_common" if _is_common(normal.casefold(), names) else None


def is_listed(password: str) -> bool:
    """Whether it is one of the list, with whatever is around it."""
    return _is_common(unicodedata.normalize("NFC", password).casefold(), ())


def _is_common(password: str, names: tuple[str, ...]) -> bool:
    base = "".join(character for character in password if character.isalpha())
    inner = password.strip("0123456789!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~ ")
    own = {part for name in names for part in (name.casefold(), name.casefold().partition("@")[0]) if part}
    guesses = {password, inner} | ({base} if len(base) >= _LEAST_LEFT else set())
    return len(set(password)) < _LEAST_LEFT or not guesses.isdisjoint(_common() | own)


@cache
def _common() -> frozenset[str]:
    lines = _LIST.read_text("utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
