"""Bodies of log streams, as Auth0 has them, and what an address, a header and a time may be."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta

from core.errors import InvalidInput
from core.outbound import Outbound, OutboundRefused
from tenant_runtime.audit.codes import Category
from tenant_runtime.management.editing import Address, Body, Maybe, Name

HTTP = "http"
MOST_HEADERS = 10
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_TEXT = re.compile(r"[\x20-\x7e]*")
_OURS = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
_SIGNED = "webhook-"

HeaderText = Annotated[str, Meta(min_length=1, max_length=2048)]


class Header(Body):
    header: Annotated[str, Meta(min_length=1, max_length=100)]
    value: HeaderText


class Filter(Body):
    type: Literal["category"]
    name: Category


class Sink(Body):
    httpEndpoint: Maybe[Address] = UNSET
    httpContentType: Maybe[Annotated[str, Meta(min_length=1, max_length=200)]] = UNSET
    httpContentFormat: Maybe[Literal["JSONLINES", "JSONARRAY"]] = UNSET
    httpAuthorization: Maybe[HeaderText | None] = UNSET
    httpCustomHeaders: Maybe[Annotated[list[Header], Meta(max_length=MOST_HEADERS)]] = UNSET


Filters = Annotated[list[Filter], Meta(max_length=50)]
Moment = Annotated[str, Meta(min_length=1, max_length=40)]


class LogStreamPatch(Body):
    name: Maybe[Name] = UNSET
    status: Maybe[Literal["active", "paused"]] = UNSET
    isPriority: Maybe[Literal[False]] = UNSET
    filters: Maybe[Filters] = UNSET
    sink: Maybe[Sink] = UNSET
    startFrom: Maybe[Moment] = UNSET

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.isPriority is not UNSET and self.isPriority is not False:
            raise ValueError("`isPriority` must be false: all streams are alike")


class LogStreamIn(LogStreamPatch, kw_only=True):
    type: Annotated[str, Meta(min_length=1, max_length=50)]
    sink: Sink


def check_type(type: str) -> None:
    if type != HTTP:
        raise InvalidInput("Of the types of log streams there is `http` only.")


def check_sink(sink: Mapping[str, Any], outbound: Outbound) -> None:
    if (endpoint := sink.get("httpEndpoint")) is not None:
        check_endpoint("sink.httpEndpoint", endpoint, outbound)
    for name in ("httpContentType", "httpAuthorization"):
        if not _TEXT.fullmatch(sink.get(name) or ""):
            raise InvalidInput(f"`sink.{name}` holds characters that a header may not.")
    for item in sink.get("httpCustomHeaders", ()):
        _check_header(item["header"], item["value"])


def check_endpoint(name: str, url: str, outbound: Outbound) -> None:
    try:
        outbound.check(url)
    except OutboundRefused as refused:
        raise InvalidInput(f"`{name}`: {refused}") from refused


def _check_header(name: str, value: str) -> None:
    lowered = name.lower()
    if lowered in _OURS or lowered.startswith(_SIGNED):
        raise InvalidInput(f"The header {name!r} is not one of `httpCustomHeaders` to set.")
    if not _HEADER.fullmatch(name) or not _TEXT.fullmatch(value):
        raise InvalidInput("`sink.httpCustomHeaders` holds characters that a header may not.")


def moment(text: str) -> int:
    """Milliseconds."""
    try:
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InvalidInput("`startFrom` is no date and time (ISO 8601).") from None
