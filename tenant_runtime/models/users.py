"""People: users, how they log in (identities), and passwords."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, UniqueConstraint, column, func
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonObject, Millis, TenantBase, owned_by


class User(TenantBase):
    """A user of this tenant. `user_id` is `<strategy>|<id>` and is the `sub` of its tokens.

    `sessions_valid_from`: sessions and refresh families begun before it are dead (password changed, blocked, ...).
    """

    __tablename__ = "users"
    __table_args__ = (
        Index("ix_users_created", "created_at", "user_id"),
        Index("ix_users_email", "email"),
        Index("ix_users_name", func.lower(column("name"))),
        Index("ix_users_username", "username"),
    )

    user_id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str | None]
    email_verified: Mapped[bool] = mapped_column(default=False)
    username: Mapped[str | None]
    phone_number: Mapped[str | None]
    phone_verified: Mapped[bool] = mapped_column(default=False)
    name: Mapped[str | None]
    given_name: Mapped[str | None]
    family_name: Mapped[str | None]
    nickname: Mapped[str | None]
    picture: Mapped[str | None]
    profile: Mapped[dict[str, Any]] = mapped_column(
        JSON, default=dict
    )  # the other OIDC claims, address included
    user_metadata: Mapped[JsonObject]
    app_metadata: Mapped[JsonObject]
    blocked: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]
    sessions_valid_from: Mapped[int] = mapped_column(BigInteger, default=0)
    last_login_at: Mapped[int | None] = mapped_column(BigInteger)
    last_ip: Mapped[str | None]
    logins_count: Mapped[int] = mapped_column(default=0)


class Identity(TenantBase):
    """A user's link to a connection. `email` (lower-cased) is set for identities that log in by it."""

    __tablename__ = "identities"
    __table_args__ = (
        UniqueConstraint("connection_id", "email"),
        Index("ix_identities_user_id", "user_id"),
        {"sqlite_with_rowid": False},
    )

    connection_id: Mapped[str] = mapped_column(owned_by("connections.id"), primary_key=True)
    provider_user_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(owned_by("users.user_id"))
    provider: Mapped[str]
    is_social: Mapped[bool] = mapped_column(default=False)
    email: Mapped[str | None]
    profile_data: Mapped[JsonObject]


class Password(TenantBase):
    """The Argon2id hash of a user's password."""

    __tablename__ = "passwords"

    user_id: Mapped[str] = mapped_column(owned_by("users.user_id"), primary_key=True)
    hash: Mapped[str]
    changed_at: Mapped[Millis]
    failures: Mapped[int] = mapped_column(default=0)
    blocked_until: Mapped[int] = mapped_column(BigInteger, default=0)
