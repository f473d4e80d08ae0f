"""What of a user can be searched for with `q`, sorted by, and how much of the table that reads.

Names and the address are found whatever their letter case, everything else exactly, as at Auth0. What no index finds
reads every user, and is refused where there are too many of them (`MOST_READ`).
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, exists, literal, select

from core.database.sql import behind, json_at, json_has
from core.errors import InvalidQuery
from core.http.search import Reach, Searchable, reach
from tenant_runtime.models import Connection as ConnectionRow
from tenant_runtime.models import Identity, Membership, User

MOST_READ = 1_000_000
"""Users that a search may read to answer."""

_table, _identity, _connection, _membership = (
    model.__table__ for model in (User, Identity, ConnectionRow, Membership)
)
_u, _i = _table.c, _identity.c
_MANY = select(_u.created_at).order_by(_u.created_at).offset(bindparam("most")).limit(1)


def _of_an_identity(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Of any of the user's."""
    joined = _identity.join(_connection, _connection.c.id == _i.connection_id)
    return exists().select_from(joined).where(_i.user_id == _u.user_id, condition)


def _of_a_membership(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return _u.user_id.in_(select(_membership.c.user_id).where(condition))


def in_connection(name: str) -> ColumnElement[bool]:
    return _of_an_identity(_connection.c.name == name)


_FIELDS = {
    "user_id": Searchable(_u.user_id, "keyword", Reach.FEW),
    "email": Searchable(_u.email, "folded", Reach.FEW),
    "email.raw": Searchable(_u.email, "keyword", Reach.FEW),
    "email.domain": Searchable(behind(_u.email, "@"), "folded"),
    "username": Searchable(_u.username, "keyword", Reach.FEW),
    "phone_number": Searchable(_u.phone_number, "keyword"),
    "phone_verified": Searchable(_u.phone_verified, "boolean"),
    "name": Searchable(_u.name, "text", Reach.FEW),
    "given_name": Searchable(_u.given_name, "text"),
    "family_name": Searchable(_u.family_name, "text"),
    "nickname": Searchable(_u.nickname, "text"),
    "picture": Searchable(_u.picture, "keyword"),
    "email_verified": Searchable(_u.email_verified, "boolean"),
    "blocked": Searchable(_u.blocked, "boolean"),
    "created_at": Searchable(_u.created_at, "time", Reach.IN_ORDER),
    "updated_at": Searchable(_u.updated_at, "time"),
    "last_login": Searchable(_u.last_login_at, "time"),
    "last_ip": Searchable(_u.last_ip, "keyword"),
    "logins_count": Searchable(_u.logins_count, "integer"),
    "identities.connection": Searchable(_connection.c.name, "keyword", within=_of_an_identity),
    "identities.provider": Searchable(_i.provider, "keyword", within=_of_an_identity),
    "identities.user_id": Searchable(_i.provider_user_id, "keyword", within=_of_an_identity),
    "identities.isSocial": Searchable(_i.is_social, "boolean", within=_of_an_identity),
    "organization_id": Searchable(
        _membership.c.organization_id, "keyword", Reach.FEW, within=_of_a_membership
    ),
}
DEFAULT = ("email", "name", "nickname", "username")
SORTABLE = {
    name: _FIELDS[name].column
    for name in (
        "created_at",
        "updated_at",
        "email",
        "name",
        "nickname",
        "last_login",
        "logins_count",
        "user_id",
    )
}
_IN_ORDER = ("created_at", "email", "user_id")
"""What the table can be read in the order of."""


class _Fields(dict[str, Searchable]):
    """The columns, and any member of the two objects of metadata (`app_metadata.plan:gold`)."""

    def get(self, name: str, default: Any = None) -> Any:
        group, _, member = name.partition(".")
        if name not in self and group in ("user_metadata", "app_metadata") and member:
            return _member(group, member)
        return super().get(name, default)


def _member(group: str, member: str) -> Searchable:
    column, path = _u[group], "$." + ".".join(f'"{part}"' for part in member.split("."))
    return Searchable(
        json_at(column, path), "member", has=lambda value: json_has(column, literal(path), literal(value))
    )


FIELDS = _Fields(_FIELDS)


def reads_all(text: str | None, connection: str | None, sort: str | None) -> bool:
    found = Reach.IN_ORDER if text is None else reach(text, FIELDS)
    if found is Reach.FEW:
        return False
    if found is Reach.ALL or connection is not None:
        return True
    in_order = _IN_ORDER if text is None else ("created_at",)
    return sort is not None and sort.partition(":")[0] not in in_order


def check_not_too_many(connection: Connection) -> None:
    if connection.execute(_MANY, {"most": MOST_READ}).first() is not None:
        raise InvalidQuery(
            "This search or order would read every user, and there are too many. Search also by email, username, "
            "user_id, organization_id, or a name that is whole or ends in a wildcard."
        )
