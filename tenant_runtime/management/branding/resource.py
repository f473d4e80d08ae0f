"""`/api/v2/branding`: colours, logo, icon and font."""

from collections.abc import Mapping
from typing import Any

from litestar.params import JSONBody
from sqlalchemy import Connection

from core.http.paging import parse_boolean
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import named
from tenant_runtime.management.routing import changing, reading
from tenant_runtime.management.settings import tenant as settings
from tenant_runtime.management.settings.tenant import BrandingPatch


@reading("/branding", "read:branding")
async def get_branding(call: CallOf) -> dict[str, Any]:
    with_provenance = parse_boolean(call.request.query_params, "include_provenance", default=False)
    return await call.read(_get, with_provenance)


@changing("/branding", "update:branding")
async def update_branding(call: CallOf, data: JSONBody[BrandingPatch]) -> dict[str, Any]:
    members = named(data)
    settings.check_branding(members)
    return await call.write(_update, members)


def _get(connection: Connection, with_provenance: bool = False) -> dict[str, Any]:
    found = settings.get(connection, with_provenance=True)
    shown: dict[str, Any] = {name: value for name, value in found["branding"].items() if value}
    return {**shown, "provenance": found["provenance"]["branding"]} if with_provenance else shown


def _update(connection: Connection, members: Mapping[str, Any]) -> Written:
    before = _get(connection, with_provenance=True)
    if members:
        settings.change(connection, {"branding": dict(members)})
    return Written(answer=_get(connection), before=before, after=_get(connection, with_provenance=True))


handlers = [get_branding, update_branding]
