"""A name that may become part of a path: checked once, by its type."""

import re
from typing import Self

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")


class Slug(str):
    """A tenant id (tenant one's may hold underscores). No dot, no slash, no length that a file system refuses."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if not _SLUG.fullmatch(text):
            raise ValueError("not a name that a file may have")
        return super().__new__(cls, text)
