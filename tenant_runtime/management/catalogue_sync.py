"""`?wait=sync`: on tenant one, answer a change of the catalogue only when the tenants hold it.

The change itself is committed and answered either way; what is waited for, and how much of it is still missing when
the installation's time limit passes, stands in a header (`specs/tenancy.md` section 5).
"""

from typing import Any

from litestar import Response

from core.errors import InvalidQuery
from core.http.paging import parse_text
from tenant_runtime.management.calls import Call

HEADER = "Keystead-Sync"


def check_wait(call: Call) -> bool:
    """Asked before the change, so that a malformed question changes nothing."""
    asked = parse_text(call.request.query_params, "wait")
    if asked not in (None, "sync"):
        raise InvalidQuery("The parameter 'wait' must be sync.")
    return asked is not None and call.tenant.is_control_plane and call.services.lifecycle is not None


async def waited(call: Call, is_waiting: bool, answer: Any) -> Response[Any]:
    if not is_waiting or call.services.lifecycle is None:
        return Response(answer)
    lagging = await call.services.lifecycle.wait_synced()
    state = f"pending;lagging={lagging}" if lagging else "converged"
    return Response(answer, headers={HEADER: state})
