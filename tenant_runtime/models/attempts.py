"""How often sign-in was tried and failed, and what an address has used up of what it may do."""

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import Millis, TenantBase


class LoginAttempts(TenantBase):
    """Wrong passwords in a row: for one account (or an identifier that nobody has) from one network, or from everywhere
    (`ip` is null). `digest` names which. Over at `expires_at`."""

    __tablename__ = "login_attempts"
    __table_args__ = (
        Index("ix_login_attempts_user_id", "user_id"),
        Index("ix_login_attempts_expires_at", "expires_at"),
        {"sqlite_with_rowid": False},
    )

    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.user_id", ondelete="CASCADE"))
    ip: Mapped[str | None]
    failures: Mapped[int]
    blocked_until: Mapped[Millis]
    expires_at: Mapped[Millis]


class AddressUse(TenantBase):
    """A token bucket of one network and one stage, as the moment at which it is full again: the row says nothing from
    then on."""

    __tablename__ = "address_uses"
    __table_args__ = (Index("ix_address_uses_full_at", "full_at"), {"sqlite_with_rowid": False})

    stage: Mapped[str] = mapped_column(primary_key=True)
    network: Mapped[str] = mapped_column(primary_key=True)
    full_at: Mapped[int] = mapped_column(BigInteger)
