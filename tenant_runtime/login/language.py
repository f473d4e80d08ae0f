"""In which language somebody is spoken to, on a page and in a letter."""

import re
from collections.abc import Collection, Sequence

DEFAULT_LANGUAGE = "en"
LONGEST = 500
_WISH = re.compile(r"([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)(?:;q=([01](?:\.[0-9]{0,3})?))?", re.ASCII)


def asked_by(header: str) -> str:
    """The tags of an Accept-Language (RFC 9110 section 12.5.4), the most wanted first, separated by spaces."""
    found = [_WISH.fullmatch(item.replace(" ", "")) for item in header[:LONGEST].split(",")]
    wishes = [(wish[1], float(wish[2] or 1)) for wish in found if wish is not None]
    wishes.sort(key=lambda wish: -wish[1])
    return " ".join(tag for tag, weight in wishes if weight > 0)


def choose(asked: str, enabled: Sequence[str], available: Collection[str]) -> str:
    """The best of the languages that the tenant has enabled (in its order of preference) and that there are texts in.

    `asked`: tags separated by spaces, the most wanted first (OpenID Connect Core 1.0, section 3.1.2.1). Each is looked
    up as RFC 4647 section 3.4 has it: as it is, then with less and less at its end.
    """
    offered = {tag.lower(): tag for tag in enabled if _known(tag, available) is not None}
    for wish in asked.split():
        found = next((offered[part] for part in _shorter(wish) if part in offered), None)
        if found is not None:
            return _known(found, available) or DEFAULT_LANGUAGE
    first = next(iter(offered.values()), DEFAULT_LANGUAGE)
    return _known(first, available) or DEFAULT_LANGUAGE


def _known(tag: str, available: Collection[str]) -> str | None:
    """The texts for a tag: its own, or those of the language without the region."""
    texts = {name.lower(): name for name in available}
    return next((texts[part] for part in _shorter(tag) if part in texts), None)


def _shorter(tag: str) -> list[str]:
    parts = tag.lower().split("-")
    return ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]
