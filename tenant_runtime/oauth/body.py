"""Reading a request body strictly: one content type, one value per parameter, a limit on everything.

RFC 6749 section 3.2: a parameter without a value counts as left out, a repeated one is an error.
"""

import json
from typing import Any
from urllib.parse import unquote_to_bytes

from litestar.types import Receive

from core.errors import InvalidRequest, InvalidTarget, PayloadTooLarge
from core.http.security import NO_STORE

BODY_LIMIT = 64 * 1024
PARAMETER_LIMIT = 64

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
ONE_RESOURCE = "One access token is for one resource."
"""Of several (RFC 8707 section 2) no token is made."""


async def read_body(receive: Receive, declared: str | None) -> bytes:
    if _is_more(declared):
        raise PayloadTooLarge(headers=NO_STORE)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise InvalidRequest("The request ended early.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_LIMIT:
            raise PayloadTooLarge(headers=NO_STORE)
        if not message.get("more_body", False):
            return b"".join(parts)


def _is_more(declared: str | None) -> bool:
    """Than the limit, which has five digits; what is no number is left to the bytes that come."""
    digits = (declared or "").lstrip("0")
    return digits.isascii() and digits.isdigit() and (len(digits) > 5 or int(digits) > BODY_LIMIT)


def media_type(header: str | None) -> str:
    if header == FORM:
        return FORM
    kind, _, parameters = (header or "").partition(";")
    kind = kind.strip().lower()
    if kind not in (FORM, JSON):
        raise InvalidRequest(
            "The body must be application/x-www-form-urlencoded or JSON.", status=415 if header else 400
        )
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise InvalidRequest("The body must be UTF-8.", status=415)
    return kind


def parse_form(body: bytes) -> dict[str, str]:
    """RFC 6749 section 3.2: a parameter without a value counts as left out, a repeated one is an error."""
    parameters: dict[str, str] = {}
    if not body:
        return parameters
    pairs = body.split(b"&")
    if len(pairs) > PARAMETER_LIMIT:
        raise InvalidRequest("Too many parameters.")
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        _add(parameters, _form_text(name), _form_text(value))
    return _present(parameters)


def parse_json(body: bytes) -> dict[str, str]:
    return texts_of(json_object(body))


def json_object(body: bytes) -> dict[str, Any]:
    """Its members as they are: for the few bodies of which some are no texts."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not a JSON object.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body is not a JSON object.")
    if len(value) > PARAMETER_LIMIT:
        raise InvalidRequest("Too many parameters.")
    return value


def texts_of(members: dict[str, Any]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, item in members.items():
        if item is not None and not isinstance(item, str):
            raise InvalidRequest("Every parameter must be a text.")
        _add(parameters, name, item or "")
    return _present(parameters)


def _add(parameters: dict[str, str], name: str, value: str) -> None:
    if name in parameters:
        raise _repeated(name)
    if "\x00" in value or not _is_text(value):
        raise InvalidRequest("A parameter holds characters that are not allowed.")
    parameters[name] = value


def _repeated(name: str) -> InvalidRequest | InvalidTarget:
    return InvalidTarget(ONE_RESOURCE) if name == "resource" else InvalidRequest("A parameter is repeated.")


def _is_text(value: str) -> bool:
    """No lone surrogates, which JSON can spell and nothing can store."""
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def _present(parameters: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value}


def _form_text(raw: bytes) -> str:
    try:
        if b"%" in raw or b"+" in raw:
            raw = unquote_to_bytes(raw.replace(b"+", b" "))
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("The body must be UTF-8.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidRequest("A parameter is repeated.")
    return members
