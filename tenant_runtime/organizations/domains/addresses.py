"""The domain of a person's address: proved by the person, and proved by an organization."""

from sqlalchemy import Connection, bindparam, select

from core.database import Prepared
from core.http.hosts import canonical_host
from tenant_runtime.models import OrganizationDomain, User

VERIFIED = "verified"

_d, _u = OrganizationDomain.__table__.c, User.__table__.c
_ADDRESS = Prepared(select(_u.email, _u.email_verified).where(_u.user_id == bindparam("user")))
_OWNED = Prepared(
    select(_d.id).where(
        _d.organization_id == bindparam("organization"),
        _d.domain == bindparam("domain"),
        _d.status == VERIFIED,
    )
)


def domain_of(email: str | None) -> str | None:
    """As domains are compared: whole, in small letters of DNS. None for what is no address."""
    local, at, domain = (email or "").rpartition("@")
    return canonical_host(domain) if local and at and ":" not in domain and "@" not in local else None


def proved_domain_of(connection: Connection, user_id: str) -> str | None:
    """None where the person has no address, or has not proved it."""
    row = _ADDRESS.first(connection, {"user": user_id})
    return domain_of(row.email) if row is not None and row.email_verified else None


def has_address_of(connection: Connection, organization_id: str, user_id: str) -> bool:
    domain = proved_domain_of(connection, user_id)
    if domain is None:
        return False
    return _OWNED.first(connection, {"organization": organization_id, "domain": domain}) is not None
