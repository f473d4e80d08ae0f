"""What the process says of itself: `/health` and `/ready`. Names no tenant: anybody may ask."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from time import monotonic
from typing import Literal

import msgspec

from core.errors import IdentityError, Unavailable
from core.http.edge import AsgiApp, Receive, Scope, Send
from provisioning.platform import Platform
from sync.catalogue import load_wanted

Health = Literal["ok", "degraded"]
TROUBLE_SECONDS = 30.0
MOST_TROUBLED = 1000


class Vitals:
    """Whether all is well. A tenant that answered 503 lately is trouble, and so are a registry that is away and what
    was to be done with a tenant and failed; none of them is the end of the others."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._troubled: dict[str, float] = {}
        self._leaves = False

    def note(self, status: int, tenant_id: str | None) -> None:
        if tenant_id is None or status != HTTPStatus.SERVICE_UNAVAILABLE:
            return
        if len(self._troubled) < MOST_TROUBLED:
            self._troubled[tenant_id] = monotonic() + TROUBLE_SECONDS

    def health(self) -> Health:
        now = monotonic()
        self._troubled = {tenant: until for tenant, until in self._troubled.items() if until > now}
        is_troubled = self._troubled or self._platform.directory.is_away or self._has_failed()
        return "degraded" if is_troubled else "ok"

    def _has_failed(self) -> bool:
        platform = self._platform
        return bool(
            platform.migrations.failing or platform.backup_schedule.failing or platform.worker.failing
        )

    def leave(self) -> None:
        """Not ready from now on: whoever spreads requests over servers shall send no more."""
        self._leaves = True

    async def check_ready(self) -> None:
        """Raises when the process is about to end, and when not even tenant one can be found."""
        if self._leaves:
            raise Unavailable("Leaving.")
        await self._platform.directory.control_plane()

    async def wanted(self) -> tuple[str, int] | None:
        """What tenant one wants of all tenants now; None while it cannot be read."""
        try:
            one = await self._platform.directory.control_plane()
            return await one.database.snapshot(load_wanted)
        except Unavailable:
            return None


def process_app(
    health: Callable[[], Health],
    check: Callable[[], Awaitable[None]],
    refuse: Callable[[Scope, IdentityError], AsgiApp],
) -> AsgiApp:
    """`health` is *degraded* while something is wrong with some tenant or with the registry; `check` raises when
    nothing can be served."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/health":
            await _answer(send, {"status": health()})
            return
        try:
            await check()
        except IdentityError:
            await refuse(scope, Unavailable("Not ready."))(scope, receive, send)
            return
        await _answer(send, {"status": "ready"})

    return app


async def _answer(send: Send, body: dict[str, str]) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(body)})
