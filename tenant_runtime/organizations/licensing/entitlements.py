"""What an organization has now: subscriptions that are paused, canceled, over or yet to begin give nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from core.database import Prepared
from tenant_runtime.models import Product, Subscription
from tenant_runtime.organizations.licensing.features import Value, combined, limit_of
from tenant_runtime.organizations.seats import IS_LIVE

_p, _s = Product.__table__.c, Subscription.__table__.c
_LIVE = Prepared(
    select(_p.name, _p.features)
    .join(Subscription.__table__, _s.product_id == _p.id)
    .where(_s.organization_id == bindparam("organization"), IS_LIVE)
    .order_by(_p.name)
)


@dataclass(frozen=True, slots=True)
class Entitlements:
    """`licenses`: the products, by name."""

    licenses: tuple[str, ...]
    features: Mapping[str, Value]

    def allows(self, feature: str, need: int = 1) -> bool:
        if feature not in self.features:
            return False
        limit = limit_of(self.features[feature])
        return limit is None or need <= limit

    def limit(self, feature: str) -> int | None:
        """None: as much as they like. 0: nothing."""
        return limit_of(self.features.get(feature, 0))


def entitlements_of(connection: Connection, organization_id: str, now: int) -> Entitlements:
    rows = _LIVE.rows(connection, {"organization": organization_id, "now": now})
    features = combined(feature for row in rows for feature in row.features)
    return Entitlements(tuple(dict.fromkeys(row.name for row in rows)), features)


def shown(organization_id: str, entitlements: Entitlements) -> dict[str, Any]:
    return {
        "organization_id": organization_id,
        "licenses": list(entitlements.licenses),
        "entitlements": dict(entitlements.features),
    }
