"""`/api/v2/tenants/settings`: effective settings, where each comes from, and the tenant's own values.

Null returns a key to what is inherited. What the platform owns (id, hosts, state, ...) is no setting, and so is
refused as unknown.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from litestar.params import JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import Connection, delete, select

from core.database.sql import insert
from core.errors import InvalidInput
from core.http.paging import parse_boolean, parse_fields
from tenant_runtime.configuration import Configuration
from tenant_runtime.login.emails import is_email
from tenant_runtime.management.addresses import check_callbacks, check_link
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import (
    Addresses,
    Body,
    LongText,
    Maybe,
    Name,
    Object,
    ShortText,
    merged,
    named,
)
from tenant_runtime.management.organizations.resource import Colors
from tenant_runtime.management.routing import changing, reading
from tenant_runtime.models import Setting
from tenant_runtime.tenant_settings import effective, provenance

_table = Setting.__table__
Hours = Annotated[float, Meta(gt=0, le=87_600)]
Minutes = Annotated[float, Meta(gt=0, le=5_256_000)]
Locale = Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}\Z")]
_OBJECTS = ("branding", "flags", "error_page", "client_registration")


class FontPatch(Body):
    url: Maybe[LongText | None] = UNSET


class BrandingPatch(Body):
    colors: Maybe[Colors | None] = UNSET
    logo_url: Maybe[LongText | None] = UNSET
    favicon_url: Maybe[LongText | None] = UNSET
    font: Maybe[FontPatch | None] = UNSET


class ErrorPagePatch(Body):
    url: Maybe[LongText | None] = UNSET
    show_log_link: Maybe[bool | None] = UNSET
    html: Maybe[Literal[""] | None] = UNSET  # Auth0's deploy tool says that there is none


class ClientRegistrationPatch(Body):
    mode: Maybe[Literal["off", "initial_token", "open"] | None] = UNSET
    client_id_metadata_documents: Maybe[bool | None] = UNSET
    max_clients: Maybe[Annotated[int, Meta(ge=1, le=100_000)] | None] = UNSET


class SettingsPatch(Body):
    friendly_name: Maybe[Name | None] = UNSET
    picture_url: Maybe[LongText | None] = UNSET
    support_email: Maybe[ShortText | None] = UNSET
    support_url: Maybe[LongText | None] = UNSET
    help_url: Maybe[LongText | None] = UNSET
    default_audience: Maybe[LongText | None] = UNSET
    default_directory: Maybe[ShortText | None] = UNSET
    default_redirection_uri: Maybe[LongText | None] = UNSET
    default_token_quota: Maybe[Object | None] = UNSET
    session_lifetime: Maybe[Hours | None] = UNSET
    idle_session_lifetime: Maybe[Hours | None] = UNSET
    session_lifetime_in_minutes: Maybe[Minutes | None] = UNSET  # Auth0's other way to say the same
    idle_session_lifetime_in_minutes: Maybe[Minutes | None] = UNSET
    enabled_locales: Maybe[Annotated[list[Locale], Meta(min_length=1, max_length=50)] | None] = UNSET
    allowed_logout_urls: Maybe[Addresses | None] = UNSET
    allow_organization_name_in_authentication_api: Maybe[bool | None] = UNSET
    signup_enabled: Maybe[bool | None] = UNSET
    branding: Maybe[BrandingPatch | None] = UNSET
    flags: Maybe[dict[Annotated[str, Meta(max_length=100)], bool | None] | None] = UNSET
    error_page: Maybe[ErrorPagePatch | None] = UNSET
    sandbox_version: Maybe[ShortText | None] = UNSET
    client_registration: Maybe[ClientRegistrationPatch | None] = UNSET
    log_retention_days: Maybe[Annotated[int, Meta(ge=1, le=3650)] | None] = UNSET


@reading("/tenants/settings", "read:tenant_settings")
async def get_tenant_settings(call: CallOf) -> dict[str, Any]:
    query = call.request.query_params
    with_provenance, fields = parse_boolean(query, "include_provenance", default=False), parse_fields(query)
    shown = await call.read(get, with_provenance)
    return fields.apply(shown)


@changing("/tenants/settings", "update:tenant_settings")
async def update_tenant_settings(call: CallOf, data: JSONBody[SettingsPatch]) -> dict[str, Any]:
    members = _as_kept(named(data))
    _check(members, await call.configuration())
    longest = call.services.settings.max_log_retention_days
    if (members.get("log_retention_days") or 0) > longest:
        raise InvalidInput(f"`log_retention_days` may be {longest} at most.")
    return await call.write(change, members)


def _as_kept(members: dict[str, Any]) -> dict[str, Any]:
    (members.get("error_page") or {}).pop("html", None)
    for name in ("session_lifetime", "idle_session_lifetime"):
        minutes = members.pop(f"{name}_in_minutes", None)
        if minutes is not None:
            members.setdefault(name, minutes / 60)
    return members


def _check(members: Mapping[str, Any], configuration: Configuration) -> None:
    links = {
        name: members.get(name)
        for name in ("picture_url", "support_url", "help_url", "default_redirection_uri")
    }
    links["error_page.url"] = (members.get("error_page") or {}).get("url")
    for name, address in links.items():
        check_link(name, address)
    check_branding(members.get("branding") or {})
    check_callbacks("allowed_logout_urls", members.get("allowed_logout_urls") or ())
    if (email := members.get("support_email")) and not is_email(email):
        raise InvalidInput("`support_email` is no e-mail address.")
    if (audience := members.get("default_audience")) and audience not in configuration.audiences:
        raise InvalidInput("`default_audience` names no API of this tenant.")
    names = {connection.name for connection in configuration.connections.values()}
    if (directory := members.get("default_directory")) and directory not in names:
        raise InvalidInput("`default_directory` names no connection of this tenant.")


def check_branding(branding: Mapping[str, Any]) -> None:
    for name in ("logo_url", "favicon_url"):
        check_link(f"branding.{name}", branding.get(name))
    check_link("branding.font.url", (branding.get("font") or {}).get("url"), schemes=("https",))


def _layers(connection: Connection) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is inherited, and what is the tenant's own."""
    layers: dict[str, dict[str, Any]] = {"control_plane": {}, "tenant": {}}
    for row in connection.execute(select(_table)):
        layers[row.source][row.key] = row.value
    return layers["control_plane"], layers["tenant"]


