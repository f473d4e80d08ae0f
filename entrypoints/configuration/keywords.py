"""`##NAME##` and `@@NAME@@` in files: the text, or the JSON, of an environment variable.

Replaced inside values after a file was parsed, so that no value can change what a file says around it. Auth0's tool
replaces them before, and so takes them without quotes, where YAML would see a comment or a mistake: `quoted` puts
the quotes.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

_TEXT = re.compile(r"##([A-Za-z_][A-Za-z0-9_]*)##")
_JSON = re.compile(r"@@([A-Za-z_][A-Za-z0-9_]*)@@")
_BARE_TEXT = re.compile(r"^(\s*(?:- +)?(?:[\w.-]+:)? +)(##[A-Za-z_]\w*##[^'\"\n,]*?)(,?\s*)$", re.MULTILINE)
_BARE_JSON = re.compile(r"(?<![\"'\w])@@([A-Za-z_]\w*)@@(?![\"'\w])")


def quoted(text: str) -> str:
    return _BARE_JSON.sub(r'"@@\1@@"', _BARE_TEXT.sub(r'\1"\2"\3', text))


def replaced(value: Any, environ: Mapping[str, str]) -> Any:
    """A name that nobody set stays as it is written; `unresolved` finds it."""
    match value:
        case str():
            return _in_text(value, environ)
        case dict():
            return {name: replaced(item, environ) for name, item in value.items()}
        case list():
            return [replaced(item, environ) for item in value]
    return value


def unresolved(value: Any) -> str | None:
    """The first keyword that nobody set."""
    match value:
        case str():
            found = _TEXT.search(value) or _JSON.search(value)
            return None if found is None else found.group()
        case dict():
            return next(filter(None, map(unresolved, value.values())), None)
        case list():
            return next(filter(None, map(unresolved, value)), None)
    return None


def _in_text(text: str, environ: Mapping[str, str]) -> Any:
    whole = _JSON.fullmatch(text)
    if whole is not None and whole[1] in environ:
        try:
            return json.loads(environ[whole[1]])
        except ValueError:
            return environ[whole[1]]
    return _TEXT.sub(lambda found: environ.get(found[1], found[0]), text)
