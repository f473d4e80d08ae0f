"""What of a user can be searched for with `q`, and sorted by."""

from typing import Any

from sqlalchemy import select

from core.database.sql import json_at
from core.http.search import Searchable
from tenant_runtime.models import Connection, Identity, User

_table, _identity, _connection = User.__table__, Identity.__table__, Connection.__table__
_first_connection = (
    select(_connection.c.name)
    .join(_identity, _identity.c.connection_id == _connection.c.id)
    .where(_identity.c.user_id == _table.c.user_id)
    .order_by(_connection.c.created_at)
    .limit(1)
    .scalar_subquery()
)
_first_provider = (
    select(_identity.c.provider).where(_identity.c.user_id == _table.c.user_id).limit(1).scalar_subquery()
)

_FIELDS = {
    "user_id": Searchable(_table.c.user_id, "keyword"),
    "email": Searchable(_table.c.email, "keyword"),
    "email.raw": Searchable(_table.c.email, "keyword"),
    "username": Searchable(_table.c.username, "text"),
    "phone_number": Searchable(_table.c.phone_number, "keyword"),
    "name": Searchable(_table.c.name, "text"),
    "given_name": Searchable(_table.c.given_name, "text"),
    "family_name": Searchable(_table.c.family_name, "text"),
    "nickname": Searchable(_table.c.nickname, "text"),
    "email_verified": Searchable(_table.c.email_verified, "boolean"),
    "blocked": Searchable(_table.c.blocked, "boolean"),
    "created_at": Searchable(_table.c.created_at, "time"),
    "updated_at": Searchable(_table.c.updated_at, "time"),
    "last_login": Searchable(_table.c.last_login_at, "time"),
    "last_ip": Searchable(_table.c.last_ip, "keyword"),
    "logins_count": Searchable(_table.c.logins_count, "integer"),
    "identities.connection": Searchable(_first_connection, "keyword"),
    "identities.provider": Searchable(_first_provider, "keyword"),
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


class _Fields(dict[str, Searchable]):
    """The columns, and any member of the two objects of metadata (`app_metadata.plan:gold`)."""

    def get(self, name: str, default: Any = None) -> Any:
        group, _, member = name.partition(".")
        if name not in self and group in ("user_metadata", "app_metadata") and member:
            path = "$." + ".".join(f'"{part}"' for part in member.split("."))
            return Searchable(json_at(_table.c[group], path), "keyword")
        return super().get(name, default)


FIELDS = _Fields(_FIELDS)
