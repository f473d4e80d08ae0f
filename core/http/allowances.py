"""How much of one process a tenant may ask for, by kind of endpoint: token buckets in memory (`docs/limits.md`).

A bucket is one number, the moment at which it will be full again (the generic cell rate algorithm), so a request costs
the same however many tenants there are. Time is monotonic: a clock that is set neither opens nor shuts anything.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from core.tenants import Tenant

REMEMBERED = 20_000
"""Buckets of one kind; the longest unseen are forgotten first."""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many a second for as long as one likes, and so many at once."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Shares:
    """What a tenant has in one process, and what one of its callers may take of it: the network that a request comes
    from, or the client whose token it carries."""

    tenant: Allowance
    caller: Allowance


@dataclass(frozen=True, slots=True)
class Standing:
    """A bucket as somebody is told of it."""

    limit: int
    remaining: int
    full_in: float


class Buckets:
    """By kind, and by whose it is."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._full_at: dict[str, OrderedDict[Key, float]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._full_at.values()))

    def take(self, kind: str, key: Key, allowance: Allowance) -> float:
        """Seconds until there is enough again; 0 where there was, and it was taken."""
        held = self._full_at.get(kind)
        if held is None:
            held = self._full_at[kind] = OrderedDict()
        now = self._now()
        full_at = max(held.get(key, now), now) + 1 / allowance.per_second
        wait = full_at - now - allowance.burst / allowance.per_second
        if wait > _ROUNDING:
            return wait
        held[key] = full_at
        held.move_to_end(key)
        if len(held) > REMEMBERED:
            held.popitem(last=False)
        return 0.0

    def look(self, kind: str, key: Key, allowance: Allowance) -> Standing:
        now = self._now()
        held = self._full_at.get(kind)
        full_in = 0.0 if held is None else max(held.get(key, now) - now, 0.0)
        missing = full_in * allowance.per_second
        return Standing(allowance.burst, max(0, int(allowance.burst - missing + _ROUNDING)), full_in)


_ROUNDING: Final = 1e-6


MANAGEMENT: Final = "management"
DEFAULTS: Final[Mapping[str, Shares]] = {
    MANAGEMENT: Shares(Allowance(200, 4000), Allowance(100, 2000)),
    "token": Shares(Allowance(1000, 5000), Allowance(500, 2500)),
    "userinfo": Shares(Allowance(1000, 5000), Allowance(500, 2500)),
    "authorize": Shares(Allowance(200, 2000), Allowance(50, 1000)),
    "login": Shares(Allowance(200, 2000), Allowance(50, 1000)),
    "signup": Shares(Allowance(20, 400), Allowance(10, 200)),
    "mail": Shares(Allowance(20, 400), Allowance(10, 200)),
    "registration": Shares(Allowance(10, 200), Allowance(5, 100)),
    "device": Shares(Allowance(50, 500), Allowance(10, 200)),
    "organizations": Shares(Allowance(200, 2000), Allowance(50, 500)),
    "accounts": Shares(Allowance(20, 400), Allowance(0.3, 3)),
    "account_mail": Shares(Allowance(20, 400), Allowance(0.05, 3)),
    "agents": Shares(Allowance(100, 1000), Allowance(50, 500)),
}
"""By kind. An installation and the platform say other rates; bursts and parts of a caller grow with them."""

_EXACT: Final[Mapping[str, str]] = {
    "/oauth/token": "token",
    "/oauth/introspect": "token",
    "/oauth/revoke": "token",
    "/userinfo": "userinfo",
    "/api/v1/licenses/check": "userinfo",
    "/api/v1/licenses/entitlements": "userinfo",
    "/authorize": "authorize",
    "/oauth/par": "authorize",
    "/oauth/device/code": "device",
    "/activate": "device",
    "/dbconnections/signup": "signup",
    "/u/signup": "signup",
    "/dbconnections/change_password": "mail",
    "/passwordless/start": "mail",
    "/u/reset-password/request": "mail",
    "/oidc/register": "registration",
    "/api/auth/sign-in/email": "accounts",
    "/api/auth/sign-up/email": "accounts",
    "/api/auth/change-password": "accounts",
    "/api/auth/change-email": "accounts",
    "/api/auth/verify-password": "accounts",
    "/api/auth/delete-user": "accounts",
    "/api/auth/request-password-reset": "account_mail",
    "/api/auth/send-verification-email": "account_mail",
    "/mcp": "agents",
}
_BELOW: Final = (
    ("/u/", "login"),
    ("/oidc/register/", "registration"),
    ("/activate/", "device"),
    ("/api/auth/", "organizations"),
)
BY_PATH: Final = frozenset({"accounts", "account_mail"})
"""Kinds of which a caller has a part for each path (`specs/organization-api.md` B.3)."""


