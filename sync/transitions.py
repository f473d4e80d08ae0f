"""What leads from one catalogue to another, worked out once for all tenants that hold the first.

A short cut for the fan-out: thousands of tenants stored the same digest, so what it stands for is compared with
what is wanted in memory, and only the difference is written to each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from core.catalog import Catalogue, CatalogueResourceServer, CatalogueScope
from sync.catalogue import Desired
from sync.held import Connections, Held, Roles, Servers
from sync.plan import make_plan
from sync.statements import Statement, statements

_MANAGEMENT = ""
"""Stands for the Management API of whichever tenant: no id is empty."""


@dataclass(frozen=True, slots=True)
class Copies:
    """What a catalogue looks like where it was applied in full."""

    servers: Servers
    roles: Roles
    settings: Mapping[str, Any]
    connections: Connections

    @classmethod
    def of(cls, catalogue: Catalogue) -> "Copies | None":
        """None when a kind was not shared: then the rows must be looked at."""
        if catalogue.resource_servers is None or catalogue.roles is None or catalogue.connections is None:
            return None
        return cls(
            {item.id: replace(item, labels=frozenset()) for item in catalogue.resource_servers},
            {item.id: replace(item, labels=frozenset()) for item in catalogue.roles},
            catalogue.settings,
            {item.id: replace(item, labels=frozenset()) for item in catalogue.connections},
        )


class Transitions:
    """Of one batch: `now` stands in the rows. Threads share it; two that need the same at once both work it out."""

    def __init__(self, known: Mapping[str, Copies], now: int) -> None:
        self._known = known
        self._now = now
        self._found: dict[tuple[str, str], tuple[Statement, ...] | None] = {}

    def between(self, digest: str | None, desired: Desired) -> tuple[Statement, ...] | None:
        """None when the digest is not known, or the rows of each tenant decide."""
        before = self._known.get(digest) if digest is not None else None
        if digest is None or before is None:
            return None
        pair = digest, desired.digest
        if pair not in self._found:
            self._found[pair] = self._work_out(before, desired.catalogue)
        return self._found[pair]

    def _work_out(self, before: Copies, wanted: Catalogue) -> tuple[Statement, ...] | None:
        if wanted.resource_servers is None or wanted.roles is None or wanted.connections is None:
            return None
        held = _held_everywhere(before, wanted)
        plan = make_plan(wanted, held)
        if plan.conflicts or plan.dangling:
            return None
        return tuple(statements(plan, held, self._now))


def _held_everywhere(copies: Copies, wanted: Catalogue) -> Held:
    """As if every tenant's Management API had what is asked of it: where it has not, the foreign key says so."""
    asked = {
        item.value for role in wanted.roles or () for item in role.permissions if not item.resource_server_id
    }
    management = CatalogueResourceServer(
        id=_MANAGEMENT,
        identifier=_MANAGEMENT,
        name=_MANAGEMENT,
        scopes=tuple(CatalogueScope(value) for value in sorted(asked)),
        attributes={},
    )
    return Held(
        servers={**copies.servers, _MANAGEMENT: management},
        roles=copies.roles,
        system=frozenset(copies.servers.keys() | copies.roles.keys() | copies.connections.keys()),
        management=_MANAGEMENT,
        settings=copies.settings,
        connections=copies.connections,
    )
