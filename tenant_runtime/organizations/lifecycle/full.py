"""Everything of an organization in one answer: who is in it, who is invited, its teams."""

from typing import Any

from sqlalchemy import Connection

from tenant_runtime.organizations.acting import Acting
from tenant_runtime.organizations.fields import kept_fields
from tenant_runtime.organizations.invitations import reading
from tenant_runtime.organizations.invitations.shapes import invitation
from tenant_runtime.organizations.lifecycle.rows import id_of_named, of_member
from tenant_runtime.organizations.lifecycle.shapes import organization_as_text
from tenant_runtime.organizations.members import Member, may, member_of
from tenant_runtime.organizations.people.listing import Wanted, page_of
from tenant_runtime.organizations.people.shapes import page_shown
from tenant_runtime.organizations.teams.rows import teams_of


def full_organization(
    connection: Connection, acting: Acting, organization_id: str | None, slug: str | None, limit: int
) -> dict[str, Any] | None:
    """None where none is named."""
    known, options = id_of_named(connection, organization_id, slug), acting.options
    if known is None:
        return None
    row = of_member(connection, known, acting)
    declared = options.fields("organization")
    kept = kept_fields(connection, "organization", known, [known]) if declared else {}
    page = page_of(connection, known, Wanted(limit=limit))
    shown = {
        **organization_as_text(row, declared, kept.get(known, {})),
        "members": page_shown(connection, known, page.members, options.fields("member")),
        "invitations": _invitations(connection, acting, member_of(connection, known, acting.user_id)),
    }
    if options.teams.enabled:
        shown["teams"] = [team.shown(options) for team in teams_of(connection, known)]
    return shown


def _invitations(connection: Connection, acting: Acting, member: Member | None) -> list[dict[str, Any]]:
    """None to whom may not invite."""
    if member is None or not may(connection, member, acting.options, {"invitation": ["create"]}):
        return []
    return [invitation(row, acting.options) for row in reading.visible_to(connection, member)]
