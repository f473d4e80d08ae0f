"""What OpenAPI documents say of refusals: every operation may answer them, in one shape (Auth0's four fields)."""

from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct


class Refusal(Struct, kw_only=True):
    statusCode: int
    error: str
    message: str
    errorCode: str


_TOLD = {
    400: "The body, the query or what they refer to is not as it must be.",
    401: "No token, or not a good one.",
    403: "A permission is lacking, the token does not reach this tenant, or the entity is a system resource.",
    404: "What the path or the body names does not exist.",
    409: "It exists already, or something else stands against it now.",
    413: "The body is too large.",
    415: "The content type is not what is taken here.",
    422: "An Idempotency-Key that came with another body before.",
    429: "Too many requests.",
    503: "Something that is needed does not answer now.",
}
RESPONSES: dict[int, Any] = {
    status: ResponseSpec(Refusal, generate_examples=False, description=told) for status, told in _TOLD.items()
}
