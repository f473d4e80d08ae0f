"""What clients asked and were told, and what was broken meanwhile: facts to be checked after the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

EVERYBODY = "*"
OF_THE_PLANE = "control_plane"
REGISTRY = "registry"
PATIENCE = 5.0
AFTER = 3.0
"""Seconds for which a fault that ended may still explain a failure: time-outs, back-off, opening again."""

NEWLY_THERE = 30.0
"""Seconds for which who serves a tenant that moved may have to ask the registry where it is now."""

BY_OPERATORS = "/api/v2/keys/"
"""What operators do at a tenant: their tokens are tenant one's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: to which server, for which tenant, and the status; 0 when no answer came."""

    began: float
    ended: float
    server: int
    tenant: str
    what: str
    status: int

    @property
    def failed(self) -> bool:
        return self.status == 0 or self.status >= 500


@dataclass(slots=True)
class Broken:
    """A fault of whatever is named, all of it: one server's way to one engine, an engine, a server, a tenant.

    What harms the registry and tenant one of a single folder may harm `EVERYBODY`.
    """

    kind: str
    server: int | None
    tenant: str | None
    engine: str | None
    began: float
    ended: float = float("inf")

    def harmed(self, server: int, since: float, until: float) -> bool:
        return self.server in (None, server) and since <= self.ended and until >= self.began


@dataclass(slots=True)
class Home:
    """The engine that a tenant may have been on, between two moments; while it moves it has two."""

    tenant: str
    engine: str
    since: float
    until: float = float("inf")


@dataclass(slots=True)
class Suspension:
    """From the answer that said so until somebody asked for its end."""

    tenant: str
    since: float
    until: float = float("inf")


@dataclass(slots=True)
class History:
    asked: list[Asked] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    suspensions: list[Suspension] = field(default_factory=list)
    tokens: list[Asked] = field(default_factory=list)
    """Successful answers of token endpoints."""

    redemptions: list[list[int]] = field(default_factory=list)
    """Statuses of those who redeemed one code at once."""

    made: dict[str, set[str]] = field(default_factory=dict)
    """Names of roles by tenant whose creation was answered with success."""

    perhaps: dict[str, set[str]] = field(default_factory=dict)
    """The same, without an answer."""

    chains: dict[str, dict[str, str]] = field(default_factory=dict)
    """By tenant and browser, the refresh token that was answered last; without one whose fate nobody was told."""

    words: dict[str, str] = field(default_factory=dict)
    """Each tenant's own random word."""

    homes: list[Home] = field(default_factory=list)
    """Where tenants are, in a world with several engines."""

    after: float = AFTER
    patience: float = PATIENCE
    """Seconds within which every tenant has taken over a change."""

    changes: list[tuple[float, float]] = field(default_factory=list)
    """When tenant one was asked to change something that all tenants follow, and when that was answered."""

    strays: list[str] = field(default_factory=list)
    """Answers that held another tenant's word."""

    @contextmanager
    def breaking(
        self, kind: str, *, server: int | None = None, tenant: str | None = None, engine: str | None = None
    ) -> Iterator[Broken]:
        fault = Broken(kind, server, tenant, engine, monotonic())
        self.broken.append(fault)
        try:
            yield fault
        finally:
            fault.ended = monotonic()

    def unexplained(self) -> list[Asked]:
        """K6: failures of tenants and servers that nothing was done to."""
        return [
            asked
            for asked in self.asked
            if asked.failed
            and not any(self._explains(fault, asked) for fault in self.broken)
            and not self.follows_a_change(asked)
        ]

    def told(self, asked: Asked) -> str:
        """One line for a person: what was asked, and what was broken shortly before."""
        near = [
            f"{fault.kind} {fault.server if fault.server is not None else ''}{fault.tenant or ''}"
            f" {fault.began - asked.began:+.1f}..{fault.ended - asked.began:+.1f}"
            for fault in self.broken
            if fault.began - 1 < asked.ended and fault.ended > asked.began - 20
        ]
        changed = max((ended - asked.began for _, ended in self.changes if ended < asked.ended), default=0.0)
        return (
            f"{asked.status} {asked.tenant} {asked.what} at server {asked.server} after"
            f" {asked.ended - asked.began:.1f} s; changed {changed:+.1f}; {'; '.join(near)}"
        )

    def _explains(self, fault: Broken, asked: Asked) -> bool:
        if not fault.harmed(asked.server, asked.began - self.after, asked.ended):
            return False
        if fault.tenant not in (None, asked.tenant, EVERYBODY):
            return False
        return fault.engine is None or fault.engine in self._engines_of(asked)

    def _engines_of(self, asked: Asked) -> set[str]:
        """What an answer may need. A tenant that stays where it is needs no registry (F18)."""
        since = asked.began - self.after
        engines = {home.engine for home in self._homes(asked.tenant, since, asked.ended)}
        if len(self._homes(asked.tenant, asked.began - NEWLY_THERE, asked.ended)) > 1:
            engines.add(REGISTRY)
        if asked.tenant == OF_THE_PLANE or asked.what.startswith(BY_OPERATORS):
            engines |= {REGISTRY, *(home.engine for home in self._homes(OF_THE_PLANE, since, asked.ended))}
        return engines

    def _homes(self, tenant: str, since: float, until: float) -> list[Home]:
        return [
            home
            for home in self.homes
            if home.tenant == tenant and home.since <= until and home.until >= since
        ]

    def follows_a_change(self, asked: Asked) -> bool:
        """A tenant that could not take over a change within its patience says so: 503, come again in a second."""
        return asked.status == 503 and any(
            began - 1 < asked.ended < ended + self.patience for began, ended in self.changes
        )

    def issued_while_suspended(self, seen_within: float = 0.0) -> list[Asked]:
        """K5. A machine that cannot reach the registry goes on with what it saw last (F18), and says that it is so."""
        return [
            token
            for token in self.tokens
            for suspension in self.suspensions
            if token.tenant == suspension.tenant
            and suspension.since + seen_within < token.began
            and token.ended < suspension.until
            and not any(
                fault.engine == REGISTRY
                and fault.harmed(token.server, suspension.since - seen_within, token.ended)
                for fault in self.broken
            )
        ]
