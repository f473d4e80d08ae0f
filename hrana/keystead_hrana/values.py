"""Python's values on Hrana's wire: what would come back changed is refused before it is sent."""

import base64
import binascii
import math
from typing import Any

from keystead_hrana.errors import DataError, InterfaceError, ProgrammingError

Wire = dict[str, Any]
_NULL: Wire = {"type": "null"}


def encode(value: object) -> Wire:
    match value:
        case None:
            return _NULL
        case int():
            return {"type": "integer", "value": _integer(value)}
        case str():
            return {"type": "text", "value": _text(value)}
        case float():
            return {"type": "float", "value": _finite(value)}
        case bytes() | bytearray() | memoryview():
            return {"type": "blob", "base64": base64.b64encode(value).rstrip(b"=").decode("ascii")}
    raise ProgrammingError(f"a parameter may not be a {type(value).__name__}")


def decode(value: Wire) -> Any:
    match value["type"]:
        case "text":
            return _received_text(value["value"])
        case "integer":
            return int(value["value"])
        case "null":
            return None
        case "float":
            return _received_float(value["value"])
        case "blob":
            return _blob(value["base64"])
    raise InterfaceError(f"the server sent a value of the unknown type {value['type']!r}")


def _integer(value: int) -> str:
    if not -(2**63) <= value < 2**63:
        raise DataError("an integer does not fit into 64 bits")
    return str(int(value))


def _finite(value: float) -> float:
    """JSON has no word for the others, and the server would answer NULL."""
    if not math.isfinite(value):
        raise DataError("a number is not finite")
    return value


def _text(value: str) -> str:
    if "\0" in value:
        raise DataError("a text holds a NUL, where SQL functions would end it")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DataError("a text holds half of a surrogate pair") from None
    return value


def _received_text(value: object) -> str:
    if not isinstance(value, str):
        raise InterfaceError("the server sent a text that is none")
    return value


def _received_float(value: float | None) -> float:
    if value is None:
        raise DataError("the database holds a number that is not finite, which the server cannot send")
    return float(value)


def _blob(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise InterfaceError("the server sent a blob that is not base64") from None
