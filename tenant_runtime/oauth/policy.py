"""What may be asked for, and what a user holds: audiences, scopes, permissions.

A scope travels in three stages. `cut_scope` keeps what exists for the client and the API; that is what a code or a
refresh family remembers. `granted_scope` cuts it, each time a token is issued, to what the user holds at that
moment where the API enforces policies. Platform scopes need the permission itself and are never beside an
organization (`DESIGN.md` section 5).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, literal, null, select, union_all

from core.database import Prepared
from core.errors import AccessDenied, InvalidTarget
from core.http.errors import printable
from tenant_runtime.agents.resource import addresses_of
from tenant_runtime.configuration import ClientConfiguration, Configuration, ResourceServerConfiguration
from tenant_runtime.models import Membership, MembershipRole, UserPermission, UserRole
from tenant_runtime.organizations.claims import ASKED

PROTOCOL_SCOPES = ("openid", "profile", "email", "address", "phone", "offline_access", *ASKED)
"""OpenID Connect Core 1.0, sections 5.4 and 11; and what may be told of an organization."""

_SHOWN = 200
_RESOURCE = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:[!$-~]+"
)  # RFC 3986 section 4.3: neither blank, quote nor fragment


@dataclass(frozen=True, slots=True)
class Access:
    """What is asked for, cut to what the API and the client may have."""

    audience: str | None
    resource_server: ResourceServerConfiguration | None
    scope: tuple[str, ...]


def resolve_audience(
    configuration: Configuration, audience: str | None
) -> ResourceServerConfiguration | None:
    """The API that is meant; None: no API, so an opaque token for /userinfo."""
    wanted = audience or configuration.settings.default_audience
    if not wanted:
        return None
    server = _by_secure_spelling(configuration, wanted) or configuration.audiences.get(wanted)
    if server is None:
        raise AccessDenied(f"Service not found: {shown(wanted)}")
    return server


def resolve_target(
    configuration: Configuration, audience: str | None, resource: str | None, issuers: frozenset[str]
) -> ResourceServerConfiguration | None:
    """`resource` (RFC 8707) names an API like `audience`, by the registered word for it and with an error of its
    own. What agents call goes by its address at each of the tenant's `issuers`."""
    if resource is None:
        return resolve_audience(configuration, audience)
    if not _RESOURCE.fullmatch(resource):
        raise InvalidTarget("The resource must be an absolute URI without a fragment.")
    if audience not in (None, resource):
        raise InvalidTarget("The parameters audience and resource name two APIs.")
    if resource in _without_api(configuration.management.identifier):
        return None
    if configuration.agents is not None and resource in addresses_of(issuers):
        return configuration.agents
    try:
        return resolve_audience(configuration, resource)
    except AccessDenied:
        raise InvalidTarget from None


def _without_api(management: str) -> tuple[str, str]:
    """Issuer and `/userinfo`, as their metadata name them (RFC 9728): what a token for no API is for."""
    issuer = management.removesuffix("api/v2/")
    return issuer, f"{issuer}userinfo"


def _by_secure_spelling(configuration: Configuration, audience: str) -> ResourceServerConfiguration | None:
    """Auth0's SDKs spell the Management API with `https` whatever the host; where it is served in plain http
    (loopback only), that is meant (`specs/management-api.md` section 1). Asked first: the Management API takes tokens
    for either spelling, so no other API may go by one of them."""
    if not audience.startswith("https://"):
        return None
    server = configuration.audiences.get(f"http://{audience.removeprefix('https://')}")
    return server if server is not None and server.is_management else None


def shown(text: str) -> str:
    """A value of the caller's, fit to stand in a description."""
    return printable(text[:_SHOWN])


def split_scope(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in (text or "").split(" ") if part))


def cut_scope(
    configuration: Configuration,
    client: ClientConfiguration,
    server: ResourceServerConfiguration | None,
    requested: str | Iterable[str] | None,
) -> tuple[str, ...]:
    """In the order asked for. What neither the protocol nor the API defines is left out, as Auth0 does, what a client
    that registered itself did not register (RFC 7591 section 2), and what nobody of the tenant lets a stranger have."""
    wanted = split_scope(requested) if requested is None or isinstance(requested, str) else requested
    offline = may_be_offline(client, server)
    registered = client.registration.get("scope")
    known = None if registered is None else frozenset(split_scope(registered))
    return tuple(
        scope
        for scope in dict.fromkeys(wanted)
        if (scope != "offline_access" or offline)
        and is_defined(scope, server)
        and (known is None or scope in known)
        and (scope in PROTOCOL_SCOPES or _may_administer(configuration, client, server, scope))
    )


