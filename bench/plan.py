"""How long to look, and at how many tenants."""

import msgspec

from bench.rounds import Effort


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    effort: Effort
    compare: Effort
    """For W14, whose target is a twentieth."""

    sizes: tuple[int, ...]
    """Where W9 and W10 look while the fleet grows; W11 to W14 look at the last."""

    starts: int
    people: int
    """Of the larger tenant of W8."""


QUICK = Plan(
    effort=Effort(0.2, 0.4, 3),
    compare=Effort(0.2, 0.4, 5),
    sizes=(10, 100),
    starts=2,
    people=100_000,
)
FULL = Plan(
    effort=Effort(0.5, 1.5, 7),
    compare=Effort(0.5, 1.0, 15),
    sizes=(10, 100, 1_000),
    starts=5,
    people=1_000_000,
)