def kind_of(path: str) -> str | None:
    """None: the path has no allowance of its own (documents), or its callers are known first (`/api/v2`)."""
    kind = _EXACT.get(path)
    if kind is not None or not path.startswith(("/u/", "/oidc/", "/activate/", "/api/auth/")):
        return kind
    return next((kind for start, kind in _BELOW if path.startswith(start)), None)


class Allowances:
    """`rates` are the installation's, by kind, per second and tenant. A tenant's own `limits` (of its record, which the
    platform writes) go before them."""

    def __init__(
        self, rates: Mapping[str, float] | None = None, now: Callable[[], float] = monotonic
    ) -> None:
        self._buckets = Buckets(now)
        given = rates or {}
        self._shares = {
            kind: scaled(shares, given[kind]) if kind in given else shares
            for kind, shares in DEFAULTS.items()
        }

    def __len__(self) -> int:
        return len(self._buckets)

    def shares(self, kind: str, limits: Mapping[str, int]) -> Shares:
        shares = self._shares[kind]
        return scaled(shares, limits[kind]) if kind in limits else shares

    def count(self, kind: str, tenant: Key, caller: str, limits: Mapping[str, int]) -> float:
        """A request; seconds until it would be let in, 0 where it is. What one caller is refused takes nothing of the
        tenant's."""
        shares = self.shares(kind, limits)
        return self._buckets.take(
            f"{kind} of a caller", (*tenant, caller), shares.caller
        ) or self._buckets.take(kind, tenant, shares.tenant)

    def look(self, kind: str, tenant: Key, caller: str | None, limits: Mapping[str, int]) -> Standing:
        """The narrower of the caller's part and the tenant's; the tenant's, where nobody is known."""
        shares = self.shares(kind, limits)
        whole = self._buckets.look(kind, tenant, shares.tenant)
        if caller is None:
            return whole
        own = self._buckets.look(f"{kind} of a caller", (*tenant, caller), shares.caller)
        return own if own.remaining <= whole.remaining else whole


def scaled(shares: Shares, per_second: float) -> Shares:
    """The same shape at another rate; 0 is next to nothing, because nothing could not be taken back by who needs it."""
    factor = max(per_second, _LEAST) / shares.tenant.per_second
    return Shares(_times(shares.tenant, factor), _times(shares.caller, factor))


_LEAST: Final = 0.1


def _times(allowance: Allowance, factor: float) -> Allowance:
    return Allowance(allowance.per_second * factor, max(1, round(allowance.burst * factor)))


def seconds(wait: float) -> int:
    return max(1, -int(-wait // 1))


def headers_of(standing: Standing, now: float) -> list[tuple[bytes, bytes]]:
    """As Auth0 has them; the last is the moment, in seconds since the epoch, at which nothing is missing any more."""
    return [
        (b"x-ratelimit-limit", b"%d" % standing.limit),
        (b"x-ratelimit-remaining", b"%d" % standing.remaining),
        (b"x-ratelimit-reset", b"%d" % int(now + standing.full_in + 1)),
    ]


def count_call(
    allowances: Allowances, state: dict[str, Any], tenant: Tenant, caller: str | None, now: float
) -> float:
    """A call of the Management API; without a `caller` nothing is counted. The edge adds how the tenant, and then its
    caller, stand to the answer, whatever it is. Seconds until it would be let in, 0 where it is."""
    key = (tenant.id, tenant.incarnation)
    wait = 0.0 if caller is None else allowances.count(MANAGEMENT, key, caller, tenant.limits)
    standing = allowances.look(MANAGEMENT, key, caller, tenant.limits)
    state["rate_headers"] = headers_of(standing, now)
    return wait
