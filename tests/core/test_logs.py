import io
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from core.logs import configure_logs, current_request
from core.settings import Secret


@pytest.fixture
def out() -> Iterator[io.BytesIO]:
    root = logging.getLogger()
    before, level, settings = root.handlers[:], root.level, structlog.get_config()
    stream = io.BytesIO()
    configure_logs("info", stream)
    yield stream
    structlog.configure(**settings)
    root.handlers[:] = before
    root.setLevel(level)


def lines(out: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_each_line_is_one_json_object_with_request_and_tenant(out: io.BytesIO) -> None:
    request: dict[str, Any] = {"request_id": "r1", "tenant": None}
    before = current_request.set(request)
    request["tenant"] = SimpleNamespace(id="acme")  # known later, and named from then on
    structlog.get_logger().info("token_issued", client_id="c1", text="two\nlines")
    current_request.set({"request_id": "r2", "tenant": None})
    structlog.get_logger().warning("lagging")
    current_request.reset(before)
    first, second = lines(out)
    assert {
        "request_id": "r1",
        "tenant": "acme",
        "event": "token_issued",
        "level": "info",
    }.items() <= first.items()
    assert first["at"].endswith("Z")
    assert second["request_id"] == "r2"
    assert "tenant" not in second


def test_the_level_holds(out: io.BytesIO) -> None:
    structlog.get_logger().debug("hidden")
    assert lines(out) == []


def fail(secret: str) -> None:
    raise ValueError("bad")


def test_an_exception_is_text_without_the_values_of_its_frames(out: io.BytesIO) -> None:
    try:
        fail(f"hunter{2}")
    except ValueError as error:
        structlog.get_logger().error("failed", exc_info=error)
    (line,) = lines(out)
    assert "ValueError: bad" in line["exception"]
    assert "hunter2" not in line["exception"]


def test_libraries_log_in_the_same_shape_and_chatty_ones_are_silent(out: io.BytesIO) -> None:
    for name in ("authlib", "aiosqlite", "httpx", "httpcore.connection", "uvicorn.access"):
        logging.getLogger(name).info("a statement, an address, a body")
    logging.getLogger("uvicorn.error").info("started on %s", 8000)
    (line,) = lines(out)
    assert (line["event"], line["logger"]) == ("started on 8000", "uvicorn.error")


def test_secrets_and_strange_values_do_not_stop_a_line(out: io.BytesIO) -> None:
    structlog.get_logger().info("x", key=Secret("hidden"), thing=object(), raw=b"\xff", text="\ud800")
    (line,) = lines(out)
    assert "hidden" not in json.dumps(line)
