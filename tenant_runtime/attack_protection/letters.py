"""Who is told of an attack: the account's owner, or the tenant's support address. Not more often than it helps."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from core.crypto.sealing import DataKey
from core.errors import RateLimited
from core.tenants import Tenant
from tenant_runtime.attack_protection.documents import Frequency
from tenant_runtime.deliveries import Outgoing, enqueue
from tenant_runtime.limits import Limit, take
from tenant_runtime.mail.letters import Contents
from tenant_runtime.mail.queue import posted

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS

TO_OWNER = (Limit(1, _HOUR_MS), Limit(5, _DAY_MS))
_WINDOWS: Mapping[Frequency, Limit] = {
    "immediately": Limit(60, _HOUR_MS),
    "daily": Limit(1, _DAY_MS),
    "weekly": Limit(1, 7 * _DAY_MS),
    "monthly": Limit(1, 30 * _DAY_MS),
}


def blocked_account(to: str, user_id: str, ip: str, now: int) -> Outgoing:
    return posted("blocked_account", to, expires_at=now + _DAY_MS, user_id=user_id, ip=ip)


def stolen_credentials(to: str, user_id: str, now: int) -> Outgoing:
    return posted("stolen_credentials", to, expires_at=now + _DAY_MS, user_id=user_id)


def notice(to: str, what: str, ip: str, now: int) -> Outgoing:
    """To whoever looks after the tenant. `what` is a key of the letters' phrases (`mail.texts`)."""
    return posted("attack_notice", to, expires_at=now + _DAY_MS, what=what, ip=ip)


def tell(
    connection: Connection,
    data_key: DataKey,
    letter: Outgoing | None,
    counted_as: str,
    limits: Iterable[Limit],
    now: int,
) -> bool:
    """In a unit. Counted for those whom nobody has to tell, too: both take as long. False: it was told lately."""
    try:
        take(connection, "told of attack", counted_as, now, limits)
    except RateLimited:
        return False
    if letter is not None:
        enqueue(connection, data_key, letter, now)
    return letter is not None


def often(frequencies: Iterable[Frequency]) -> tuple[Limit]:
    """The most frequent that is named; of none, each time."""
    named = set(frequencies)
    return (next((limit for name, limit in _WINDOWS.items() if name in named), _WINDOWS["immediately"]),)


# --- When the letter is sent ---------------------------------------------------------------------------------------


async def write_stolen(tenant: Tenant, payload: Mapping[str, Any], now: int) -> Contents | None:
    return Contents(template="stolen_credentials", values={"email": payload["to"]})


async def write_notice(tenant: Tenant, payload: Mapping[str, Any], now: int) -> Contents | None:
    values = {"ip": payload["ip"], "tenant": tenant.display_name}
    return Contents(template="attack_notice", values=values, phrases={"what": payload["what"]})
