"""What must reach somebody outside: kept with the change it tells of, sent afterwards, tried again until it arrives."""

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import Millis, TenantBase


class Delivery(TenantBase):
    """One message. `kind`: backchannel_logout, email. `payload` is sealed for (`deliveries`, `payload`, id).

    Waiting while `delivered_at` and `failed_at` are empty; whoever sends it holds it until `leased_until`.
    """

    __tablename__ = "deliveries"
    __table_args__ = (Index("ix_deliveries_due_at", "due_at"), {"sqlite_with_rowid": False})

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    recipient: Mapped[str]  # as it may be shown: a client's id, an address
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[int | None] = mapped_column(BigInteger)  # None: over
    leased_until: Mapped[int | None] = mapped_column(BigInteger)
    last_error: Mapped[str | None]
    created_at: Mapped[Millis]
    delivered_at: Mapped[int | None] = mapped_column(BigInteger)
    failed_at: Mapped[int | None] = mapped_column(BigInteger)
