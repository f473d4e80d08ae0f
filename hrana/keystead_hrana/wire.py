"""What is said in one request to a Hrana server, and what it answers (Hrana 3, over HTTP)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keystead_hrana.errors import Error, statement_error
from keystead_hrana.values import Wire, decode, encode

CLOSE: Wire = {"type": "close"}
GET_AUTOCOMMIT: Wire = {"type": "get_autocommit"}
_INSIDE: Wire = {"type": "not", "cond": {"type": "is_autocommit"}}
"""A transaction that was taken away leaves its stream committing statement by statement; nothing may run there."""


_NO_ANSWER = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading something else ends with, a number without an end and brackets without one too."""


class Malformed(Exception):
    """What came back is no answer to what was asked."""


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a batch."""

    sql: str | int
    """Its text, or the number under which it was stored in the stream."""

    parameters: Sequence[object] = ()
    wants_rows: bool = True

    def wire(self) -> Wire:
        text = {"sql": self.sql} if isinstance(self.sql, str) else {"sql_id": self.sql}
        return {**text, "args": [encode(each) for each in self.parameters], "want_rows": self.wants_rows}


@dataclass(frozen=True, slots=True)
class Result:
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    affected: int
    last_rowid: int | None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Step by step: a result, an error, or nothing at all because its condition did not hold."""

    results: list[Result | None]
    errors: list[Error | None]

    @property
    def failed(self) -> tuple[int, Error] | None:
        """Which step failed; the later ones were not run."""
        return next(((place, error) for place, error in enumerate(self.errors) if error is not None), None)


Answer = Result | BatchResult | Error | bool | None


@dataclass(frozen=True, slots=True)
class Reply:
    baton: str | None
    base_url: str | None
    answers: list[Answer]
    """One for each request: what it asked for, an error, or None where there is nothing to tell."""


def execute(step: Step) -> Wire:
    return {"type": "execute", "stmt": step.wire()}


def chained(steps: Sequence[Step], *, outside: int) -> Wire:
    """A batch of which each step runs only if the one before it did, and inside a transaction.

    `outside`: how many of the first steps run before there is one, BEGIN among them.
    """
    return {
        "type": "batch",
        "batch": {"steps": [_link(i, step, i >= outside) for i, step in enumerate(steps)]},
    }


def _link(place: int, step: Step, inside: bool) -> Wire:
    conditions = [{"type": "ok", "step": place - 1}] if place else []
    if inside:
        conditions.append(_INSIDE)
    if not conditions:
        return {"stmt": step.wire()}
    return {"stmt": step.wire(), "condition": {"type": "and", "conds": conditions}}


def sequence(script: str) -> Wire:
    return {"type": "sequence", "sql": script}


def store(sql: str, number: int) -> Wire:
    return {"type": "store_sql", "sql_id": number, "sql": sql}


def forget(number: int) -> Wire:
    return {"type": "close_sql", "sql_id": number}


def request_body(baton: str | None, requests: Sequence[Wire]) -> bytes:
    return json.dumps({"baton": baton, "requests": list(requests)}, separators=(",", ":")).encode("ascii")


def reply(body: bytes, requests: Sequence[Wire]) -> Reply:
    try:
        said = json.loads(body)
        answers = [_answer(asked, got) for asked, got in zip(requests, said["results"], strict=True)]
        return Reply(_text_or_none(said.get("baton")), _text_or_none(said.get("base_url")), answers)
    except _NO_ANSWER as error:
        raise Malformed("the server's answer is not one of Hrana's") from error


def refusal(body: bytes) -> tuple[str, str | None]:
    """The sentence and the code in the body of an answer that is no reply: JSON from some, plain text from others."""
    text = body[:1000].decode("utf-8", "replace").strip()
    try:
        said = json.loads(body)
        return str(said.get("error") or said.get("message") or text), said.get("code")
    except _NO_ANSWER:
        return text, None


def _text_or_none(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _answer(asked: Wire, got: Wire) -> Answer:
    if got["type"] == "error":
        return _error(got["error"])
    response = got["response"]
    match asked["type"]:
        case "execute":
            return _result(response["result"])
        case "batch":
            return _batch_result(response["result"], len(asked["batch"]["steps"]))
        case "get_autocommit":
            return response["is_autocommit"] is not False
    return None


def _error(wire: Wire) -> Error:
    return statement_error(str(wire["message"]), wire.get("code"), wire.get("extended_code"))


def _result(wire: Wire) -> Result:
    rowid = wire.get("last_insert_rowid")
    return Result(
        columns=tuple(str(column["name"] or "") for column in wire["cols"]),
        rows=[tuple(map(decode, row)) for row in wire["rows"]],
        affected=int(wire["affected_row_count"]),
        last_rowid=None if rowid is None else int(rowid),
    )


def _batch_result(wire: Wire, asked: int) -> BatchResult:
    results = [None if each is None else _result(each) for each in wire["step_results"]]
    errors = [None if each is None else _error(each) for each in wire["step_errors"]]
    if not len(results) == len(errors) == asked:
        raise Malformed("the server answered another number of steps than it was asked")
    return BatchResult(results, errors)
