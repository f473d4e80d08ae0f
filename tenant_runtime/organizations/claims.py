"""What tokens and `/userinfo` tell of a member's organization beside its id and name.

Who asks by a scope (`licenses`, `entitlements`, `org_permissions`) is told everywhere; who asks by the `claims`
parameter, in the place it names. `org_role` is told where the tenant says so. Read in the unit that issues, so that
each token tells of its own moment; where nobody asks, nothing is read.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from sqlalchemy import Connection

from tenant_runtime.configuration import Configuration
from tenant_runtime.organizations.licensing.entitlements import entitlements_of
from tenant_runtime.organizations.members import Member, member_of, statements_of
from tenant_runtime.organizations.options import OPTIONS, OrganizationOptions

Place: TypeAlias = Literal["id_token", "userinfo", "access_token"]
PLACES: tuple[Place, ...] = ("id_token", "userinfo", "access_token")
ASKED = ("licenses", "entitlements", "org_permissions")
"""Names of scopes as well as of claims."""

_NAMES = frozenset(ASKED)


class InOrganization(Protocol):
    """A person as they stand where something is issued (`oauth.tokens.subject`)."""

    @property
    def user(self) -> Any: ...

    @property
    def organization_id(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Told:
    """`asked`: the claims that each place is to have."""

    role: str | None
    values: Mapping[str, Any]
    asked: Mapping[Place, frozenset[str]]

    def at(self, place: Place) -> dict[str, Any]:
        return {name: self.values[name] for name in ASKED if name in self.asked[place]}


NOTHING = Told(None, {}, dict.fromkeys(PLACES, frozenset()))


def asked_at(place: Place, scope: Iterable[str], requested: Mapping[str, Any] | None) -> frozenset[str]:
    named = (requested or {}).get(place) or {}
    return _NAMES.intersection((*scope, *named))


def read_told(
    connection: Connection,
    configuration: Configuration,
    subject: InOrganization,
    scope: Collection[str],
    requested: Mapping[str, Any] | None,
    now_ms: int,
) -> Told:
    organization_id = subject.organization_id
    if organization_id is None or not configuration.has_organization_api:
        return NOTHING
    options = configuration.documents.value(OPTIONS)
    if not requested and _NAMES.isdisjoint(scope) and not _tells_role(options):
        return NOTHING
    asked = {place: asked_at(place, scope, requested) for place in PLACES}
    names = frozenset().union(*asked.values())
    if not names and not _tells_role(options):
        return NOTHING
    member = member_of(connection, organization_id, subject.user.user_id)
    if member is None:
        return NOTHING
    values = {**_sold(connection, organization_id, names, now_ms), **_may(connection, member, options, names)}
    return Told(member.role, values, asked)


def _tells_role(options: OrganizationOptions) -> bool:
    return options.organization_role_claim or "org_role" in options.claim_aliases.values()


def _sold(connection: Connection, organization_id: str, names: frozenset[str], now: int) -> dict[str, Any]:
    if names.isdisjoint(("licenses", "entitlements")):
        return {}
    found = entitlements_of(connection, organization_id, now)
    return {"licenses": list(found.licenses), "entitlements": dict(found.features)}


def _may(
    connection: Connection, member: Member, options: OrganizationOptions, names: frozenset[str]
) -> dict[str, Any]:
    """Each pair that one of the member's roles has."""
    if "org_permissions" not in names:
        return {}
    roles = statements_of(connection, member, options)
    pairs = {f"{name}.{action}" for role in roles for name, actions in role.items() for action in actions}
    return {"org_permissions": sorted(pairs)}
