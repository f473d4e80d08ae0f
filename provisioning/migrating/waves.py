"""Which tenants come first: few, then more, then all."""

from collections.abc import Sequence
from hashlib import sha256

from controlplane.registry.migrations import Candidate

CANARY = "canary"
"""Tenants with this label come before the others."""

SHARES = (0.01, 0.10, 1.0)
"""Of all tenants, how many have been reached after each wave that follows the first, which is one tenant."""


def plan(candidates: Sequence[Candidate]) -> list[list[str]]:
    """The order says nothing of a tenant but whether it is a canary: what its id tells of age or size is mixed up."""
    order = sorted(
        candidates, key=lambda item: (CANARY not in item.labels, sha256(item.id.encode()).digest())
    )
    ids = [item.id for item in order]
    waves: list[list[str]] = []
    start = 0
    for end in (1, *(round(len(ids) * share) for share in SHARES)):
        if end > start:
            waves.append(ids[start:end])
            start = end
    return waves if ids else []
