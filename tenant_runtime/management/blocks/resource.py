"""Blocks of users by identifier or id, and of addresses. What is counted for unknown identifiers is not shown."""

from ipaddress import ip_address
from typing import Any

from litestar.params import FromPath
from sqlalchemy import Connection, bindparam, or_, select

from core.errors import InvalidQuery, NotFound
from core.http.paging import parse_boolean, parse_text
from tenant_runtime.attack_protection import brute_force, suspicious_addresses
from tenant_runtime.attack_protection.documents import BRUTE_FORCE, SUSPICIOUS_IP
from tenant_runtime.configuration import Configuration
from tenant_runtime.login.emails import normal_email
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.routing import reading, removing
from tenant_runtime.models import User

_u = User.__table__.c
_IDENTIFIERS = select(_u.user_id, _u.email, _u.username, _u.phone_number)
_BY_ID = _IDENTIFIERS.where(_u.user_id == bindparam("of"))
_BY_IDENTIFIER = _IDENTIFIERS.where(
    or_(_u.email == bindparam("email"), _u.username == bindparam("of"), _u.phone_number == bindparam("of"))
)


@reading("/user-blocks", "read:users")
async def get_user_blocks_by_identifier(call: CallOf) -> dict[str, Any]:
    return await _shown(call, identifier=_identifier(call))


@removing("/user-blocks", "update:users")
async def delete_user_blocks_by_identifier(call: CallOf) -> None:
    await call.write(_unblock, call.actor, None, _identifier(call))


@reading("/user-blocks/{id:str}", "read:users")
async def get_user_blocks(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return await _shown(call, user_id=id)


@removing("/user-blocks/{id:str}", "update:users")
async def delete_user_blocks(call: CallOf, id: FromPath[str]) -> None:
    await call.write(_unblock, call.actor, id, None)


@reading("/anomaly/blocks/ips/{id:str}", "read:anomaly_blocks", status_code=200)
async def check_blocked_ip(call: CallOf, id: FromPath[str]) -> None:
    """200 while it is blocked, 404 while it is not, as Auth0 answers it."""
    current, ip = await call.configuration(), _address(id)
    if not await call.read(_is_blocked, current, ip, call.now):
        raise NotFound("blocked_ip", "The address is not blocked.")


@removing("/anomaly/blocks/ips/{id:str}", "delete:anomaly_blocks")
async def unblock_ip(call: CallOf, id: FromPath[str]) -> None:
    ip = _address(id)
    await call.write(_forget, await call.configuration(), ip, call.now)


handlers = [
    get_user_blocks_by_identifier,
    delete_user_blocks_by_identifier,
    get_user_blocks,
    delete_user_blocks,
    check_blocked_ip,
    unblock_ip,
]


def _identifier(call: Call) -> str:
    identifier = parse_text(call.request.query_params, "identifier")
    if not identifier:
        raise InvalidQuery("The parameter 'identifier' is missing.")
    return identifier


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise NotFound("blocked_ip", "This is no address.") from None


async def _shown(call: Call, *, user_id: str | None = None, identifier: str | None = None) -> dict[str, Any]:
    considers = parse_boolean(call.request.query_params, "consider_brute_force_enablement", default=False)
    enabled = (await call.configuration()).documents.value(BRUTE_FORCE).enabled
    found = await call.read(_blocked_for, user_id, identifier, call.now)
    return {"blocked_for": found if enabled or not considers else []}


def _blocked_for(
    connection: Connection, user_id: str | None, identifier: str | None, now: int
) -> list[dict[str, str]]:
    blocked: list[dict[str, str]] = []
    for user in _users(connection, user_id, identifier):
        name = identifier or user.email or user.username or user.phone_number or user.user_id
        for ip in brute_force.blocked_addresses(connection, user.user_id, now):
            blocked.append({"identifier": name} | ({"ip": ip} if ip is not None else {}))
    return blocked


def _unblock(connection: Connection, actor: Actor, user_id: str | None, identifier: str | None) -> Written:
    """Whoever ends the wait of an operator of the platform could go on guessing their password."""
    users = _users(connection, user_id, identifier)
    for user in users:
        escalation.check_platform_user(connection, actor, user.user_id)
    lifted = [user.user_id for user in users if brute_force.unblock(connection, user.user_id)]
    return Written(before={"blocked": lifted}, after={"blocked": []})


def _users(connection: Connection, user_id: str | None, identifier: str | None) -> list[Any]:
    if user_id is not None:
        found = connection.execute(_BY_ID, {"of": user_id}).all()
    else:
        values = {"email": normal_email(identifier or ""), "of": identifier}
        found = connection.execute(_BY_IDENTIFIER, values).all()
    if not found:
        raise NotFound("user")
    return list(found)


def _is_blocked(connection: Connection, current: Configuration, ip: str, now: int) -> bool:
    rules = current.documents.value(SUSPICIOUS_IP)
    return any(
        suspicious_addresses.is_used_up(connection, rules, stage, ip, now)
        for stage in suspicious_addresses.STAGES
    )


def _forget(connection: Connection, current: Configuration, ip: str, now: int) -> Written:
    was_blocked = _is_blocked(connection, current, ip, now)
    suspicious_addresses.forget(connection, ip)
    return Written(before={"ip": ip, "blocked": was_blocked}, after={"ip": ip, "blocked": False})
