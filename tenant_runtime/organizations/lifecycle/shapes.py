"""An organization as the client sees it.

`metadata` is an object in what create and update answer, and JSON text or null in every reading (A.0).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tenant_runtime.organizations.fields import Declared
from tenant_runtime.organizations.fields import shown as shown_fields
from tenant_runtime.organizations.wire.shapes import date


def organization_as_text(row: Any, declared: Declared, kept: Mapping[str, Any]) -> dict[str, Any]:
    text = msgspec.json.encode(row.metadata).decode() if row.metadata else None
    return {**_organization(row, declared, kept), "metadata": text}


def organization_as_object(row: Any, declared: Declared, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Without the member where there is nothing in it."""
    shown = _organization(row, declared, kept)
    return {**shown, "metadata": row.metadata} if row.metadata else shown


def _organization(row: Any, declared: Declared, kept: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **shown_fields(declared, kept),
        "id": row.id,
        "name": row.display_name or row.name,
        "slug": row.name,
        "logo": row.branding.get("logo_url"),
        "createdAt": date(row.created_at),
    }
