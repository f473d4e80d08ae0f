"""Fields that the tenant added to what it keeps of organizations, members, invitations, teams and roles
(`OrganizationOptions.additional_fields`).

What a body says of them is checked here. Those of organizations and members are in a table of their own (a member's
under the user's id); the others in their rows' `fields`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import JSON, Connection, bindparam, delete, select

from core.database import Prepared, PreparedPage
from core.database.sql import insert, json_members
from tenant_runtime.models import AdditionalFields
from tenant_runtime.organizations.options import AdditionalField, FieldType
from tenant_runtime.organizations.wire.calls import ApiCall
from tenant_runtime.organizations.wire.errors import refusal

Declared = Mapping[str, AdditionalField]
Kept = Literal["organization", "member"]

LONGEST = 4096
_TYPES: Mapping[FieldType, tuple[type, ...]] = {"string": (str,), "number": (int, float), "boolean": (bool,)}

_f = AdditionalFields.__table__.c
_KEEP = insert(AdditionalFields.__table__)
_KEEP = _KEEP.on_conflict_do_update(
    index_elements=[_f.kind, _f.organization_id, _f.id], set_={"values": _KEEP.excluded["values"]}
)
_OF = (_f.kind == bindparam("of_kind"), _f.organization_id == bindparam("of_organization"))
_PAGE = PreparedPage(
    select(_f.id, _f["values"].label("fields")).where(
        *_OF, _f.id.in_(json_members(bindparam("ids", type_=JSON)))
    )
)
_OF_ORGANIZATIONS = PreparedPage(
    select(_f.id, _f["values"].label("fields")).where(
        _f.kind == "organization", _f.organization_id.in_(json_members(bindparam("ids", type_=JSON)))
    )
)
_FORGET = Prepared(delete(AdditionalFields.__table__).where(*_OF, _f.id == bindparam("of")))


# --- What a body says ----------------------------------------------------------------------------------------------


async def given_fields(
    call: ApiCall, declared: Declared, *, under: str | None = None, is_new: bool = True
) -> dict[str, Any]:
    """Of the request's body, or of one object in it. `is_new`: those that are required must be there."""
    if not declared:
        return {}
    body: Any = msgspec.json.decode(await call.content())
    given = body.get(under, {}) if under is not None else body
    where = f"body.{under}" if under is not None else "body"
    return checked(declared, given if isinstance(given, dict) else {}, is_new=is_new, where=where)


def checked(
    declared: Declared, given: Mapping[str, Any], *, is_new: bool = True, where: str = "body"
) -> dict[str, Any]:
    """Those that callers may set, each of its type. The others are dropped, as what is not known is."""
    taken: dict[str, Any] = {}
    for name, field in declared.items():
        if not field.input:
            continue
        value = given.get(name)
        if value is not None:
            taken[name] = _of_type(value, field, f"{where}.{name}")
        elif field.required and (is_new or name in given):
            raise refusal(400, "VALIDATION_ERROR", f"[{where}.{name}] Required")
        elif name in given:
            taken[name] = None
    return taken


def shown(declared: Declared, kept: Mapping[str, Any]) -> dict[str, Any]:
    """As answers have them beside the members that everything of its kind has."""
    return {name: kept.get(name) for name, field in declared.items() if field.returned}


def _of_type(value: Any, field: AdditionalField, where: str) -> Any:
    is_one = isinstance(value, _TYPES[field.type]) and (
        field.type == "boolean" or not isinstance(value, bool)
    )
    if not is_one:
        raise refusal(400, "VALIDATION_ERROR", f"[{where}] Expected {field.type}")
    if isinstance(value, str) and len(value) > LONGEST:
        raise refusal(400, "VALIDATION_ERROR", f"[{where}] Expected at most {LONGEST} characters")
    return value


# --- What is kept of organizations and members ---------------------------------------------------------------------


def keep_fields(
    connection: Connection, kind: Kept, organization_id: str, id: str, values: Mapping[str, Any]
) -> None:
    """What is said no word of stays as it was."""
    if not values:
        return
    known = kept_fields(connection, kind, organization_id, [id]).get(id, {})
    row = {"kind": kind, "organization_id": organization_id, "id": id, "values": {**known, **values}}
    connection.execute(_KEEP, row)


def kept_fields(
    connection: Connection, kind: Kept, organization_id: str, ids: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """By id; absent where nothing is kept."""
    values = {"of_kind": kind, "of_organization": organization_id, "ids": list(ids)}
    return {row.id: row.fields for row in _PAGE.rows(connection, values)}


def kept_of_organizations(connection: Connection, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Of many at once."""
    return {row.id: row.fields for row in _OF_ORGANIZATIONS.rows(connection, {"ids": list(ids)})}


def forget_fields(connection: Connection, kind: Kept, organization_id: str, id: str) -> None:
    _FORGET.run(connection, {"of_kind": kind, "of_organization": organization_id, "of": id})