def _may_administer(
    configuration: Configuration,
    client: ClientConfiguration,
    server: ResourceServerConfiguration | None,
    scope: str,
) -> bool:
    """The Management API's permissions are a person's to use, not to give away to a client that nobody vouches for: it
    has those of its client grant, which an operator made."""
    if server is None or not server.is_management or client.is_vouched_for:
        return True
    grant = configuration.client_grants.get((client.client_id, server.identifier))
    return grant is not None and scope in grant.scope


def is_defined(scope: str, server: ResourceServerConfiguration | None) -> bool:
    return scope in PROTOCOL_SCOPES or (server is not None and scope in server.scopes)


def may_be_offline(client: ClientConfiguration, server: ResourceServerConfiguration | None) -> bool:
    return "refresh_token" in client.grant_types and (server is None or server.allow_offline_access)


def needs_consent(client: ClientConfiguration, server: ResourceServerConfiguration | None) -> bool:
    """Third-party clients always ask; first-party ones where the API wants it (Auth0's rule). What a document says of a
    client may be another thing tomorrow: nobody can vouch for it."""
    if not client.is_first_party or client.origin == "document":
        return True
    return server is not None and not server.skip_consent_for_verifiable_first_party_clients


def needs_permissions(server: ResourceServerConfiguration | None) -> bool:
    """Whether it matters for a token what the user holds."""
    return server is not None and (server.enforce_policies or bool(server.platform_scopes))


def granted_scope(
    scope: Iterable[str], server: ResourceServerConfiguration | None, permissions: frozenset[str]
) -> tuple[str, ...]:
    """What a user's token says, of what was asked for; `permissions` are what the user holds now."""
    return tuple(item for item in scope if _is_granted(item, server, permissions))


def _is_granted(scope: str, server: ResourceServerConfiguration | None, permissions: frozenset[str]) -> bool:
    if server is None or scope not in server.scopes:
        return scope in PROTOCOL_SCOPES
    if server.enforce_policies or scope in server.platform_scopes:
        return scope in permissions
    return True


def machine_scope(
    granted: Iterable[str], server: ResourceServerConfiguration, *, in_organization: bool
) -> tuple[str, ...]:
    """What a client may have in its own name: of its grant, what the API still defines."""
    barred = server.platform_scopes if in_organization else frozenset[str]()
    return tuple(scope for scope in granted if scope in server.scopes and scope not in barred)


# --- What a user holds, read inside the unit that issues -----------------------------------------------------------

_user: Any = bindparam("user_id")
_r, _p, _m, _mr = (model.__table__.c for model in (UserRole, UserPermission, Membership, MembershipRole))
_MEMBER_ROLES = (
    select(_mr.role_id, null().label("permission"))
    .join(Membership.__table__, _m.id == _mr.membership_id)
    .where(_m.organization_id == bindparam("organization_id"), _m.user_id == _user)
)
_OWN = (
    select(_r.role_id, null().label("permission")).where(_r.user_id == _user),
    select(literal("").label("role_id"), _p.permission).where(
        _p.user_id == _user, _p.resource_server_id == bindparam("resource_server_id")
    ),
)
_HELD_OWN = Prepared(union_all(*_OWN))
_HELD_IN_ORGANIZATION = Prepared(_MEMBER_ROLES)
_HELD_BOTH = Prepared(union_all(_MEMBER_ROLES, *_OWN))


def permissions_of(
    connection: Connection,
    configuration: Configuration,
    *,
    user_id: str,
    organization_id: str | None,
    server: ResourceServerConfiguration,
) -> frozenset[str]:
    """Roles and direct permissions, in the organization or in the tenant as a whole (`specs/tenancy.md` section 7)."""
    values: dict[str, Any] = {"user_id": user_id, "resource_server_id": server.id}
    if organization_id is None:
        statement = _HELD_OWN
    else:
        values["organization_id"] = organization_id
        both = configuration.settings.flags.inherit_global_permissions_in_organizations
        statement = _HELD_BOTH if both else _HELD_IN_ORGANIZATION
        if not both:
            del values["resource_server_id"]
    held: set[str] = set()
    for role_id, permission in statement.rows(connection, values):
        if permission is not None:
            held.add(permission)
        elif (role := configuration.roles.get(role_id)) is not None:
            held |= role.permissions.get(server.id, frozenset())
    return frozenset(held - server.platform_scopes if organization_id else held)
