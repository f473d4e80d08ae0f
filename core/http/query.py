"""The search language of `q`: the subset of Lucene that Auth0 documents (`specs/management-api.md` section
1).

    q       = or
    or      = and { [ "OR" ] and }          side by side means OR, as in Lucene
    and     = not { "AND" not }
    not     = ( "NOT" | "-" ) not | part
    part    = "(" or ")" | [ field ":" ] ( value | range | "(" or ")" )
    value   = term | term "*" | "phrase" | ( ">" | ">=" | "<" | "<=" ) term
    range   = ( "[" | "{" ) bound "TO" bound ( "]" | "}" )

`parse` makes a frozen tree within fixed limits; `core/http/search.py` turns it into a SQL expression. Regular
expressions, wildcards elsewhere than at the end, fuzzy matches and boosts are refused.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from core.errors import InvalidQuery

MAX_LENGTH = 1000
MAX_DEPTH = 10
MAX_TERMS = 50


@dataclass(frozen=True, slots=True)
class Term:
    """`prefix` stands for a trailing `*`; `phrase` for quotes. `field` None means the list's default
    fields."""

    field: str | None
    value: str
    prefix: bool = False
    phrase: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """None is an open end (`*`)."""

    field: str
    low: str | None
    high: str | None
    include_low: bool = True
    include_high: bool = True


@dataclass(frozen=True, slots=True)
class Exists:
    field: str


@dataclass(frozen=True, slots=True)
class Not:
    part: "Node"


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Node", ...]


Node: TypeAlias = Term | Range | Exists | Not | And | Or


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


_TOKENS = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<phrase>"(?:[^"\\]|\\.)*")
    | (?P<open>\()
    | (?P<close>\))
    | (?P<low>[\[{])
    | (?P<high>[\]}])
    | (?P<colon>:)
    | (?P<compare>[<>]=?)
    | (?P<minus>-(?=[^\s]))
    | (?P<word>(?:[^\s"()\[\]{}:<>\\]|\\.)(?:[^\s"()\[\]{}:\\]|\\.)*)
    """,
    re.VERBOSE | re.DOTALL,
)
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,127}")
_OPERATORS = {"AND", "OR", "NOT"}


def parse(text: str) -> Node:
    if not text.strip():
        raise InvalidQuery("The parameter 'q' must not be empty.")
    if len(text) > MAX_LENGTH:
        raise InvalidQuery(f"The parameter 'q' must have {MAX_LENGTH} characters at most.")
    return _Parser(list(_tokens(text))).parse()


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        found = _TOKENS.match(text, place)
        if found is None:
            raise InvalidQuery("The parameter 'q' has an unbalanced quote or a stray character.")
        place, kind = found.end(), str(found.lastgroup)
        if kind == "word" and found[0] in _OPERATORS:
            yield _Token(found[0], found[0])
        elif kind != "space":
            yield _Token(kind, found[0])


class _Parser:
    """One descent over the tokens. Depth and terms are counted, so its cost is bounded."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0
        self._terms = 0

    def parse(self) -> Node:
        node = self._or(None)
        if self._kind() is not None:
            raise _malformed()
        return node

    def _or(self, field: str | None) -> Node:
        parts = [self._and(field)]
        while self._kind() not in (None, "close"):
            if self._kind() == "OR":
                self._take()
            parts.append(self._and(field))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _and(self, field: str | None) -> Node:
        parts = [self._not(field)]
        while self._kind() == "AND":
            self._take()
            parts.append(self._not(field))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _not(self, field: str | None) -> Node:
        if self._kind() not in ("NOT", "minus"):
            return self._part(field)
        self._take()
        return Not(self._deeper(lambda: self._not(field)))

    def _part(self, field: str | None) -> Node:
        if self._kind() == "open":
            return self._group(field)
        if self._kind() == "word" and self._kind(1) == "colon":
            if field is not None:
                raise _malformed()
            name = self._take().text
            if not _FIELD.fullmatch(name):
                raise InvalidQuery("The parameter 'q' names a malformed field.")
            self._take()
            return self._group(name) if self._kind() == "open" else self._value(name)
        return self._value(field)

    def _group(self, field: str | None) -> Node:
        self._take()
        node = self._deeper(lambda: self._or(field))
        if self._take().kind != "close":
            raise _malformed()
        return node

    def _value(self, field: str | None) -> Node:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise InvalidQuery(f"The parameter 'q' must have {MAX_TERMS} terms at most.")
        token = self._take()
        match token.kind:
            case "phrase":
                return Term(field, _unescape(token.text[1:-1]), phrase=True)
            case "low" if field is not None:
                return self._range(field, include_low=token.text == "[")
            case "compare" if field is not None:
                return _comparison(field, token.text, _literal(self._take_kind("word")))
            case "minus":  # a negative number: `logins_count:-1`
                return _term(field, "-" + self._take_kind("word"))
            case "word":
                return _term(field, token.text)
        raise _malformed()

    def _range(self, field: str, *, include_low: bool) -> Node:
        low = self._bound()
        if self._take_kind("word") != "TO":
            raise _malformed()
        high = self._bound()
        return Range(field, low, high, include_low, self._take_kind("high") == "]")

    def _bound(self) -> str | None:
        """A date with a time holds colons, which are tokens of their own."""
        if self._kind() == "phrase":
            return _unescape(self._take().text[1:-1])
        sign = self._take().text if self._kind() == "minus" else ""
        text = sign + self._take_kind("word")
        while self._kind() == "colon":
            self._take()
            text += ":" + self._take_kind("word")
        return None if text == "*" else _literal(text)

    def _deeper(self, inner: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidQuery(f"The parameter 'q' must be nested {MAX_DEPTH} deep at most.")
        node = inner()
        self._depth -= 1
        return node

    def _kind(self, ahead: int = 0) -> str | None:
        place = self._place + ahead
        return self._tokens[place].kind if place < len(self._tokens) else None

    def _take(self) -> _Token:
        if self._place >= len(self._tokens):
            raise _malformed()
        self._place += 1
        return self._tokens[self._place - 1]

    def _take_kind(self, kind: str) -> str:
        token = self._take()
        if token.kind != kind:
            raise _malformed()
        return token.text


def _term(field: str | None, text: str) -> Node:
    if field == "_exists_":
        name = _literal(text)
        if not _FIELD.fullmatch(name):
            raise InvalidQuery("The parameter 'q' names a malformed field.")
        return Exists(name)
    if text == "*" and field is not None:
        return Exists(field)
    if text.endswith("*") and not text.endswith("\\*") and len(text) > 1:
        return Term(field, _literal(text[:-1]), prefix=True)
    return Term(field, _literal(text))


def _comparison(field: str, operator: str, value: str) -> Range:
    inclusive = operator.endswith("=")
    if operator.startswith(">"):
        return Range(field, value, None, include_low=inclusive)
    return Range(field, None, value, include_high=inclusive)


_UNSUPPORTED = re.compile(r"(?<!\\)[*?~^]|^/")


def _literal(text: str) -> str:
    if _UNSUPPORTED.search(text):
        raise InvalidQuery(
            "The parameter 'q' may have a wildcard only at the end of a term, and no regular expression,"
            " fuzzy match or boost."
        )
    return _unescape(text)


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _malformed() -> InvalidQuery:
    return InvalidQuery("The parameter 'q' is malformed.")
