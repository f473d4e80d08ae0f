"""Resources of Auth0's Management API that do not exist here.

They are forbidden, not missing: Auth0's deploy tool leaves out what it may not read, stops at a 404 and retries a
501 for minutes (`specs/management-api.md` section 1). The token is checked first all the same.
"""

from typing import Any

from litestar import route
from litestar.params import FromPath

from core.errors import InsufficientScope
from tenant_runtime.management.access import admitted
from tenant_runtime.management.calls import CallOf
from tenant_runtime.management.routing import reading

_PARENTS = (
    "anomaly",
    "attack-protection",
    "branding",
    "client-grants",
    "clients",
    "connections",
    "custom-domains",
    "device-credentials",
    "event-streams",
    "jobs",
    "keys",
    "log-streams",
    "logs",
    "organizations",
    "prompts",
    "refresh-tokens",
    "resource-servers",
    "roles",
    "sessions",
    "user-blocks",
    "users",
)
"""Where a path goes on below a resource that does exist, the general route is not asked."""


_NO_SUCH_KIND = (
    "/attack-protection",
    "/attack-protection/{kind:str}",
    "/anomaly",
    "/anomaly/blocks",
    "/anomaly/blocks/ips",
    "/anomaly/{kind:str}",
    "/branding/{kind:str}",
    "/jobs",
    "/prompts/{kind:str}",
)


class _KnownCaller:
    """The guard of what nobody may do."""

    permissions: tuple[str, ...] = ()

    async def __call__(self, connection: Any, _: Any) -> None:
        connection.scope["state"]["actor"] = await admitted(connection)


@reading("/actions/actions", "read:clients", "read:resource_servers", "read:tenant_settings")
async def list_actions(call: CallOf) -> dict[str, Any]:
    return {"actions": [], "total": 0, "page": 0, "per_page": 50}


def _for_nobody(*paths: str) -> Any:
    return route(
        list(paths),
        http_method=["GET", "POST", "PUT", "PATCH", "DELETE"],
        guards=[_KnownCaller()],
        include_in_schema=False,
        status_code=200,
    )


@_for_nobody("/{path:path}", *(f"/{name}/{{key:str}}/{{path:path}}" for name in _PARENTS))
async def absent_resource(path: FromPath[str]) -> None:
    raise InsufficientScope()


@_for_nobody("/keys", "/keys/{kind:str}", "/sessions", "/tickets", "/tickets/{kind:str}", *_NO_SUCH_KIND)
async def absent_kinds() -> None:
    """Of Auth0's kinds of keys there are those that sign, of its tickets two; sessions are listed by user."""
    raise InsufficientScope()


handlers = [list_actions, absent_resource, absent_kinds]
