"""Which organization somebody belongs to who has typed an address, before they have proved anything.

The answer never leaves the server: it chooses the organization of the log-in that follows, and the database in which
it takes place. Whether the person is a member is asked after that.
"""

from sqlalchemy import Connection, bindparam, select

from core.database import Prepared
from tenant_runtime.models import Organization, OrganizationDomain
from tenant_runtime.organizations.domains.addresses import VERIFIED, domain_of

_d, _o = OrganizationDomain.__table__.c, Organization.__table__.c
_FOUND = Prepared(
    select(_d.organization_id)
    .join(Organization.__table__, _o.id == _d.organization_id)
    .where(
        _d.domain == bindparam("domain"),
        _d.status == VERIFIED,
        _d.is_for_discovery.is_(True),
        _o.suspended_at.is_(None),
    )
)


def discovered(connection: Connection, email: str) -> str | None:
    domain = domain_of(email)
    row = _FOUND.first(connection, {"domain": domain}) if domain is not None else None
    return str(row.organization_id) if row is not None else None
