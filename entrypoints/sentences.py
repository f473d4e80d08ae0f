"""What a command says when it fails. Who reads it is at the machine and may know why, unlike a client of the API."""

from core.errors import IdentityError, Unavailable


def sentence(error: IdentityError) -> str:
    told = error.description or error.code
    return f"{told} ({reason(error)})" if isinstance(error, Unavailable) and error.__cause__ else told


def reason(error: BaseException) -> str:
    """What it began with, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
