"""What clients asked and were told, and what was broken meanwhile: facts to be checked after the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

EVERYBODY = "*"
PATIENCE = 3.0
AFTER = 3.0
"""Seconds for which a fault that ended may still explain a failure: time-outs, back-off, opening again."""


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
    """A fault: of one server, of one tenant, or of the registry and tenant one (`EVERYBODY`)."""

    kind: str
    server: int | None
    tenant: str | None
    began: float
    ended: float = float("inf")

    def explains(self, asked: Asked) -> bool:
        if asked.began > self.ended + AFTER or asked.ended < self.began:
            return False
        return self.server == asked.server or self.tenant in (asked.tenant, EVERYBODY)


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

    changes: list[float] = field(default_factory=list)
    """When tenant one changed something that all tenants follow."""

    strays: list[str] = field(default_factory=list)
    """Answers that held another tenant's word."""

    @contextmanager
    def breaking(self, kind: str, *, server: int | None = None, tenant: str | None = None) -> Iterator[None]:
        fault = Broken(kind, server, tenant, monotonic())
        self.broken.append(fault)
        try:
            yield
        finally:
            fault.ended = monotonic()

    def unexplained(self) -> list[Asked]:
        """K6: failures of tenants and servers that nothing was done to."""
        return [
            asked
            for asked in self.asked
            if asked.failed
            and not any(fault.explains(asked) for fault in self.broken)
            and not self.follows_a_change(asked)
        ]

    def follows_a_change(self, asked: Asked) -> bool:
        """A tenant that could not take over a change within its patience says so: 503, come again in a second."""
        return asked.status == 503 and any(at - 1 < asked.ended < at + PATIENCE for at in self.changes)

    def issued_while_suspended(self) -> list[Asked]:
        """K5."""
        return [
            token
            for token in self.tokens
            for suspension in self.suspensions
            if token.tenant == suspension.tenant
            and suspension.since < token.began
            and token.ended < suspension.until
        ]
