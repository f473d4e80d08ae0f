"""Custom domains as Auth0 shows them.

Two databases are written: first the registry, which decides, then the tenant's own, with the event and the answer
that an `Idempotency-Key` gets again. Whoever dies in between has done the first; sent again, the second follows.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import Connection

from core.clock import to_iso
from core.domains import Certificates, CustomDomain, CustomDomains, WantedDomain
from core.errors import Conflict, Forbidden, InvalidInput, NotFound
from core.http.paging import (
    Checkpoint,
    checkpoint_answer,
    decode_cursor,
    encode_cursor,
    offset_answer,
    parse_checkpoint,
    parse_fields,
    parse_offset,
)
from core.ids import digest, new_id
from tenant_runtime.limits import Limit, take
from tenant_runtime.management.apis.resource_servers import is_of_issuer
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.editing import Body, Maybe, merged, named
from tenant_runtime.management.routing import changing, creating, reading, removing

PATH = "/custom-domains"
_LOOKS = (Limit(10, 60_000), Limit(100, 3_600_000))
"""For the proof of one domain: each look asks a stranger's server."""

Text = Annotated[str, Meta(max_length=255)]
Metadata = Annotated[dict[Text, Text], Meta(max_length=10)]
MetadataChange = Annotated[dict[Text, Text | None], Meta(max_length=10)]
TlsPolicy = Literal["recommended"]


class CustomDomainIn(Body):
    domain: Annotated[str, Meta(min_length=1, max_length=253)]
    type: Certificates
    verification_method: Literal["txt", "http"] = "txt"
    tls_policy: TlsPolicy = "recommended"
    custom_client_ip_header: str | None = None
    domain_metadata: Maybe[Metadata] = UNSET


class CustomDomainPatch(Body):
    tls_policy: Maybe[TlsPolicy] = UNSET
    custom_client_ip_header: Maybe[str | None] = UNSET
    domain_metadata: Maybe[MetadataChange | None] = UNSET


class PrimaryDomain(Body):
    domain: Annotated[str, Meta(min_length=1, max_length=253)]


@reading(PATH, "read:custom_domains")
async def list_custom_domains(call: CallOf) -> Any:
    query, found = call.request.query_params, await _all(call)
    fields = parse_fields(query)
    items = [fields.apply(shape(domain)) for domain in found]
    checkpoint = parse_checkpoint(query)
    if checkpoint is not None:
        return _page(call, found, items, checkpoint)
    asked = parse_offset(query)
    return offset_answer(
        items[asked.offset : asked.offset + asked.limit], "custom_domains", asked, len(items)
    )


@reading(f"{PATH}/default", "read:custom_domains")
async def get_default_custom_domain(call: CallOf) -> dict[str, Any]:
    """The one that mails name: a custom domain, or the host that the installation gave."""
    return _default(call, await _all(call))


