"""What the tenant sells, and which organizations have it."""

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonList, JsonObject, Millis, TenantBase, owned_by


class Product(TenantBase):
    """`features`: `key:true`, `key:500`, `key:unlimited`."""

    __tablename__ = "products"
    __table_args__ = (Index("ix_products_created", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)  # as a claim names it
    display_name: Mapped[str | None]
    features: Mapped[JsonList]
    metadata_: Mapped[JsonObject] = mapped_column("metadata")
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]


class Subscription(TenantBase):
    """A product that an organization has. `status`: trialing, active, past_due, paused, canceled. `seats`: how many
    members it is for; null says nothing of them."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        Index("ix_subscriptions_organization", "organization_id", "created_at", "id"),
        Index("ix_subscriptions_product_id", "product_id"),
        Index("ix_subscriptions_created", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(owned_by("organizations.id"))
    product_id: Mapped[str] = mapped_column(owned_by("products.id"))
    status: Mapped[str]
    seats: Mapped[int | None]
    starts_at: Mapped[Millis]
    ends_at: Mapped[int | None] = mapped_column(BigInteger)
    metadata_: Mapped[JsonObject] = mapped_column("metadata")
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]
