"""JSON-RPC 2.0 as the Model Context Protocol has it over HTTP: one message comes, at most one goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022

Id: TypeAlias = str | int
_LONGEST_ID: Final = 200
_NUL: Final = b"\\u0000"


class RpcError(Exception):
    """Answered in JSON-RPC's shape. `status`: of the HTTP answer; what is wrong with a message that was understood is
    a 200."""

    def __init__(self, code: int, message: str, *, status: int = 200, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.data = data


@dataclass(frozen=True, slots=True)
class Message:
    """`id` is None for a notification, which is not answered. What the client answers us (we ask nothing) has no
    method either."""

    method: str | None
    params: Mapping[str, Any]
    id: Id | None


class _Wire(msgspec.Struct):
    jsonrpc: Literal["2.0"]
    method: str | UnsetType = UNSET
    params: dict[str, Any] | UnsetType = UNSET
    id: Id | UnsetType = UNSET


def read_message(body: bytes) -> Message:
    try:
        found = msgspec.json.decode(body, type=_Wire)
        written = msgspec.json.encode(found)
    except msgspec.ValidationError:
        raise RpcError(INVALID_REQUEST, "One JSON-RPC 2.0 message is expected.", status=400) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise RpcError(PARSE_ERROR, "The body is not JSON.", status=400) from None
    if _NUL in written:
        raise RpcError(INVALID_REQUEST, "A text holds characters that are not allowed.", status=400)
    if isinstance(found.id, str) and len(found.id) > _LONGEST_ID:
        raise RpcError(INVALID_REQUEST, "The id is too long.", status=400)
    return Message(
        method=None if found.method is UNSET else found.method,
        params={} if found.params is UNSET else found.params,
        id=None if found.id is UNSET else found.id,
    )


def result(id: Id | None, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "result": value}


def failure(id: Id | None, error: RpcError) -> dict[str, Any]:
    told = {"code": error.code, "message": error.message}
    return {"jsonrpc": "2.0", "id": id, "error": told if error.data is None else {**told, "data": error.data}}
