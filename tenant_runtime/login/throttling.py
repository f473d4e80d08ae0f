"""Wrong passwords of a tenant that is one release behind: counted in this process, until its database has the tables
(`attack_protection.brute_force`).

The first failures in a row are free; each further one doubles the wait. Identifiers that nobody has are slowed down
alike.
"""

from collections import OrderedDict

from core.clock import LEEWAY_MS
from core.ids import digest
from core.tenants import Tenant

FREE_FAILURES = 10
LONGEST_WAIT_MS = 300_000
REMEMBERED = 20_000


def wait_after(failures: int) -> int:
    """Milliseconds until the next attempt counts."""
    if failures < FREE_FAILURES:
        return 0
    return int(min(1000 * 2 ** min(failures - FREE_FAILURES, 20), LONGEST_WAIT_MS))


def is_blocked(blocked_until: int, now: int) -> bool:
    """A wait that is longer than any was begun by a clock that was ahead, and is over."""
    return now < blocked_until <= now + LONGEST_WAIT_MS + LEEWAY_MS


class AttemptMemory:
    """By account, or by identifier without one; the longest unseen are forgotten first."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._attempts)

    def attempt(self, tenant: Tenant, subject: str, now: int) -> int:
        """Counts one attempt. Answers until when attempts are refused; 0 if this one was let through."""
        key = _key(tenant, subject)
        failures, blocked_until = self._attempts.pop(key, (0, 0))
        refused = is_blocked(blocked_until, now)
        if not refused:
            failures += 1
            blocked_until = now + wait_after(failures)
        self._attempts[key] = (failures, blocked_until)
        if len(self._attempts) > REMEMBERED:
            self._attempts.popitem(last=False)
        return blocked_until if refused else 0

    def succeed(self, tenant: Tenant, subject: str) -> None:
        self._attempts.pop(_key(tenant, subject), None)


def _key(tenant: Tenant, subject: str) -> str:
    return digest(f"{tenant.id}\0{tenant.incarnation}\0{subject}")
