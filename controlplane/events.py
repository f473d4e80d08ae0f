"""What was done here, as an event in tenant one's log."""

from typing import Any

from litestar import Request

from controlplane.services import services_of
from keystead_sdk.litestar import principal_of


async def record(request: Request[Any, Any, Any], description: str, **details: Any) -> None:
    request_id = str(request.scope["state"].get("request_id"))
    await services_of(request).record(description, principal_of(request).subject, details, request_id)
