"""Auth0's bodies. Shields and lists are taken whole; a `stage` changes only the stages, and the members of each, that
it names."""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType, field
from sqlalchemy import Connection

from core.errors import InvalidInput
from core.tenants import Tenant
from tenant_runtime.attack_protection.documents import (
    BREACHED_PASSWORDS,
    BRUTE_FORCE,
    SUSPICIOUS_IP,
    Attempts,
    Frequency,
    Shield,
)
from tenant_runtime.documents import Document
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.documents import change, read, shape, show
from tenant_runtime.management.editing import Body, Maybe, named
from tenant_runtime.management.routing import changing, reading

READ, UPDATE = "read:attack_protection", "update:attack_protection"
Allowlist = Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=100)]
Count = Annotated[int, Meta(ge=1, le=100_000)]
Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]


class BruteForcePatch(Body):
    enabled: Maybe[bool | None] = UNSET
    shields: Maybe[list[Literal["block", "user_notification"]] | None] = UNSET
    mode: Maybe[Literal["count_per_identifier", "count_per_identifier_and_ip"] | None] = UNSET
    allowlist: Maybe[Allowlist | None] = UNSET
    max_attempts: Maybe[Attempts | None] = UNSET


class ThrottlePatch(Body):
    max_attempts: Maybe[Count] = UNSET
    rate: Maybe[Milliseconds] = UNSET


class ThrottledStagesPatch(Body):
    login: ThrottlePatch | UnsetType = field(default=UNSET, name="pre-login")
    registration: ThrottlePatch | UnsetType = field(default=UNSET, name="pre-user-registration")


class SuspiciousIpPatch(Body):
    enabled: Maybe[bool | None] = UNSET
    shields: Maybe[list[Literal["block", "admin_notification"]] | None] = UNSET
    allowlist: Maybe[Allowlist | None] = UNSET
    stage: Maybe[ThrottledStagesPatch | None] = UNSET


class ShieldedStagePatch(Body):
    shields: Maybe[list[Literal["block", "admin_notification"]]] = UNSET


class ShieldedStagesPatch(Body):
    registration: ShieldedStagePatch | UnsetType = field(default=UNSET, name="pre-user-registration")
    change: ShieldedStagePatch | UnsetType = field(default=UNSET, name="pre-change-password")


class BreachedPasswordsPatch(Body):
    enabled: Maybe[bool | None] = UNSET
    shields: Maybe[list[Shield] | None] = UNSET
    admin_notification_frequency: Maybe[list[Frequency] | None] = UNSET
    method: Maybe[Literal["standard"] | None] = UNSET
    stage: Maybe[ShieldedStagesPatch | None] = UNSET


@reading("/attack-protection/brute-force-protection", READ)
async def get_brute_force_protection(call: CallOf) -> dict[str, Any]:
    return await show(call, BRUTE_FORCE)


@changing("/attack-protection/brute-force-protection", UPDATE)
async def update_brute_force_protection(call: CallOf, data: JSONBody[BruteForcePatch]) -> dict[str, Any]:
    return await _patch(call, BRUTE_FORCE, named(data))


@reading("/attack-protection/suspicious-ip-throttling", READ)
async def get_suspicious_ip_throttling(call: CallOf) -> dict[str, Any]:
    return await show(call, SUSPICIOUS_IP)


@changing("/attack-protection/suspicious-ip-throttling", UPDATE)
async def update_suspicious_ip_throttling(call: CallOf, data: JSONBody[SuspiciousIpPatch]) -> dict[str, Any]:
    return await _patch(call, SUSPICIOUS_IP, named(data))


@reading("/attack-protection/breached-password-detection", READ)
async def get_breached_password_detection(call: CallOf) -> dict[str, Any]:
    return await show(call, BREACHED_PASSWORDS)


@changing("/attack-protection/breached-password-detection", UPDATE)
async def update_breached_password_detection(
    call: CallOf, data: JSONBody[BreachedPasswordsPatch]
) -> dict[str, Any]:
    return await _patch(call, BREACHED_PASSWORDS, named(data))


handlers = [
    get_brute_force_protection,
    update_brute_force_protection,
    get_suspicious_ip_throttling,
    update_suspicious_ip_throttling,
    get_breached_password_detection,
    update_breached_password_detection,
]


async def _patch(call: CallOf, document: Document[Any], members: Mapping[str, Any]) -> dict[str, Any]:
    _check_allowlist(members.get("allowlist") or ())
    answer: dict[str, Any] = await call.write(_change, call.tenant, document, members)
    return answer


def _change(
    connection: Connection, tenant: Tenant, document: Document[Any], members: Mapping[str, Any]
) -> Written:
    wanted = {name: _once(value) for name, value in members.items()}
    if wanted.get("stage") is not None:
        present = shape(read(connection, document), document)["stage"]
        wanted["stage"] = {
            name: {**stage, **_once(wanted["stage"].get(name, {}))} for name, stage in present.items()
        }
    return change(connection, tenant, document, wanted)


def _once(value: Any) -> Any:
    """Lists without what they repeat."""
    match value:
        case list():
            return list(dict.fromkeys(value))
        case dict():
            return {name: _once(item) for name, item in value.items()}
    return value


def _check_allowlist(allowlist: Any) -> None:
    for text in allowlist:
        try:
            ip_network(text, strict=False)
        except ValueError:
            raise InvalidInput("`allowlist` must hold addresses and networks (CIDR).") from None
