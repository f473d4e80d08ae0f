"""What is logged, and how: one JSON object a line, to standard error (standard output belongs to commands).

Request id and tenant stand in every line of a request through context variables, which the edge sets. Bodies,
tokens, cookies and passwords are never logged: log the code of what happened and ids.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, BinaryIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor

_QUIET = ("alembic", "authlib", "aiosqlite", "httpx", "httpcore", "asyncio", "mcp", "uvicorn.access")
"""Libraries that would log requests, statements or addresses at info and debug."""


def _plain(value: Any) -> str:
    return repr(value)


current_request: ContextVar[Mapping[str, Any] | None] = ContextVar("current_request", default=None)
"""What is logged while it is set is of this request: its `request_id` and, once known, its `tenant`."""


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)


def _to_json(_: Any, __: str, event: EventDict) -> bytes:
    try:
        return _ENCODER.encode(event)
    except (UnicodeEncodeError, TypeError, ValueError):  # a lone surrogate, a key that is no text
        return json.dumps({str(key): repr(value) for key, value in event.items()}).encode()


def _to_text(logger: Any, name: str, event: EventDict) -> str:
    return _to_json(logger, name, event).decode("utf-8")


def _of_request(_: Any, __: str, event: EventDict) -> EventDict:
    """Request id and tenant, read when a line is written: a request that logs nothing pays nothing."""
    state = current_request.get()
    if state is not None:
        event.setdefault("request_id", state["request_id"])
        if state["tenant"] is not None:
            event.setdefault("tenant", state["tenant"].id)
    return event


_OF_A_ROW = re.compile(
    r"\nDETAIL:  .*?(?=\n(?:HINT|CONTEXT|QUERY):  |\n\[SQL: |\n\n(?:The above exception|During handling)|\Z)",
    re.DOTALL,
)
"""What PostgreSQL adds to a complaint: values of the row, a person's address or a sealed secret."""


def _without_rows(_: Any, __: str, event: EventDict) -> EventDict:
    told = event.get("exception")
    if isinstance(told, str) and "\nDETAIL:  " in told:
        event["exception"] = _OF_A_ROW.sub("", told)
    return event


def _shared() -> list[Processor]:
    return [
        _of_request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        _without_rows,
    ]


def configure_logs(level: str = "info", stream: BinaryIO | None = None) -> None:
    """Called once by an entry point, for our own lines and for those of libraries."""
    number = logging.getLevelNamesMapping()[level.upper()]
    out = stream or sys.stderr.buffer
    structlog.configure(
        processors=[*_shared(), _to_json],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(cast(Any, out)),
        cache_logger_on_first_use=stream is None,
    )
    _configure_libraries(number, out)


def _configure_libraries(level: int, out: BinaryIO) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *_shared()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _to_text],
    )
    handler = _BytesHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class _BytesHandler(logging.Handler):
    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._out.write(self.format(record).encode("utf-8", "backslashreplace") + b"\n")
            self._out.flush()
        except Exception:  # noqa: BLE001  (the contract of logging.Handler: a log line stops nothing)
            self.handleError(record)
