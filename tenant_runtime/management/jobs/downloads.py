"""What an export made, by a link: for one job of this tenant, for a few minutes, and for whoever has it.

A browser or a script fetches the file without a token. The link is made anew each time the job is asked for, by those
who may read users; it is signed, not stored.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator

from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Stream

from core.clock import now_ms
from core.errors import Forbidden, NotFound
from core.http.paging import parse_text
from core.http.security import is_equal
from core.tenants import Tenant
from tenant_runtime.dependencies import services_of, tenant_of
from tenant_runtime.jobs import queue

LIFETIME_MS = 5 * 60_000


class LinkOver(Forbidden):
    code = "invalid_link"
    description = "This link is wrong or was made too long ago. Ask for the job again to have a new one."


def link_to(tenant: Tenant, job_id: str, now: int) -> str:
    until = now + LIFETIME_MS
    return f"{tenant.issuer}api/v2/jobs/{job_id}/file?until={until}&signature={_signature(tenant, job_id, until)}"


def _signature(tenant: Tenant, job_id: str, until: int) -> str:
    made = hmac.digest(tenant.data_key.derive("links to exports"), f"{job_id}\0{until}".encode(), "sha256")
    return urlsafe_b64encode(made).decode().rstrip("=")


@get("/jobs/{id:str}/file", include_in_schema=False)
async def download_export(request: Request, id: FromPath[str]) -> Stream:
    tenant, now = tenant_of(request), now_ms(services_of(request).clock)
    _check_link(request, tenant, id, now)
    job = await tenant.database.read(queue.find, id)
    if job is None or job.type != queue.EXPORT or job.status != "completed":
        raise NotFound("job")
    name = f"{id}.{job.parameters['format']}.gz"
    return Stream(
        _content(tenant, id),
        media_type="application/gzip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _check_link(request: Request, tenant: Tenant, job_id: str, now: int) -> None:
    until = parse_text(request.query_params, "until") or ""
    signature = parse_text(request.query_params, "signature") or ""
    if not (until.isascii() and until.isdigit() and len(until) < 16):
        raise LinkOver()
    if not is_equal(signature, _signature(tenant, job_id, int(until))) or int(until) < now:
        raise LinkOver()


async def _content(tenant: Tenant, job_id: str) -> AsyncIterator[bytes]:
    for number in await tenant.database.read(queue.numbers, job_id, "output"):
        content = await tenant.database.read(queue.part, job_id, "output", number)
        if content is not None:
            yield queue.opened(tenant.data_key, job_id, "output", number, content)


handlers = [download_export]
