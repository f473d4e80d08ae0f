"""The platform API as one ASGI application, mounted by `entrypoints/` on the control-plane host."""

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from controlplane import fleet, operations, tenants
from controlplane.access import as_platform
from controlplane.services import PlatformServices
from keystead_sdk.litestar import authenticate

BODY_LIMIT = 64 * 1024


def create_platform_app(services: PlatformServices) -> Litestar:
    router = Router(
        "/api/v2",
        route_handlers=[*tenants.handlers, *operations.handlers, *fleet.handlers],
        guards=[authenticate(services.verifier)],
        security=[{"bearer": []}],
        request_max_body_size=BODY_LIMIT,
    )
    return Litestar(
        [router],
        exception_handlers={Exception: as_platform},
        state=State({"services": services}),
        openapi_config=OpenAPIConfig(
            title="Keystead platform API",
            version="1",
            components=Components(
                security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
            ),
            render_plugins=[],
        ),
        logging_config=None,
        debug=False,
    )
