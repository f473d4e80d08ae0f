"""What is between a person's login and an application's tokens: requests, codes, refresh families, consents.

Every secret value is stored as its SHA-256 digest, each kind in a table of its own, and is claimed when used.
A *family* is everything issued from one authorization: its code, its refresh tokens and, through the first part of
their `jti`, its access tokens.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonList, JsonObject, Millis, TenantBase, owned_by


class AuthorizationRequest(TenantBase):
    """A request at /authorize that needs the person: its parameters, and what has been proved so far.

    Bound to the browser that began it (`browser_digest`) and to the issuer it began on.
    """

    __tablename__ = "authorization_requests"
    __table_args__ = (Index("ix_authorization_requests_expires_at", "expires_at"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    browser_digest: Mapped[str]
    issuer: Mapped[str]
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"))
    parameters: Mapped[JsonObject]
    progress: Mapped[JsonObject]  # identifier, authenticated (at, session), organization, consented
    created_at: Mapped[Millis]
    expires_at: Mapped[Millis]
    completed_at: Mapped[int | None] = mapped_column(BigInteger)


class PushedRequest(TenantBase):
    """What a client pushed (RFC 9126): found by the digest of its `request_uri`, over once a code was issued for it."""

    __tablename__ = "pushed_requests"
    __table_args__ = (Index("ix_pushed_requests_expires_at", "expires_at"), {"sqlite_with_rowid": False})

    digest: Mapped[str] = mapped_column(primary_key=True)
    issuer: Mapped[str]
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"))
    parameters: Mapped[JsonObject]
    created_at: Mapped[Millis]
    expires_at: Mapped[Millis]
    used_at: Mapped[int | None] = mapped_column(BigInteger)


class AuthorizationCode(TenantBase):
    __tablename__ = "authorization_codes"
    __table_args__ = (Index("ix_authorization_codes_expires_at", "expires_at"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    family_id: Mapped[str]
    issuer: Mapped[str]
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"))
    user_id: Mapped[str] = mapped_column(owned_by("users.user_id"))
    session_id: Mapped[str | None]
    redirect_uri: Mapped[str]
    redirect_uri_sent: Mapped[bool] = mapped_column(default=True)
    code_challenge: Mapped[str | None]
    dpop_jkt: Mapped[str | None]  # the key that must redeem it (RFC 9449 section 10)
    scope: Mapped[str]
    audience: Mapped[str | None]
    organization_id: Mapped[str | None]
    nonce: Mapped[str | None]
    acr: Mapped[str | None]
    amr: Mapped[JsonList]
    claims: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    authenticated_at: Mapped[Millis]
    created_at: Mapped[Millis]
    expires_at: Mapped[Millis]
    used_at: Mapped[int | None] = mapped_column(BigInteger)


class RefreshFamily(TenantBase):
    """A line of rotating refresh tokens. Ends by reuse, revocation, logout, or at `expires_at` at the latest."""

    __tablename__ = "refresh_families"
    __table_args__ = (
        Index("ix_refresh_families_user_id", "user_id"),
        Index("ix_refresh_families_session_id", "session_id"),
        Index("ix_refresh_families_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    issuer: Mapped[str]
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"))
    user_id: Mapped[str] = mapped_column(owned_by("users.user_id"))
    session_id: Mapped[str | None]
    organization_id: Mapped[str | None]
    scope: Mapped[str]
    audience: Mapped[str | None]
    nonce: Mapped[str | None]
    acr: Mapped[str | None]
    amr: Mapped[JsonList]
    claims: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    authenticated_at: Mapped[Millis]
    created_at: Mapped[Millis]
    used_at: Mapped[Millis]
    dpop_jkt: Mapped[str | None]  # the key that its refresh tokens are bound to
    idle_expires_at: Mapped[int | None] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)


class RefreshToken(TenantBase):
    """One token of a family. `organization_id` is what it names, which a switch of organization may have changed."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index("ix_refresh_tokens_family_id", "family_id"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    family_id: Mapped[str] = mapped_column(owned_by("refresh_families.id"))
    organization_id: Mapped[str | None]
    created_at: Mapped[Millis]
    used_at: Mapped[int | None] = mapped_column(BigInteger)


class AccessToken(TenantBase):
    """An opaque access token, good for /userinfo: what is issued when no audience is asked for."""

    __tablename__ = "access_tokens"
    __table_args__ = (Index("ix_access_tokens_expires_at", "expires_at"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    family_id: Mapped[str]
    issuer: Mapped[str]
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"))
    user_id: Mapped[str] = mapped_column(owned_by("users.user_id"))
    session_id: Mapped[str | None]
    organization_id: Mapped[str | None]
    scope: Mapped[str]
    claims: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    dpop_jkt: Mapped[str | None]
    created_at: Mapped[Millis]
    expires_at: Mapped[Millis]
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)


class DeviceCode(TenantBase):
    """A device that waits for somebody (RFC 8628): `is_approved` is None until they decided, `user_id` and what
    follows is who did."""

    __tablename__ = "device_codes"
    __table_args__ = (Index("ix_device_codes_expires_at", "expires_at"), {"sqlite_with_rowid": False})

    digest: Mapped[str] = mapped_column(primary_key=True)
    user_code_digest: Mapped[str] = mapped_column(unique=True)
    family_id: Mapped[str]
    issuer: Mapped[str]
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"))
    scope: Mapped[str]
    audience: Mapped[str | None]
    organization: Mapped[str | None]  # as it was asked for
    dpop_jkt: Mapped[str | None]
    interval_ms: Mapped[int]
    polled_at: Mapped[int | None] = mapped_column(BigInteger)
    is_approved: Mapped[bool | None]
    user_id: Mapped[str | None] = mapped_column(owned_by("users.user_id"))
    session_id: Mapped[str | None]
    organization_id: Mapped[str | None]
    acr: Mapped[str | None]
    amr: Mapped[JsonList]
    authenticated_at: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Millis]
    expires_at: Mapped[Millis]
    used_at: Mapped[int | None] = mapped_column(BigInteger)


class UsedId(TenantBase):
    """The id of something that others made and that counts once: a client's assertion, a proof of possession. Kept
    for as long as the thing itself would be accepted."""

    __tablename__ = "used_ids"
    __table_args__ = (Index("ix_used_ids_expires_at", "expires_at"), {"sqlite_with_rowid": False})

    digest: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[Millis]


class RevokedFamily(TenantBase):
    """A family whose access tokens are refused wherever this server itself looks at them; or a single token, by its
    `jti`; or what tokens rest on, by its name (`core.given`), for what was issued before `revoked_at`."""

    __tablename__ = "revoked_families"
    __table_args__ = (Index("ix_revoked_families_revoked_at", "revoked_at"), {"sqlite_with_rowid": False})

    family_id: Mapped[str] = mapped_column(primary_key=True)
    revoked_at: Mapped[Millis]
    reason: Mapped[str]


class Grant(TenantBase):
    """What a user consented to: one row per client, API (empty: none) and organization (empty: none)."""

    __tablename__ = "grants"
    __table_args__ = (
        UniqueConstraint("user_id", "client_id", "audience", "organization_id"),
        Index("ix_grants_created", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(owned_by("users.user_id"))
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"))
    audience: Mapped[str] = mapped_column(default="")
    organization_id: Mapped[str] = mapped_column(default="")
    scope: Mapped[JsonList]
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]
