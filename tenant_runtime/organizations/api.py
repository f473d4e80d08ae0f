"""Every endpoint of `/api/auth`, and the router that serves them."""

from litestar import Router
from litestar.datastructures import ResponseHeader
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from core.http.security import API_HEADERS
from tenant_runtime.organizations.accounts import endpoints as accounts
from tenant_runtime.organizations.domains import endpoints as domains
from tenant_runtime.organizations.invitations import endpoints as invitations
from tenant_runtime.organizations.joining import endpoints as joining
from tenant_runtime.organizations.lifecycle import endpoints as lifecycle
from tenant_runtime.organizations.people import endpoints as people
from tenant_runtime.organizations.policies import endpoints as policies
from tenant_runtime.organizations.roles import endpoints as roles
from tenant_runtime.organizations.teams import endpoints as teams
from tenant_runtime.organizations.wire.calls import call_of, read_endpoint
from tenant_runtime.organizations.wire.door import at_the_door
from tenant_runtime.organizations.wire.errors import renderer

BASE = "/api/auth"
MAX_BODY = 256 * 1024


@read_endpoint("/ok")
async def ok() -> dict[str, bool]:
    return {"ok": True}


handlers: list[ControllerRouterHandler] = [
    ok,
    *accounts.handlers,
    *domains.handlers,
    *invitations.handlers,
    *joining.handlers,
    *lifecycle.handlers,
    *people.handlers,
    *policies.handlers,
    *roles.handlers,
    *teams.handlers,
]


def router() -> Router:
    return Router(
        BASE,
        route_handlers=handlers,
        before_request=at_the_door,
        dependencies={"call": Provide(call_of, sync_to_thread=False)},
        exception_handlers={Exception: renderer()},
        request_max_body_size=MAX_BODY,
        response_headers=[ResponseHeader(name=name, value=value) for name, value in API_HEADERS.items()],
        include_in_schema=False,
    )
