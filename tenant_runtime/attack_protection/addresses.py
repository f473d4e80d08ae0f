"""What follows when an address has used up what it may do: one event and one letter in a while, not one of each."""

from core.errors import RateLimited
from core.http.networks import network_of
from core.tenants import Tenant
from tenant_runtime.attack_protection import letters, suspicious_addresses
from tenant_runtime.attack_protection.documents import SUSPICIOUS_IP
from tenant_runtime.attack_protection.suspicious_addresses import Stage
from tenant_runtime.audit import Event
from tenant_runtime.configuration import Configuration
from tenant_runtime.dependencies import Services
from tenant_runtime.registration.rates import Rate

EVENTS = Rate(10, 60)
"""Of one network and process: a flood of refusals is told of, and does not fill the log."""


async def admit_registration(
    tenant: Tenant, services: Services, current: Configuration, event: Event
) -> None:
    """One sign-up more from the event's address. Raises `RateLimited`."""
    rules, ip, now = current.documents.value(SUSPICIOUS_IP), event.ip or "", event.created_at
    if not suspicious_addresses.counts(rules, ip):
        return
    wait = await tenant.database.write(suspicious_addresses.take, rules, "registration", ip, now)
    if not wait:
        return
    tell_now_and_then(tenant, services, event)
    await notify_of_address(tenant, services, current, "registration", ip, now)
    raise RateLimited(retry_after=max(1, -(-wait // 1000)))


def tell_now_and_then(tenant: Tenant, services: Services, event: Event) -> None:
    who = ("refusals", tenant.id, tenant.incarnation, network_of(event.ip or ""))
    try:
        services.rates.count(EVENTS, who, event.created_at)
    except RateLimited:
        return
    services.audit.add(tenant, event)


async def notify_of_address(
    tenant: Tenant, services: Services, current: Configuration, stage: Stage, ip: str, now: int
) -> None:
    """A letter a day to the tenant's support address, about one network."""
    support = current.settings.support_email
    rules = current.documents.value(SUSPICIOUS_IP)
    if "admin_notification" not in rules.shields or not support:
        return
    try:
        services.rates.count(NOTICES, ("notices", tenant.id, tenant.incarnation, stage, network_of(ip)), now)
    except RateLimited:
        return
    if not services.mail.are_there(tenant, current):
        return
    letter = letters.notice(support, stage, ip, now)
    limits = letters.often(("daily",))
    counted_as = f"address {stage} {network_of(ip)}"
    if await tenant.database.write(letters.tell, tenant.data_key, letter, counted_as, limits, now):
        services.deliveries.soon(tenant)


NOTICES = Rate(1, 3600)
"""Of one process: what was written a moment ago is not asked for again with each refusal."""
