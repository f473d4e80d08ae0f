"""A name that may become part of a path: checked once, by its type."""

import re
import secrets
from typing import Self

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")


class Slug(str):
    """A tenant id (tenant one's may hold underscores). No dot, no slash, no length that a file system refuses."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if not _SLUG.fullmatch(text):
            raise ValueError("not a name that a file may have")
        return super().__new__(cls, text)


def fresh_name(tenant_id: str, generation: int) -> Slug:
    """Of a database on a server, where names of the deleted may come back: the id for people, and what nobody had.

    Good as a label of a host's name too: at most 63 letters, digits and hyphens.
    """
    readable = Slug(tenant_id).replace("_", "-")[:40].strip("-")
    return Slug(f"{readable}-{generation}-{secrets.token_hex(5)}")
