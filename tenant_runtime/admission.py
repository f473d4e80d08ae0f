"""What one tenant, and one caller of it, may ask of this process at all (`docs/limits.md`): ASGI around the routes.

Two bounds, both before anything is looked up: how often (`core.http.allowances`; the Management API counts its callers
by themselves, once they are known), and how many requests of one tenant are worked on at the same time. The second
begins when a request has come as a whole: who sends slowly holds no place of the tenant's.
"""

from collections.abc import Mapping
from typing import Any

from core.clock import now_ms
from core.errors import RateLimited
from core.http.allowances import BY_PATH, kind_of, seconds
from core.http.edge import AsgiApp, Receive, Scope, Send
from core.http.networks import network_of
from core.tenants import Tenant
from tenant_runtime.audit import Event
from tenant_runtime.dependencies import Services
from tenant_runtime.registration.rates import Rate

CONCURRENCY = "concurrency"
TOLD = Rate(1, 60)
"""Of each tenant and kind: a flood is told of once a minute."""


class Places:
    """Requests that are worked on now, by tenant."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def take(self, tenant_id: str, most: int) -> bool:
        taken = self._taken.get(tenant_id, 0)
        if taken >= most:
            return False
        self._taken[tenant_id] = taken + 1
        return True

    def give_back(self, tenant_id: str) -> None:
        left = self._taken[tenant_id] - 1
        if left:
            self._taken[tenant_id] = left
        else:
            del self._taken[tenant_id]

    def __len__(self) -> int:
        return len(self._taken)


class Admission:
    def __init__(self, services: Services, routes: AsgiApp) -> None:
        self._services = services
        self._routes = routes
        self._most = services.settings.tenant_concurrency
        self.places = Places()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tenant: Tenant = scope["state"]["tenant"]
        kind = kind_of(scope["path"])
        if kind is not None:
            self._count(scope, tenant, kind)
        place = _Place(self, scope, tenant, receive)
        try:
            if scope["method"] in ("GET", "HEAD"):
                place.take()
                await self._routes(scope, receive, send)
            else:
                await self._routes(scope, place.receive, send)
        finally:
            place.give_back()

    def _count(self, scope: Scope, tenant: Tenant, kind: str) -> None:
        caller = network_of(scope["state"]["client_ip"])
        if kind in BY_PATH:
            caller = f"{caller} {scope['path']}"
        wait = self._services.allowances.count(kind, (tenant.id, tenant.incarnation), caller, tenant.limits)
        if wait > 0.0:
            raise too_many(self._services, scope["state"], tenant, kind, wait)

    def most_of(self, tenant: Tenant) -> int:
        return tenant.limits.get(CONCURRENCY, self._most)

    def too_busy(self, scope: Scope, tenant: Tenant) -> RateLimited:
        return too_many(self._services, scope["state"], tenant, CONCURRENCY, 1.0)


class _Place:
    """One request's, taken once at most."""

    __slots__ = ("_admission", "_is_taken", "_receive", "_scope", "_tenant")

    def __init__(self, admission: Admission, scope: Scope, tenant: Tenant, receive: Receive) -> None:
        self._admission = admission
        self._scope = scope
        self._tenant = tenant
        self._receive = receive
        self._is_taken = False

    async def receive(self) -> Any:
        message = await self._receive()
        if not self._is_taken and message["type"] == "http.request" and not message.get("more_body"):
            self.take()
        return message

    def take(self) -> None:
        admission, tenant = self._admission, self._tenant
        if not admission.places.take(tenant.id, admission.most_of(tenant)):
            raise admission.too_busy(self._scope, tenant)
        self._is_taken = True

    def give_back(self) -> None:
        if self._is_taken:
            self._admission.places.give_back(self._tenant.id)


def too_many(
    services: Services, state: Mapping[str, Any], tenant: Tenant, kind: str, wait: float
) -> RateLimited:
    """The refusal; the tenant's log hears of it now and then."""
    now = now_ms(services.clock)
    try:
        services.rates.count(TOLD, ("told", tenant.id, tenant.incarnation, kind), now)
    except RateLimited:
        return RateLimited(retry_after=seconds(wait))
    event = Event(
        type="api_limit",
        created_at=now,
        description=f"Too many requests: {kind}.",
        ip=str(state["client_ip"]),
        request_id=str(state["request_id"]),
    )
    services.audit.add(tenant, event)
    return RateLimited(retry_after=seconds(wait))
