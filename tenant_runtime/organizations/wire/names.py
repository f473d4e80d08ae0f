"""Patterns of names in bodies, and what is said of a name that does not fit: pages show it to people."""

SLUG = r"^[a-z0-9][a-z0-9-]{0,62}\Z"
ONE_LINE = r"^[^\x00-\x1f\x7f]*\Z"

_IN_WORDS = {
    SLUG: "Expected small letters (a-z), digits and hyphens, 63 at most, and no hyphen at the beginning",
    ONE_LINE: "Expected one line of text, without control characters",
}


def in_words(reason: str) -> str:
    """The decoder's reason, without the regular expression in it if there are words for that."""
    return next((words for pattern, words in _IN_WORDS.items() if repr(pattern) in reason), reason)
