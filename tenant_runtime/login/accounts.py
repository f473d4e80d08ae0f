"""Accounts of the tenant's own database of users: found by email, tried, created. Units of work."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, case, insert, select, update

from core.clock import LEEWAY_MS
from core.database import Prepared
from core.database.sql import insert as upsert
from tenant_runtime.models import Identity, Password, User

PROVIDER = "auth0"
BY_ADDRESS = ("auth0", "email")
"""Providers whose users log in by their address: when it changes, so does how they log in."""

_i = Identity.__table__.c
_u = User.__table__.c
_p = Password.__table__.c
_FIND = (
    select(_u.user_id, _u.email, _u.blocked, _p.hash, _u.last_ip)
    .select_from(
        Identity.__table__.join(User.__table__, _u.user_id == _i.user_id).outerjoin(
            Password.__table__, _p.user_id == _u.user_id
        )
    )
    .where(_i.connection_id == bindparam("connection_id"), _i.email == bindparam("email"))
)
_own = Identity.__table__.alias("own")
_TAKEN = select(_i.user_id).where(
    _i.email == bindparam("email"),
    _i.user_id != bindparam("user"),
    _i.connection_id.in_(select(_own.c.connection_id).where(_own.c.user_id == bindparam("user"))),
)
_REHASH = Prepared(
    update(Password.__table__).where(_p.user_id == bindparam("user")).values(hash=bindparam("new_hash"))
)
_LOGGED_IN = Prepared(
    update(User.__table__)
    .where(_u.user_id == bindparam("user"))
    .values(
        last_login_at=bindparam("now"),
        last_ip=bindparam("ip"),
        logins_count=_u.logins_count + 1,
        sessions_valid_from=case(
            (_u.sessions_valid_from > bindparam("now") + LEEWAY_MS, bindparam("now")),
            else_=_u.sessions_valid_from,
        ),
    )
)
"""Sessions that were ended while the clock was ahead are those before this one."""

_NEW_USER = insert(User.__table__)
_NEW_IDENTITY = insert(Identity.__table__)
_NEW_PASSWORD = insert(Password.__table__)


@dataclass(frozen=True, slots=True)
class Account:
    user_id: str
    email: str | None
    is_blocked: bool
    hash: str | None

    @classmethod
    def of(cls, row: Any) -> "Account":
        return cls(row.user_id, row.email, row.blocked, row.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    user_id: str
    connection_id: str
    email: str
    name: str
    hash: str
    now: int
    profile: Mapping[str, Any] = field(default_factory=dict)
    """More columns of the user, chosen by whoever lets people name them."""


def find_account(connection: Connection, connection_id: str, email: str) -> Any | None:
    """With `user_id`, `email`, `blocked`, `hash` and `last_ip`."""
    return connection.execute(_FIND, {"connection_id": connection_id, "email": email}).one_or_none()


def is_taken(connection: Connection, user_id: str, email: str) -> bool:
    """Whether somebody else logs in by this address where the user does."""
    return connection.execute(_TAKEN, {"user": user_id, "email": email}).first() is not None


def move_identities(connection: Connection, user_id: str, old_email: str | None, email: str) -> None:
    """The user's own, and whatever else knows them by the old address. Raises `IntegrityError` where it is taken."""
    by_address = (_i.user_id == user_id, _i.provider.in_(BY_ADDRESS))
    known = (_i.email == old_email) | _i.email.is_(None)
    connection.execute(update(Identity.__table__).where(*by_address, known).values(email=email))


def set_password(connection: Connection, user_id: str, new_hash: str, now: int) -> None:
    """The first one, or another. What it ends is the caller's to end (`management.endings`)."""
    values = {"hash": new_hash, "changed_at": now, "failures": 0, "blocked_until": 0}
    statement = upsert(Password).values(user_id=user_id, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))


def may_still_sign_in(connection: Connection, connection_id: str, email: str, account: Account) -> bool:
    """Between the attempt and its success a password may have changed or a user been blocked."""
    row = connection.execute(_FIND, {"connection_id": connection_id, "email": email}).one_or_none()
    return row is not None and not row.blocked and row.user_id == account.user_id and row.hash == account.hash


def logged_in(connection: Connection, user_id: str, now: int, ip: str | None, new_hash: str | None) -> None:
    _LOGGED_IN.run(connection, {"user": user_id, "now": now, "ip": ip})
    if new_hash is not None:
        _REHASH.run(connection, {"user": user_id, "new_hash": new_hash})


def create_account(connection: Connection, new: NewAccount) -> bool:
    """False when the address is taken. Nothing here comes from the person but address, name and password: in
    particular never `email_verified`."""
    taken = connection.execute(_FIND, {"connection_id": new.connection_id, "email": new.email}).first()
    if taken is not None:
        return False
    connection.execute(_NEW_USER, _user_values(new))
    connection.execute(
        _NEW_IDENTITY,
        {
            "connection_id": new.connection_id,
            "provider_user_id": new.user_id.partition("|")[2],
            "user_id": new.user_id,
            "provider": PROVIDER,
            "is_social": False,
            "email": new.email,
            "profile_data": {},
        },
    )
    connection.execute(
        _NEW_PASSWORD,
        {"user_id": new.user_id, "hash": new.hash, "changed_at": new.now, "failures": 0, "blocked_until": 0},
    )
    return True


def _user_values(new: NewAccount) -> dict[str, Any]:
    return {
        "user_id": new.user_id,
        "email": new.email,
        "email_verified": False,
        "phone_verified": False,
        "name": new.name or new.email,
        "nickname": new.email.partition("@")[0],
        "profile": {},
        "user_metadata": {},
        "app_metadata": {},
        "blocked": False,
        "created_at": new.now,
        "updated_at": new.now,
        "sessions_valid_from": 0,
        "logins_count": 0,
        **new.profile,
    }
