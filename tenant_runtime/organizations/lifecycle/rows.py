"""Organizations as they are found."""

from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from core.database import Prepared
from tenant_runtime.models import Membership, Organization
from tenant_runtime.organizations.acting import Acting, check_standing
from tenant_runtime.organizations.members import member_of
from tenant_runtime.organizations.wire.errors import ApiError, refusal

_table = Organization.__table__
_o, _m = _table.c, Membership.__table__.c
_BY_ID = Prepared(select(_table).where(_o.id == bindparam("organization")))
_BY_SLUG = Prepared(select(_table).where(_o.name == bindparam("slug")))
_OF_USER = Prepared(
    select(_table)
    .join(Membership.__table__, _m.organization_id == _o.id)
    .where(_m.user_id == bindparam("user"))
    .order_by(_o.created_at, _o.id)
)
_NUMBER = Prepared(select(func.count().label("number")).where(_m.user_id == bindparam("user")))


def not_found() -> ApiError:
    return refusal(400, "ORGANIZATION_NOT_FOUND")


def not_a_member(status: int) -> ApiError:
    return refusal(
        status, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION", "User is not a member of the organization"
    )


def organization_by_id(connection: Connection, organization_id: str) -> Row[Any] | None:
    return _BY_ID.first(connection, {"organization": organization_id})


def organization_by_slug(connection: Connection, slug: str) -> Row[Any] | None:
    return _BY_SLUG.first(connection, {"slug": slug})


def organizations_of(connection: Connection, user_id: str) -> list[Row[Any]]:
    return _OF_USER.rows(connection, {"user": user_id})


def number_of_memberships(connection: Connection, user_id: str) -> int:
    return int(_NUMBER.rows(connection, {"user": user_id})[0].number)


def id_of_named(connection: Connection, organization_id: str | None, slug: str | None) -> str | None:
    """Of a query that names one by slug, which counts more, or by id; None where it names none."""
    if not slug:
        return organization_id or None
    found = organization_by_slug(connection, slug)
    if found is None:
        raise not_found()
    return str(found.id)


def of_member(connection: Connection, organization_id: str, acting: Acting) -> Row[Any]:
    """One to which the user belongs, and in which they may act."""
    found = organization_by_id(connection, organization_id)
    if found is None:
        raise not_found()
    if member_of(connection, organization_id, acting.user_id) is None:
        raise not_a_member(403)
    check_standing(connection, acting, organization_id)
    return found
