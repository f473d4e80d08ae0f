"""A domain, as the organization API and as Auth0's Management API show it."""

from typing import Any

from tenant_runtime.organizations.domains.names import place_of, record_of
from tenant_runtime.organizations.wire.shapes import date, date_or_none


def domain_shown(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "organizationId": row.organization_id,
        "domain": row.domain,
        "status": row.status,
        "verificationHost": place_of(row.domain),
        "verificationText": record_of(row.token),
        "useForDiscovery": row.is_for_discovery,
        "verifiedAt": date_or_none(row.verified_at),
        "checkedAt": date_or_none(row.checked_at),
        "createdAt": date(row.created_at),
    }


def discovery_domain(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "domain": row.domain,
        "status": row.status,
        "verification_txt": record_of(row.token),
        "verification_host": place_of(row.domain),
        "use_for_organization_discovery": row.is_for_discovery,
    }
