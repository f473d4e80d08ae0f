"""Names that people gave themselves, in letters that go to strangers in the tenant's name."""

import re

LONGEST = 80
_LINK = re.compile(r"\S*(?:://|\bwww\.|\w\.\w{2,}/)\S*", re.IGNORECASE)
"""What a mail program would make a link of, a bare domain apart: companies are called like that."""


def in_letter(*names: str | None) -> str:
    """The first of which something is left."""
    for name in names:
        plain = " ".join(_LINK.sub(" ", name or "").split())
        if plain:
            return plain[:LONGEST]
    return ""
