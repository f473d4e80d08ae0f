"""How wrong user codes are slowed down (RFC 8628 section 5.1): per address of the caller, and per tenant.

A user code has 34 bits and belongs to nobody yet, so the address is all there is to hold a guess against; the bound
of the tenant is for guesses from everywhere. Counted before the code is looked up, so that a hundred at once are a
hundred; a right one is taken off again. In memory of the process: the longest unseen are forgotten first.
"""

from collections import OrderedDict

from core.http.networks import network_of
from core.tenants import Tenant

OF_ADDRESS = 10
OF_TENANT = 60
WINDOW_MS = 300_000
REMEMBERED = 20_000

_Counted = tuple[str, int]


class Guesses:
    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def attempt(self, tenant: Tenant, ip: str, now: int) -> int:
        """Counts one guess. Answers until when guesses are refused; 0 if this one was let through."""
        bounds = _bounds(tenant, ip)
        held = {key: self._held(key, now) for key, _ in bounds}
        refused_until = max((held[key][1] for key, most in bounds if held[key][0] >= most), default=0)
        if refused_until:
            return refused_until
        for key, (count, until) in held.items():
            self._keep(key, count + 1, until)
        return 0

    def was_right(self, tenant: Tenant, ip: str, now: int) -> None:
        for key, _ in _bounds(tenant, ip):
            count, until = self._held(key, now)
            self._keep(key, max(0, count - 1), until)

    def _held(self, key: str, now: int) -> tuple[int, int]:
        count, until = self._counts.get(key, (0, 0))
        is_now = now < until <= now + WINDOW_MS  # a window further away was begun by a clock that was ahead
        return (count, until) if is_now else (0, now + WINDOW_MS)

    def _keep(self, key: str, count: int, until: int) -> None:
        self._counts[key] = (count, until)
        self._counts.move_to_end(key)
        if len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)


def _bounds(tenant: Tenant, ip: str) -> tuple[_Counted, _Counted]:
    whose = f"{tenant.id}\0{tenant.incarnation}"
    return (f"{whose}\0{network_of(ip)}", OF_ADDRESS), (whose, OF_TENANT)
