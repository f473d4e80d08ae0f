"""Templates that somebody else wrote: Liquid, as Auth0 has it, in bounds.

A template reads the values that it is given and nothing else: it includes no files and knows no tags or filters but
these. Work is counted, not timed, so that a template either always renders or never does: a turn of a loop costs the
length of the template, a filter what it is applied to times what it is given, a value that is kept its size.
"""

import re
from collections.abc import Callable, Mapping, Sized
from functools import cache
from typing import Any, ClassVar

from liquid import BoundTemplate, Environment, RenderContext, Token, Undefined
from liquid.builtin.expressions import primitive
from liquid.exceptions import LiquidError

LONGEST_SOURCE = 64 * 1024
LONGEST_OUTPUT = 256 * 1024
MOST_WORK = 1_000_000
MOST_TURNS = 1000
LONGEST_MARKUP = 500
"""Between two braces: reading what stands there takes the square of its length."""

MOST_RAW = 50
LONGEST_DATE = 64
_BEGIN = re.compile(r"\{[{%]")
_END = re.compile(r"[}%]\}")
_NOT_HERE = ("include", "render")
_FILTERS = frozenset(
    [
        "abs",
        "append",
        "at_least",
        "at_most",
        "capitalize",
        "ceil",
        "compact",
        "concat",
        "date",
        "default",
        "divided_by",
        "downcase",
        "escape",
        "escape_once",
        "escapejs",
        "first",
        "floor",
        "join",
        "last",
        "lstrip",
        "map",
        "minus",
        "modulo",
        "newline_to_br",
        "plus",
        "prepend",
        "remove",
        "remove_first",
        "replace",
        "replace_first",
        "reverse",
        "round",
        "rstrip",
        "safe",
        "size",
        "slice",
        "sort",
        "split",
        "strip",
        "strip_newlines",
        "times",
        "truncate",
        "truncatewords",
        "upcase",
        "url_decode",
        "url_encode",
        "where",
        "base64_encode",
        "base64_decode",
    ]
)


class TemplateBroken(Exception):
    """It does not parse, or does not render. The sentence says where, and may be shown to whoever wrote it."""


def check(source: str) -> None:
    """Raises `TemplateBroken`."""
    template = _parsed(source, escape=False)
    for name, spans in template.analyze(include_partials=False).filters.items():
        if name not in _FILTERS:
            raise TemplateBroken(f"line {_line(source, spans[0].index)}: there is no filter {name[:50]!r}")


def render(source: str, values: Mapping[str, Any], *, escape: bool) -> str:
    """`escape`: values become text in HTML. Raises `TemplateBroken`."""
    template = _parsed(source, escape=escape)
    try:
        return template.render(**values)
    except LiquidError as error:
        raise TemplateBroken(_sentence(error)) from error
    except Exception as error:  # a filter that was given what it cannot take
        raise TemplateBroken(f"it cannot be rendered ({type(error).__name__})") from error


class _Context(RenderContext):
    """Of one rendering, with what is left of its work."""

    __slots__ = ("_left", "_turns_left")

    def __init__(self, template: BoundTemplate, **options: Any) -> None:
        super().__init__(template, **options)
        self._left = MOST_WORK
        self._turns_left = min(MOST_TURNS, MOST_WORK // max(1, len(template.name)))

    def assign(self, key: str, val: Any) -> None:
        self._work(_size(val))
        super().assign(key, val)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Asked at the beginning of every loop, inner ones too."""
        self._turns_left -= length
        if self._turns_left < 0:
            raise LiquidError("loops go round too often", token=None)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        apply = super().filter(name, token)

        def bounded(value: object, *args: object, **more: object) -> object:
            given = sum(map(_size, (*args, *more.values())))
            self._work(_size(value) * (1 + given))
            result = apply(value, *args, **more)
            self._work(_size(result))
            return result

        return bounded

    def count_range(self, made: range) -> None:
        """Whoever looks for something in it, or begins far behind its start, goes through it."""
        self._work(1 + made.stop - made.start)

    def _work(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise LiquidError("too much is asked of the template", token=None)


class _Range(primitive.RangeLiteral):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> range:
        made = super().evaluate(context)
        if isinstance(context, _Context):
            context.count_range(made)
        return made


primitive.RangeLiteral = _Range  # type: ignore[misc]  # the library's parser makes them by this name


class _Template(BoundTemplate):
    context_class = _Context


class _Environment(Environment):
    template_class = _Template
    output_stream_limit: ClassVar[int | None] = LONGEST_OUTPUT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for name in _NOT_HERE:
            del self.tags[name]
        self.filters = {name: self.filters[name] for name in _FILTERS}
        self.filters["date"] = _short_dates(self.filters["date"])

    def error(
        self, exc: type[LiquidError] | LiquidError, msg: str | None = None, token: Token | None = None
    ) -> None:
        """An error at the end of what stands between two braces knows no place: theirs is near enough."""
        if isinstance(exc, LiquidError) and (exc.token is None or exc.token.start_index < 0):
            exc.token = token
        super().error(exc, msg, token)


def _short_dates(apply: Callable[..., Any]) -> Callable[..., Any]:
    """What is longer than any date is none, and is not looked at."""

    def date(value: object, form: object, *, environment: Environment) -> Any:
        if isinstance(value, str) and len(value) > LONGEST_DATE:
            return value
        return apply(value, form, environment=environment)

    date.with_environment = True  # type: ignore[attr-defined]
    return date


@cache
def _environment(*, escape: bool) -> _Environment:
    return _Environment(autoescape=escape)


def _parsed(source: str, *, escape: bool) -> BoundTemplate:
    if len(source) > LONGEST_SOURCE:
        raise TemplateBroken(f"it is longer than {LONGEST_SOURCE} characters")
    _check_markup(source)
    try:
        return _environment(escape=escape).from_string(source, name=source)
    except LiquidError as error:
        raise TemplateBroken(_sentence(error)) from error


def _check_markup(source: str) -> None:
    """In one walk, so that nothing else need look for an end that does not come."""
    at, raw = 0, 0
    while (begin := _BEGIN.search(source, at)) is not None:
        end = _END.search(source, begin.end(), begin.end() + LONGEST_MARKUP)
        if end is None:
            line = _line(source, begin.start())
            raise TemplateBroken(f"line {line}: no end within {LONGEST_MARKUP} characters")
        raw += source[begin.end() : end.start()].strip("- ") == "raw"
        at = end.end()
    if raw > MOST_RAW:
        raise TemplateBroken(f"more than {MOST_RAW} times raw")


def _line(source: str, index: int) -> int:
    return source.count("\n", 0, index) + 1


def _sentence(error: LiquidError) -> str:
    message, token = str(error.message or "it is malformed")[:200], error.token
    if token is None or not 0 <= token.start_index < len(token.source):
        return f"at its end: {message}"
    return f"line {_line(token.source, token.start_index)}: {message}"


def _size(value: object) -> int:
    match value:
        case Undefined():
            return 1
        case str() | range():
            return 1 + len(value)
        case bool() | None:
            return 1
        case int():
            return 1 + value.bit_length() // 3
        case Mapping():
            return 1 + sum(map(_size, value.values()))
        case list() | tuple():
            return 1 + sum(map(_size, value))
        case Sized():
            return 1 + len(value)
    return 1
