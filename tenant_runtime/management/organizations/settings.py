"""`/api/v2/organizations/{id}/settings`: what an organization asks of its people, and how they join
(`organizations.policies`). Auth0 has no such route."""

from typing import Any

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, structs
from sqlalchemy import Connection

from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import Body, Maybe, named
from tenant_runtime.management.organizations import resource as organizations
from tenant_runtime.management.routing import changing, reading
from tenant_runtime.organizations.options import OPTIONS, OrganizationOptions
from tenant_runtime.organizations.policies import OrganizationSettings, settings_of
from tenant_runtime.organizations.policies.settings import Joining, MaxAge, RoleName
from tenant_runtime.organizations.policies.units import change_settings
from tenant_runtime.schema import require_organization_api

_PATH = "/organizations/{id:str}/settings"


class OrganizationSettingsPatch(Body):
    """Null is the default again."""

    require_mfa: Maybe[bool | None] = UNSET
    session_max_age: Maybe[MaxAge | None] = UNSET
    require_domain: Maybe[bool | None] = UNSET
    domain_joining: Maybe[Joining | None] = UNSET
    domain_joining_role: Maybe[RoleName | None] = UNSET


@reading(_PATH, "read:organizations")
async def get_organization_settings(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return _shown(await call.read(_load, id, call.actor))


@changing(_PATH, "update:organizations")
async def update_organization_settings(
    call: CallOf, id: FromPath[str], data: JSONBody[OrganizationSettingsPatch]
) -> dict[str, Any]:
    options = (await call.configuration()).documents.value(OPTIONS)
    return await call.write(_update, id, named(data), options, call.actor, call.now)


handlers = [get_organization_settings, update_organization_settings]


def _shown(settings: OrganizationSettings) -> dict[str, Any]:
    return structs.asdict(settings)


def _load(connection: Connection, id: str, actor: Actor) -> OrganizationSettings:
    require_organization_api(connection)
    organizations.load_manageable(connection, id, actor, is_reading=True)
    return settings_of(connection, id)


def _update(
    connection: Connection,
    id: str,
    members: dict[str, Any],
    options: OrganizationOptions,
    actor: Actor,
    now: int,
) -> Written:
    require_organization_api(connection)
    organizations.load_manageable(connection, id, actor)
    before, after = change_settings(connection, id, members, options, now)
    shown, told = _shown(after), {"organization": id}
    return Written(answer=shown, before={**told, **_shown(before)}, after={**told, **shown})