@reading(f"{PATH}/{{id:str}}", "read:custom_domains")
async def get_custom_domain(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return parse_fields(call.request.query_params).apply(shape(await _one(call, id)))


@creating(PATH, "create:custom_domains")
async def create_custom_domain(call: CallOf, data: JSONBody[CustomDomainIn]) -> dict[str, Any]:
    _refuse_header(data.custom_client_ip_header)
    domains = _domains(call)
    sent = await call.sent_before()
    if sent.answer is not None:
        return sent.answer
    id = new_id("cd") if sent.claim is None else f"cd_{digest(f'{sent.claim.digest} {data.domain}')[:16]}"
    wanted = WantedDomain(
        domain=data.domain,
        type=data.type,
        method=data.verification_method,
        tls_policy=data.tls_policy,
        domain_metadata={} if data.domain_metadata is UNSET else data.domain_metadata,
    )
    made = shape(await domains.claim(call.tenant.id, id, wanted, call.now))
    return await call.write(_told, made, None, made)


@changing(f"{PATH}/default", "update:custom_domains")
async def update_default_custom_domain(call: CallOf, data: JSONBody[PrimaryDomain]) -> dict[str, Any]:
    domains, found = _domains(call), await _all(call)
    before = _default(call, found)
    chosen = next((domain.id for domain in found if domain.domain == data.domain), None)
    if chosen is None and data.domain != _given(call):
        raise NotFound("custom_domain")
    await domains.make_primary(call.tenant.id, chosen)
    after = _default(call, await _all(call))
    return await call.write(_told, after, before, after)


@changing(f"{PATH}/{{id:str}}", "update:custom_domains")
async def update_custom_domain(
    call: CallOf, id: FromPath[str], data: JSONBody[CustomDomainPatch]
) -> dict[str, Any]:
    if data.custom_client_ip_header is not UNSET:
        _refuse_header(data.custom_client_ip_header)
    before = await _one(call, id)
    changes = {name: value for name, value in named(data).items() if name != "custom_client_ip_header"}
    if "domain_metadata" in changes:
        changes["domain_metadata"] = merged(before.domain_metadata, changes["domain_metadata"])
    after = await _domains(call).change(call.tenant.id, id, changes)
    return await call.write(_told, shape(after), shape(before), shape(after))


@creating(f"{PATH}/{{id:str}}/verify", "create:custom_domains", status_code=200)
async def verify_custom_domain(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    before = await _one(call, id)
    domains = _domains(call)
    await _refuse_double(call, before)
    await call.tenant.database.write(_look, before.id, call.now)
    after = await domains.verify(call.tenant.id, id, call.now)
    return await call.write(_told, shape(after), shape(before), shape(after))


@removing(f"{PATH}/{{id:str}}", "delete:custom_domains")
async def delete_custom_domain(call: CallOf, id: FromPath[str]) -> None:
    before = next((domain for domain in await _all(call) if domain.id == id), None)
    if before is None:
        return
    await _domains(call).release(call.tenant.id, id, call.now)
    await call.write(_told, None, shape(before), None)


def shape(domain: CustomDomain) -> dict[str, Any]:
    proof = domain.proof
    where = {"domain": proof.place} if proof.method == "txt" else {"url": proof.place}
    verification: dict[str, Any] = {"methods": [{"name": proof.method, "record": proof.value, **where}]}
    if domain.checked_at is not None:
        verification["status"] = "verified" if domain.problem is None else "failed"
        verification["last_verified_at"] = to_iso(domain.checked_at)
    if domain.problem is not None:
        verification["error_msg"] = domain.problem
    return {
        "custom_domain_id": domain.id,
        "domain": domain.domain,
        "primary": domain.is_primary,
        "is_default": domain.is_primary,
        "status": "ready" if domain.is_ready else "pending_verification",
        "type": domain.type,
        "tls_policy": domain.tls_policy,
        "domain_metadata": dict(domain.domain_metadata),
        "verification": verification,
        "created_at": to_iso(domain.created_at),
    }


def _domains(call: Call) -> CustomDomains:
    if call.services.custom_domains is None or call.tenant.is_control_plane:
        raise Forbidden(
            "The control plane has the host that the installation gives it.", code="operation_not_supported"
        )
    return call.services.custom_domains


async def _all(call: Call) -> Sequence[CustomDomain]:
    if call.services.custom_domains is None or call.tenant.is_control_plane:
        return ()
    return await call.services.custom_domains.all(call.tenant.id)


async def _one(call: Call, id: str) -> CustomDomain:
    found = next((domain for domain in await _all(call) if domain.id == id), None)
    if found is None:
        raise NotFound("custom_domain")
    return found


def _page(
    call: Call, found: Sequence[CustomDomain], items: list[dict[str, Any]], asked: Checkpoint
) -> dict[str, Any]:
    key, begin = call.tenant.data_key.derive("page tokens"), 0
    if asked.after is not None:
        created_at, id = decode_cursor(key, call.tenant.id, PATH, asked.after)
        later = ((domain.created_at, domain.id) <= (created_at, id) for domain in found)
        begin = sum(later)
    shown, is_last = items[begin : begin + asked.take], begin + asked.take >= len(items)
    if is_last:
        return checkpoint_answer(shown, "custom_domains", None)
    last = found[begin + asked.take - 1]
    token = encode_cursor(key, call.tenant.id, PATH, (last.created_at, last.id))
    return checkpoint_answer(shown, "custom_domains", token)


def _default(call: Call, found: Sequence[CustomDomain]) -> dict[str, Any]:
    primary = next((domain for domain in found if domain.is_primary), None)
    return {"domain": _given(call), "primary": True} if primary is None else shape(primary)


def _given(call: Call) -> str:
    settings = call.services.settings
    return (
        settings.control_plane_host if call.tenant.is_control_plane else settings.tenant_host(call.tenant.id)
    )


def _refuse_header(header: Any) -> None:
    if header is not None:
        raise InvalidInput(
            "`custom_client_ip_header` is not supported: which proxies are believed is the installation's to say."
        )


async def _refuse_double(call: Call, domain: CustomDomain) -> None:
    """An API by a name of the issuer that the tenant would have: see `access`, which does not take it for its own."""
    known = (await call.configuration()).audiences
    if any(is_of_issuer(identifier, (f"{domain.origin}/",)) for identifier in known):
        raise Conflict(
            "An API has an address of this domain as its identifier.", code="custom_domain_conflict"
        )


def _look(connection: Connection, id: str, now: int) -> None:
    take(connection, "custom domain", id, now, _LOOKS)


def _told(connection: Connection, answer: Any, before: Any, after: Any) -> Written:
    return Written(answer=answer, before=before, after=after)


handlers = [
    list_custom_domains,
    get_default_custom_domain,
    get_custom_domain,
    create_custom_domain,
    update_default_custom_domain,
    update_custom_domain,
    verify_custom_domain,
    delete_custom_domain,
]
