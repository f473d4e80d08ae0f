"""Who this database belongs to, its settings and its signing keys."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonObject, Millis, TenantBase


class TenantRow(TenantBase):
    """The one row that says whose database this is. Opening the database checks `id` and `incarnation`.

    `config_version` is raised by triggers on every write to a configuration entity. `converging` is 1 only inside
    a transaction of converge, which alone may write system entities. `applied_*` and `conflicts` are what was last
    evaluated of the control plane's catalogue, written in the same transaction as the rows.
    """

    __tablename__ = "tenant"

    id: Mapped[str] = mapped_column(primary_key=True)
    incarnation: Mapped[str]
    config_version: Mapped[int] = mapped_column(BigInteger, default=1)
    converging: Mapped[int] = mapped_column(default=0)
    applied_digest: Mapped[str | None]
    applied_incarnation: Mapped[str | None]
    applied_version: Mapped[int | None] = mapped_column(BigInteger)
    conflicts: Mapped[list[Any]] = mapped_column(JSON, default=list)
    dangling: Mapped[list[Any]] = mapped_column(JSON, default=list)


class TransactionMark(TenantBase):
    """One transaction that came over a network. Looked up when its COMMIT was sent and no answer came: there, it was
    kept; not there while the writer's lock is held, it was not. Old ones are swept by later transactions."""

    __tablename__ = "transaction_marks"
    __table_args__ = (
        Index("ix_transaction_marks_created_at", "created_at"),
        {"sqlite_with_rowid": False},
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[Millis]


class Setting(TenantBase):
    """One key of the tenant's settings. `source` is `tenant` (its own) or `control_plane` (inherited)."""

    __tablename__ = "settings"
    __table_args__ = {"sqlite_with_rowid": False}

    key: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(JSON, nullable=False)


class SigningKeyRow(TenantBase):
    """A signing key. `state`: next (published, does not sign yet), current (one per algorithm), previous, retired,
    revoked (`oauth.keys.life`).

    The private part is DER (PKCS 8), sealed for (`signing_keys`, `private_key`, kid); empty once the key signs no
    more. `retired_at` is when that was. `certificate` is DER; absent, it can be made while the private part is there.
    """

    __tablename__ = "signing_keys"
    __table_args__ = (
        Index(
            "uq_signing_keys_state",
            "alg",
            "state",
            unique=True,
            sqlite_where=text("state IN ('current', 'next')"),
            postgresql_where=text("state IN ('current', 'next')"),
        ),
    )

    kid: Mapped[str] = mapped_column(primary_key=True)
    alg: Mapped[str]
    state: Mapped[str]
    public_jwk: Mapped[JsonObject]
    private_key: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Millis]
    certificate: Mapped[bytes | None] = mapped_column(LargeBinary)
    activates_at: Mapped[int | None] = mapped_column(
        BigInteger
    )  # of a next one: when it becomes the current one
    activated_at: Mapped[int | None] = mapped_column(BigInteger)
    retired_at: Mapped[int | None] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)
