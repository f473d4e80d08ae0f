"""Names of roles: trimmed, in small letters and in their usual form (NFKC) before they are compared and before they are
stored. A name that only looks wider than `owner` would be `owner` to an application that folds what a token says."""

import unicodedata
from collections.abc import Container

from tenant_runtime.organizations.wire.errors import refusal

LONGEST = 64


def normalized(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().lower()


def new_name(name: str, built_in: Container[str]) -> str:
    """As it is stored. A comma parts the names of several roles, so none is in one."""
    wanted = normalized(name)
    if not wanted or len(wanted) > LONGEST or "," in wanted or not wanted.isprintable():
        raise refusal(
            400, "VALIDATION_ERROR", f"[body] A role's name has 1 to {LONGEST} characters, and no comma"
        )
    if wanted in built_in:
        raise taken()
    return wanted


def taken() -> Exception:
    return refusal(400, "ROLE_NAME_IS_ALREADY_TAKEN", "That role name is already taken")
