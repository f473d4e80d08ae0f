"""User codes (RFC 8628 section 6.1): what a person carries from a device's screen to a browser.

Eight letters without vowels, so that no word comes out: 34 bits. That is little, so a code lives for minutes, guesses
are slowed down (`login.devices.guesses`), and what is stored is made with a key of the tenant's: a plain digest of so
few letters would be undone in seconds.
"""

import hmac
import secrets

from core.crypto.sealing import DataKey

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8
_IGNORED = str.maketrans("", "", "-\u2010\u2011\u2012\u2013\u2014_. \t\u00a0")


def new_user_code() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(LENGTH))


def read_user_code(typed: str) -> str | None:
    """What was typed, without case, blanks and dashes; None for what no user code can be."""
    letters = typed.translate(_IGNORED)
    if not letters.isascii():  # some letters of other alphabets have an upper case in this one
        return None
    letters = letters.upper()
    is_one = len(letters) == LENGTH and all(letter in LETTERS for letter in letters)
    return letters if is_one else None


def shown(user_code: str) -> str:
    return f"{user_code[: LENGTH // 2]}-{user_code[LENGTH // 2 :]}"


def digest_of(data_key: DataKey, user_code: str) -> str:
    return hmac.digest(data_key.derive("user codes"), user_code.encode("ascii"), "sha256").hex()
