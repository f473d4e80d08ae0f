"""Organizations inside the tenant, memberships, and the two kinds of role a member carries."""

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonObject, Millis, TenantBase, owned_by


class Organization(TenantBase):
    """A group of users. `managed_by` is `tenant` on tenant one where it stands for a child tenant: then only
    converge changes or removes the row."""

    __tablename__ = "organizations"
    __table_args__ = (Index("ix_organizations_created", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)  # lower-case
    display_name: Mapped[str | None]
    branding: Mapped[JsonObject]
    metadata_: Mapped[JsonObject] = mapped_column("metadata")
    managed_by: Mapped[str | None]
    suspended_at: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]


class OrganizationConnection(TenantBase):
    """A connection by which people may act in the organization. One without any rows takes every connection; a row
    outlives its connection, so that an organization that allowed only that one does not open to all."""

    __tablename__ = "organization_connections"
    __table_args__ = {"sqlite_with_rowid": False}

    organization_id: Mapped[str] = mapped_column(owned_by("organizations.id"), primary_key=True)
    connection_id: Mapped[str] = mapped_column(primary_key=True)
    assign_membership_on_login: Mapped[bool] = mapped_column(default=False)
    is_signup_enabled: Mapped[bool] = mapped_column(default=False)
    show_as_button: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Millis]


class OrganizationClientGrant(TenantBase):
    """A client grant that may be used in the organization's name."""

    __tablename__ = "organization_client_grants"
    __table_args__ = (
        Index("ix_organization_client_grants_client_grant_id", "client_grant_id"),
        {"sqlite_with_rowid": False},
    )

    organization_id: Mapped[str] = mapped_column(owned_by("organizations.id"), primary_key=True)
    client_grant_id: Mapped[str] = mapped_column(owned_by("client_grants.id"), primary_key=True)
    created_at: Mapped[Millis]


class OrganizationSetting(TenantBase):
    """What one organization says for itself (`organizations.policies`): one object, absent where it says nothing."""

    __tablename__ = "organization_settings"
    __table_args__ = {"sqlite_with_rowid": False}

    organization_id: Mapped[str] = mapped_column(owned_by("organizations.id"), primary_key=True)
    settings: Mapped[JsonObject]
    updated_at: Mapped[Millis]


class OrganizationDomain(TenantBase):
    """A domain that an organization says is its own. `status`: pending, verified; two may claim one, and one of them
    has proved it by the record that `token` stands in. `checked_at` is the last look at that record, `look_at` when it
    is looked for again (never, where somebody said that it is verified), `misses` how often in a row it was gone."""

    __tablename__ = "organization_domains"
    __table_args__ = (
        UniqueConstraint("organization_id", "domain"),
        Index("ix_organization_domains_created", "organization_id", "created_at", "id"),
        Index(
            "ix_organization_domains_verified",
            "domain",
            unique=True,
            sqlite_where=text("status = 'verified'"),
            postgresql_where=text("status = 'verified'"),
        ),
        Index("ix_organization_domains_look_at", "look_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(owned_by("organizations.id"))
    domain: Mapped[str]  # lower-case, in letters of DNS
    status: Mapped[str]
    token: Mapped[str]
    is_for_discovery: Mapped[bool] = mapped_column(default=True)
    verified_at: Mapped[int | None] = mapped_column(BigInteger)
    checked_at: Mapped[int | None] = mapped_column(BigInteger)
    look_at: Mapped[int | None] = mapped_column(BigInteger)
    misses: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]


class AdditionalFields(TenantBase):
    """Values of fields that the tenant added to what it keeps of organizations and members. `kind`: organization,
    member."""

    __tablename__ = "additional_fields"
    __table_args__ = {"sqlite_with_rowid": False}

    kind: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(owned_by("organizations.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    values_: Mapped[JsonObject] = mapped_column("values")


class Membership(TenantBase):
    """One row per (organization, user), whichever API made it. `role` repeats what `membership_organization_roles` has
    of it, in alphabetical order, joined by commas: a trigger writes it, and lists are found by it."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("organization_id", "user_id"),
        Index("ix_memberships_user_id", "user_id"),
        Index("ix_memberships_created", "organization_id", "created_at", "id"),
        Index("ix_memberships_role", "organization_id", "role", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(owned_by("organizations.id"))
    user_id: Mapped[str] = mapped_column(owned_by("users.user_id"))
    created_at: Mapped[Millis]
    role: Mapped[str] = mapped_column(server_default="member")


class MembershipOrganizationRole(TenantBase):
    """What a member may do to the organization itself: owner, admin, member, guest or one it defined."""

    __tablename__ = "membership_organization_roles"
    __table_args__ = {"sqlite_with_rowid": False}

    membership_id: Mapped[str] = mapped_column(owned_by("memberships.id"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)


class MembershipRole(TenantBase):
    """A tenant role held in the organization: the source of the `permissions` claim of its tokens."""

    __tablename__ = "membership_roles"
    __table_args__ = (Index("ix_membership_roles_role_id", "role_id"), {"sqlite_with_rowid": False})

    membership_id: Mapped[str] = mapped_column(owned_by("memberships.id"), primary_key=True)
    role_id: Mapped[str] = mapped_column(owned_by("roles.id"), primary_key=True)
