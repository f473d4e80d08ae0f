"""Invitations as the client reads them (`specs/organization-api.md` A.0)."""

from typing import Any

from sqlalchemy import Row

from tenant_runtime.organizations import fields
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.wire.shapes import date


def invitation(row: Row[Any], options: OrganizationOptions, **more: Any) -> dict[str, Any]:
    shown = {
        "id": row.id,
        "organizationId": row.organization_id,
        "email": row.email,
        "role": row.role or "member",
        "status": row.status,
        "inviterId": row.inviter_id,
        "expiresAt": date(row.expires_at),
        "createdAt": date(row.created_at),
    }
    teams = {"teamId": row.team_ids} if options.teams.enabled else {}
    return {**shown, **teams, **fields.shown(options.fields("invitation"), row.fields), **more}
