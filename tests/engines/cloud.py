"""What a managed libSQL service does differently from the server itself, each trait to be switched at any time."""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.engines.proxy import Answer, Request

PIPELINES = ("/v2/pipeline", "/v3/pipeline")
READ_ONLY_PRAGMA = re.compile(rb"pragma\s+(user_version|application_id)\s*=\s*-?\w+", re.IGNORECASE)
REFUSED_PRAGMA = b"PRAGMA journal_mode = off"  # the server refuses any setting of this one
LOST_STREAMS = (b"STREAM_EXPIRED", b"invalid baton", b"already been used")
WRITES = re.compile(r"\s*(commit|end|insert|update|delete|replace|create|drop|alter)\b", re.IGNORECASE)
CONSTRAINTS = {
    "UNIQUE": "UNIQUE",
    "FOREIGN KEY": "FOREIGNKEY",
    "NOT NULL": "NOTNULL",
    "CHECK": "CHECK",
    "PRIMARY KEY": "PRIMARYKEY",
}


@dataclass(slots=True)
class CloudTraits:
    no_v1: bool = True
    no_websocket: bool = True
    null_baton: bool = True
    """Outside a transaction a stream is not kept."""
    lost_streams_are_404: bool = True
    extended_codes: bool = True
    read_only_version: bool = True
    commit_latency: float = 0.0

    def request(self, request: Request) -> Request | Answer:
        if self.no_v1 and request.path.startswith("/v1/") and request.path != "/v1/upload":
            return Answer(404, b'{"error":"not found"}')
        if self.no_websocket and request.headers.get("upgrade", "").lower() == "websocket":
            return Answer(401, b'{"error":"unauthorized"}')
        if request.path not in PIPELINES:
            return request
        if self.read_only_version:
            request = replace(request, body=READ_ONLY_PRAGMA.sub(REFUSED_PRAGMA, request.body))
        return _asking_for_autocommit(request) if self.null_baton else request

    def answer(self, request: Request, answer: Answer, send: Callable[[Request], Answer]) -> Answer:
        if request.path not in PIPELINES:
            return answer
        if answer.status != 200:
            return self._lost(answer)
        content: dict[str, Any] = json.loads(answer.body)
        sent: dict[str, Any] = json.loads(request.body)
        if self.null_baton and _asks_last(sent):
            self._forget_stream(content, request, send)
        if self.extended_codes:
            _extend_codes(content)
        if self.commit_latency and any(map(WRITES.match, _statements(sent))):
            time.sleep(self.commit_latency)
        return replace(answer, body=json.dumps(content).encode())

    def _lost(self, answer: Answer) -> Answer:
        is_lost = answer.status == 400 and any(sign in answer.body for sign in LOST_STREAMS)
        if not (is_lost and self.lost_streams_are_404):
            return answer
        return Answer(404, b'{"error":"stream not found"}')

    @staticmethod
    def _forget_stream(content: dict[str, Any], request: Request, send: Callable[[Request], Answer]) -> None:
        last = content["results"].pop()
        if last["type"] != "ok" or not last["response"]["is_autocommit"] or content["baton"] is None:
            return
        close = {"baton": content["baton"], "requests": [{"type": "close"}]}
        send(replace(request, body=json.dumps(close).encode()))
        content["baton"] = None


QUESTION = {"type": "get_autocommit", "asked_by": "the service"}


def _asking_for_autocommit(request: Request) -> Request:
    """Whether a transaction is open decides whether the stream is kept. A stream that is closed needs no question."""
    try:
        content = json.loads(request.body)
        requests = content["requests"]
    except (ValueError, KeyError, TypeError):
        return request
    if requests and requests[-1].get("type") == "close":
        return request
    return replace(request, body=json.dumps({**content, "requests": [*requests, QUESTION]}).encode())


def _asks_last(sent: dict[str, Any]) -> bool:
    return bool(sent["requests"]) and sent["requests"][-1] == QUESTION


def _statements(sent: dict[str, Any]) -> Iterator[str]:
    for request in sent["requests"]:
        yield request.get("sql") or ""
        yield (request.get("stmt") or {}).get("sql") or ""
        for step in (request.get("batch") or {}).get("steps", ()):
            yield step["stmt"].get("sql") or ""


def _extend_codes(content: dict[str, Any]) -> None:
    for result in content["results"]:
        if result["type"] == "error":
            _extend(result["error"])
            continue
        answer = result["response"].get("result")
        for error in answer.get("step_errors", ()) if isinstance(answer, dict) else ():
            if error:
                _extend(error)


def _extend(error: dict[str, Any]) -> None:
    code = error.get("code") or "SQLITE_ERROR"
    kinds = (kind for text, kind in CONSTRAINTS.items() if f"{text} constraint failed" in error["message"])
    kind = next(kinds, "")
    error["extended_code"] = f"{code}_{kind}" if kind and code == "SQLITE_CONSTRAINT" else code
