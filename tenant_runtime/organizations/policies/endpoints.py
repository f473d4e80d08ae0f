"""`/api/auth/organization/get-settings` and `update-settings`, for whoever may update the organization."""

from dataclasses import replace
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from tenant_runtime.audit import Event, record
from tenant_runtime.audit.codes import CODES
from tenant_runtime.organizations.access import OWNER
from tenant_runtime.organizations.acting import Acting, chosen_organization
from tenant_runtime.organizations.members import Member, member_of
from tenant_runtime.organizations.policies.letting_in import check_may_let_in
from tenant_runtime.organizations.policies.rights import require_update
from tenant_runtime.organizations.policies.settings import (
    Joining,
    MaxAge,
    OrganizationSettings,
    RoleName,
    settings_of,
)
from tenant_runtime.organizations.policies.units import allowed_connections, change_settings
from tenant_runtime.organizations.wire import ApiCall, CallOf, read_endpoint, refusal, write_endpoint

UPDATED = "organization_settings_updated"
Id = Annotated[str, Meta(min_length=1, max_length=255)]


class OrganizationQuery(msgspec.Struct, rename="camel"):
    organization_id: Id | None = None


class SettingsData(msgspec.Struct, rename="camel"):
    require_mfa: bool | UnsetType | None = UNSET
    session_max_age: MaxAge | UnsetType | None = UNSET
    require_domain: bool | UnsetType | None = UNSET
    domain_joining: Joining | UnsetType | None = UNSET
    domain_joining_role: RoleName | UnsetType | None = UNSET


class SettingsBody(msgspec.Struct, rename="camel"):
    data: SettingsData
    organization_id: Id | None = None


@read_endpoint("/organization/get-settings")
async def get_settings(call: CallOf) -> Any:
    session = await call.session()
    organization_id = chosen_organization(session, call.query(OrganizationQuery).organization_id)
    return await call.read(_get, await _acting(call), organization_id)


@write_endpoint("/organization/update-settings")
async def update_settings(call: CallOf) -> Any:
    session, body = await call.session(), await call.body(SettingsBody)
    organization_id = chosen_organization(session, body.organization_id)
    changes = {
        name: value
        for name in SettingsData.__struct_fields__
        if (value := getattr(body.data, name)) is not UNSET
    }
    if not changes:
        raise refusal(400, "VALIDATION_ERROR", "[body.data] Required")
    event = call.event(UPDATED, CODES[UPDATED].description, organization_id=organization_id, **changes)
    return await call.write(_update, await _acting(call), organization_id, changes, event)


handlers = [get_settings, update_settings]


def settings_shown(settings: OrganizationSettings, connections: list[str]) -> dict[str, Any]:
    return {
        "requireMfa": settings.require_mfa,
        "sessionMaxAge": settings.session_max_age,
        "requireDomain": settings.require_domain,
        "domainJoining": settings.domain_joining,
        "domainJoiningRole": settings.domain_joining_role,
        "allowedConnections": connections,
    }


def _get(connection: Connection, acting: Acting, organization_id: str) -> dict[str, Any]:
    _require_say(connection, acting, organization_id)
    found = settings_of(connection, organization_id)
    return settings_shown(found, allowed_connections(connection, organization_id))


def _update(
    connection: Connection, acting: Acting, organization_id: str, changes: dict[str, Any], event: Event
) -> dict[str, Any]:
    member = _require_say(connection, acting, organization_id)
    before, after = change_settings(connection, organization_id, changes, acting.options, acting.now)
    if _opens(before, after):
        check_may_let_in(connection, member, after.domain_joining_role, acting.options)
    if after != before:
        record(connection, event)
    return settings_shown(after, allowed_connections(connection, organization_id))


def _require_say(connection: Connection, acting: Acting, organization_id: str) -> Member:
    """Of an owner no log-in is asked here: what nobody can meet would else stand for ever."""
    member = member_of(connection, organization_id, acting.user_id)
    if member is not None and OWNER in member.roles:
        acting = replace(acting, session_id=None)
    return require_update(connection, acting, organization_id)


def _opens(before: OrganizationSettings, after: OrganizationSettings) -> bool:
    """Whether more people come in by it than before, or as something else."""
    is_another_way = after.domain_joining not in ("off", before.domain_joining)
    return is_another_way or after.domain_joining_role != before.domain_joining_role


async def _acting(call: ApiCall) -> Acting:
    session = await call.session()
    return Acting(session.user_id, await call.options(), call.now, session.id)