def get(connection: Connection, with_provenance: bool = False) -> dict[str, Any]:
    inherited, own = _layers(connection)
    shown: dict[str, Any] = msgspec.to_builtins(effective(inherited, own))
    shown["flags"] = {**inherited.get("flags", {}), **own.get("flags", {}), **shown["flags"]}
    sources = provenance(inherited, own)
    if shown["default_token_quota"] is None:  # an object or nothing, as Auth0's tools want it
        del shown["default_token_quota"], sources["default_token_quota"]
    if with_provenance:
        shown["provenance"] = sources
    return shown


def change(connection: Connection, members: Mapping[str, Any]) -> Written:
    """A value equal to the inherited one is stored too: what a tenant says explicitly stays, whatever the control
    plane says later."""
    before, own = get(connection, with_provenance=True), _layers(connection)[1]
    for key, value in members.items():
        if value is None:
            if key in own:
                connection.execute(delete(_table).where(_table.c.key == key, _table.c.source == "tenant"))
            continue
        wanted = merged(before[key], value) if key in _OBJECTS else value
        if value != {} and (key not in own or own[key] != wanted):
            _store(connection, key, wanted)
    after = get(connection, with_provenance=True)
    return Written(answer=get(connection), before=before, after=after)


def _store(connection: Connection, key: str, value: Any) -> None:
    statement = insert(_table).values(key=key, source="tenant", value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["key", "source"], set_={"value": value})
    )


handlers = [get_tenant_settings, update_tenant_settings]
