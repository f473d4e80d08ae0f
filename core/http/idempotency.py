"""`Idempotency-Key` on the wire: which key a request carries, bound to its caller and to what was sent.

What is done with it is each plane's: a unit of work there keeps the first answer beside the change it tells of.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from core.errors import InvalidInput
from core.http.errors import AnyRequest
from core.http.security import header_values
from core.ids import digest

HEADER = "idempotency-key"
KEPT_MS = 24 * 3_600_000
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """`digest` is of caller and key, `request_digest` of method, address and body."""

    digest: str
    request_digest: str


def idempotent_request(
    request: AnyRequest, body: bytes, caller: Sequence[str | None]
) -> IdempotentRequest | None:
    """None when no key was sent: only a POST may carry one."""
    if request.method != "POST":
        return None
    keys = header_values(request.headers, HEADER)
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidInput("The header Idempotency-Key must be one value of 1 to 255 visible characters.")
    whose = msgspec.json.encode((*caller, keys[0]))
    sent = msgspec.json.encode((request.method, request.scope["path"], str(request.scope["query_string"])))
    return IdempotentRequest(digest(whose.decode()), hashlib.sha256(sent + body).hexdigest())
