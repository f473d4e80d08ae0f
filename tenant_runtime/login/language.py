"""In which language somebody is spoken to, on a page and in a letter."""

from collections.abc import Collection, Sequence

DEFAULT_LANGUAGE = "en"


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
