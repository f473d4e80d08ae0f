"""Units of work on what an organization says for itself."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from core.errors import InvalidInput
from tenant_runtime.models import Organization, OrganizationConnection
from tenant_runtime.organizations.access import ADMIN, GUEST, MEMBER, OWNER
from tenant_runtime.organizations.members import defined_roles
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.policies.settings import OrganizationSettings, save_settings, settings_of

_o, _way = Organization.__table__.c, OrganizationConnection.__table__.c
_FOR_EVERYBODY = (MEMBER, GUEST)


def allowed_connections(connection: Connection, organization_id: str) -> list[str]:
    """Ids of the connections that it takes; none: all of them."""
    named = select(_way.connection_id).where(_way.organization_id == organization_id)
    return list(connection.execute(named.order_by(_way.connection_id)).scalars())


def change_settings(
    connection: Connection,
    organization_id: str,
    changes: Mapping[str, Any],
    options: OrganizationOptions,
    now: int,
) -> tuple[OrganizationSettings, OrganizationSettings]:
    """Before and after; null is the default again."""
    before = settings_of(connection, organization_id)
    kept = {**msgspec.to_builtins(before), **changes}
    try:
        after = msgspec.convert(
            {name: value for name, value in kept.items() if value is not None}, OrganizationSettings
        )
    except msgspec.ValidationError as error:
        raise InvalidInput(str(error)) from None
    _check(connection, organization_id, after, options)
    if after != before:
        save_settings(connection, organization_id, after, now)
    return before, after


def _check(
    connection: Connection, organization_id: str, settings: OrganizationSettings, options: OrganizationOptions
) -> None:
    role = settings.domain_joining_role
    if role in (OWNER, ADMIN):
        raise InvalidInput(f"Nobody becomes {role} by an address.", code="role_not_allowed")
    is_known = (
        role in _FOR_EVERYBODY or role in options.roles or role in defined_roles(connection, organization_id)
    )
    if not is_known:
        raise InvalidInput(f"The organization has no role {role}.", code="role_not_found")
    stands_for = select(_o.managed_by).where(_o.id == organization_id)
    is_managed = connection.execute(stands_for).scalar_one_or_none() is not None
    if settings.domain_joining != "off" and is_managed:
        raise InvalidInput(
            "The members of a tenant's organization are added or invited, and come no other way.",
            code="joining_not_allowed",
        )
