"""One signed POST, and what its answer means.

Anything of 2xx has arrived. A redirect is no answer: what is sent belongs to the address it was meant for. 410 says
that the receiver wants nothing any more (Standard Webhooks), and an address that may not be called stays refused.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, select

from core.clock import Clock, now_ms
from core.ids import digest
from core.outbound import Outbound, OutboundFailed, OutboundRefused
from core.tenants import Tenant
from tenant_runtime.audit.shapes import shape
from tenant_runtime.deliveries import DeliveryFailed, Sender
from tenant_runtime.models import Change, EventStream
from tenant_runtime.streams import changes
from tenant_runtime.streams.log_batches import Batch, Claimed
from tenant_runtime.streams.secrets import StreamSecrets, open_secrets
from tenant_runtime.streams.signing import signed_headers

MOST_BYTES = 512 * 1024
GONE = 410
_JSON = "application/json"
_STREAM = select(EventStream.__table__).where(EventStream.__table__.c.id == bindparam("of"))
_CHANGE = select(Change.__table__).where(Change.__table__.c.id == bindparam("of"))


async def send_logs(outbound: Outbound, tenant: Tenant, claimed: Claimed, batch: Batch, now: int) -> Batch:
    """Answers what of the batch was sent: the first part of it, where all would be too long."""
    sent, body = encoded(claimed.sink.get("httpContentFormat", "JSONLINES"), batch)
    id = f"msg_{digest(f'{claimed.id} {sent.rows[0].id} {sent.rows[-1].id}')[:32]}"
    named = {item["header"]: item["value"] for item in claimed.sink.get("httpCustomHeaders", ())}
    content_type = claimed.sink.get("httpContentType", _JSON)
    await _post(
        outbound, tenant, claimed.sink["httpEndpoint"], id, body, content_type, named, claimed.secrets, now
    )
    return sent


def encoded(content_format: str, batch: Batch) -> tuple[Batch, bytes]:
    lines, length = list[bytes](), 0
    for row in batch.rows:
        line = msgspec.json.encode({"log_id": row.id, "data": shape(row)})
        if lines and length + len(line) > MOST_BYTES:
            break
        lines.append(line)
        length += len(line) + 1
    if len(lines) < len(batch.rows):
        rows = batch.rows[: len(lines)]
        batch = Batch(rows, rows[-1].sequence, is_last=False)
    if content_format == "JSONARRAY":
        return batch, b"[" + b",".join(lines) + b"]"
    return batch, b"\n".join(lines)


def event_sender(outbound: Outbound, clock: Clock) -> Sender:
    """Of the deliveries that `changes.fan_out` enqueued."""

    async def send(tenant: Tenant, payload: Mapping[str, Any]) -> None:
        stream, change, beside = await tenant.database.read(_load, payload["stream"], payload["event"])
        if stream is None or change is None:
            raise DeliveryFailed("the stream or the event is there no more", is_final=True)
        if stream.status != "enabled":
            raise DeliveryFailed("the stream is disabled", is_final=True)
        body = msgspec.json.encode(changes.message(tenant, stream.id, change, beside))
        secrets = open_secrets(tenant.data_key, "event_streams", stream.id, stream.secrets)
        url = stream.destination["configuration"]["webhook_endpoint"]
        await _post(outbound, tenant, url, change.id, body, _JSON, {}, secrets, now_ms(clock))

    return send


def _load(connection: Connection, stream_id: str, event_id: str) -> tuple[Any, Any, Any]:
    stream = connection.execute(_STREAM, {"of": stream_id}).one_or_none()
    change = connection.execute(_CHANGE, {"of": event_id}).one_or_none()
    return stream, change, changes.rows_beside(connection, change) if change is not None else ()


async def _post(
    outbound: Outbound,
    tenant: Tenant,
    url: str,
    id: str,
    body: bytes,
    content_type: str,
    named: Mapping[str, str],
    secrets: StreamSecrets,
    now: int,
) -> None:
    headers = {**named, **secrets.headers(), **signed_headers(secrets.signers(now), id, now // 1000, body)}
    try:
        fetched = await outbound.post(url, body, content_type, headers, tenant=tenant.id)
    except OutboundRefused as refused:
        raise DeliveryFailed(str(refused), is_final=True) from refused
    except OutboundFailed as failed:
        raise DeliveryFailed(failed.reason) from failed
    if not 200 <= fetched.status < 300:
        raise DeliveryFailed(f"status {fetched.status}", is_final=fetched.status == GONE)
