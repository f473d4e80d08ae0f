"""What a password that is known from a leak comes to: at sign-in, at sign-up, and where a new one is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from core.crypto.sealing import DataKey
from core.tenants import Tenant
from tenant_runtime.attack_protection import letters
from tenant_runtime.attack_protection.documents import BREACHED_PASSWORDS, BreachedPasswords
from tenant_runtime.attack_protection.letters import TO_OWNER
from tenant_runtime.audit import Event
from tenant_runtime.configuration import Configuration
from tenant_runtime.deliveries import Outgoing
from tenant_runtime.dependencies import Services
from tenant_runtime.limits import Limit

Code = Literal["pwd_leak", "signup_pwd_leak", "reset_pwd_leak"]
"""Which stage it was found at, by the code of its event."""

_Letter = tuple[Outgoing, str, Sequence[Limit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A password that somebody shows or chooses. `event` is of the stage's code; its user is known at sign-in."""

    tenant: Tenant
    services: Services
    current: Configuration
    password: str
    event: Event


async def is_refused(chosen: Chosen) -> bool:
    """Tells whom the tenant's rules name, and answers whether they refuse it."""
    rules = chosen.current.documents.value(BREACHED_PASSWORDS)
    if not rules.enabled or not await chosen.services.leaked_passwords.knows(chosen.password):
        return False
    shields = shields_of(rules, chosen.event.type)
    chosen.services.audit.add(chosen.tenant, chosen.event)
    await _tell(chosen, _letters(chosen, rules, shields))
    return "block" in shields


def shields_of(rules: BreachedPasswords, code: str) -> Sequence[str]:
    match code:
        case "signup_pwd_leak":
            return rules.stage.registration.shields
        case "reset_pwd_leak":
            return rules.stage.change.shields
    return rules.shields


def _letters(chosen: Chosen, rules: BreachedPasswords, shields: Sequence[str]) -> list[_Letter]:
    event, support = chosen.event, chosen.current.settings.support_email
    found: list[_Letter] = []
    if "user_notification" in shields and event.user_id and event.user_name:
        letter = letters.stolen_credentials(event.user_name, event.user_id, event.created_at)
        found.append((letter, f"stolen {event.user_id}", TO_OWNER))
    if "admin_notification" in shields and support:
        letter = letters.notice(support, event.type, event.ip or "", event.created_at)
        found.append((letter, event.type, letters.often(rules.admin_notification_frequency)))
    return found


async def _tell(chosen: Chosen, found: list[_Letter]) -> None:
    tenant, services = chosen.tenant, chosen.services
    if not found or not services.mail.are_there(tenant, chosen.current):
        return
    if await tenant.database.write(_enqueue, tenant.data_key, found, chosen.event.created_at):
        services.deliveries.soon(tenant)


def _enqueue(connection: Connection, data_key: DataKey, found: list[_Letter], now: int) -> bool:
    told = [letters.tell(connection, data_key, *letter, now) for letter in found]
    return any(told)
