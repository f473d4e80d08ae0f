"""`Idempotency-Key` on the platform's POSTs: sent again, a request has its first answer again, for 24 hours.

What is done to a tenant outlives any one transaction, so the answer cannot be kept with it. A creation writes its
key in the transaction that registers the tenant: after a crash the same key finds the tenant and waits for it.
Every other POST here may be repeated; its claim lasts as long as a request may, so that one whose process died
stands in nobody's way. Answers are sealed with the installation's key.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
from litestar import Request, Response

from controlplane.registry.idempotency_keys import (
    KeptAnswer,
    claim_or_find,
    find_answer,
    keep_answer,
    release_key,
)
from controlplane.registry.tenants import RegisteredTenant, find_tenant, tenant_removed
from controlplane.services import PlatformServices, services_of
from core.clock import now_ms
from core.database import Database
from core.http.idempotency import KEPT_MS, idempotent_request
from core.tenants import RequestKey, TenantState
from keystead_sdk.litestar import principal_of

AnyRequest = Request[Any, Any, Any]
Act = Callable[[], Awaitable[dict[str, Any]]]

SEALED_FOR = "idempotency answers"
BEYOND_THE_LIMIT_MS = 5_000
POLL_SECONDS = 0.02


async def answered_once(request: AnyRequest, act: Act, *, status: int = 200) -> Response[Any]:
    """Do what may be repeated. Refused, it leaves the key free."""
    key = await request_key(request)
    if key is None:
        return Response(await act(), status_code=status)
    services = services_of(request)
    now = now_ms(services.clock)
    lease = int(services.settings.converge_seconds * 1000) + BEYOND_THE_LIMIT_MS
    kept = await services.registry.write(claim_or_find, replace(key, expires_at=now + lease), now)
    if kept is None:
        try:
            body = await act()
        except BaseException:
            await services.registry.write(release_key, key)
            raise
        kept = await _keep(services, key, body, status)
    return _answer(services, kept)


async def request_key(request: AnyRequest) -> RequestKey | None:
    principal = principal_of(request)
    caller = (principal.issuer, principal.subject, principal.client_id, principal.org_id)
    sent = idempotent_request(request, await request.body(), caller)
    if sent is None:
        return None
    until = now_ms(services_of(request).clock) + KEPT_MS
    return RequestKey(digest=sent.digest, request_digest=sent.request_digest, expires_at=until)


def of_creation(services: PlatformServices, key: RequestKey, tenant_id: str) -> RequestKey:
    """The key as it is written beside the tenant."""
    made = services.key.seal(SEALED_FOR, msgspec.json.encode({"tenant_id": tenant_id}))
    return replace(key, made=made)


async def is_used(services: PlatformServices, key: RequestKey) -> bool:
    return await services.registry.read(find_answer, key, now_ms(services.clock)) is not None


async def answer_of_creation(
    services: PlatformServices, key: RequestKey, described: Callable[[str], Awaitable[dict[str, Any]]]
) -> Response[Any]:
    """What the key's first request answered, or would have answered had its process lived."""
    found = await services.registry.read(find_answer, key, now_ms(services.clock))
    if found is None:
        raise tenant_removed()
    if found.status is None:
        tenant_id = _opened(services, found)["tenant_id"]
        await settled(services.registry, tenant_id, services.settings.converge_seconds)
        found = await _keep(services, key, await described(tenant_id), 201)
    return _answer(services, found)


async def settled(registry: Database, tenant_id: str, seconds: float) -> RegisteredTenant:
    """Somebody makes the tenant, this process or a worker: wait for it as long as its maker would have."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        tenant = await registry.read(find_tenant, tenant_id)
        if tenant is None:
            raise tenant_removed()
        if tenant.state != TenantState.PROVISIONING or asyncio.get_running_loop().time() >= deadline:
            return tenant
        await asyncio.sleep(POLL_SECONDS)


async def _keep(services: PlatformServices, key: RequestKey, body: dict[str, Any], status: int) -> KeptAnswer:
    now = now_ms(services.clock)
    sealed = services.key.seal(SEALED_FOR, msgspec.json.encode(body))
    return await services.registry.write(
        keep_answer, key, now, status=status, body=sealed, until=now + KEPT_MS
    )


def _opened(services: PlatformServices, kept: KeptAnswer) -> dict[str, Any]:
    assert kept.body is not None
    body: dict[str, Any] = msgspec.json.decode(services.key.open(SEALED_FOR, kept.body))
    return body


def _answer(services: PlatformServices, kept: KeptAnswer) -> Response[Any]:
    assert kept.status is not None
    return Response(_opened(services, kept), status_code=kept.status)
