"""Members as the client sees them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from tenant_runtime.organizations.fields import Declared, kept_fields
from tenant_runtime.organizations.fields import shown as shown_fields
from tenant_runtime.organizations.members import Member
from tenant_runtime.organizations.people.rows import Person
from tenant_runtime.organizations.wire.shapes import date


def member_shown(member: Member, declared: Declared, kept: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **shown_fields(declared, kept),
        "id": member.id,
        "organizationId": member.organization_id,
        "userId": member.user_id,
        "role": member.role,
        "createdAt": date(member.created_at),
    }


def newcomer_shown(member: Member, declared: Declared) -> dict[str, Any]:
    """Who came by themselves: nothing else is kept of them yet."""
    return member_shown(member, declared, {})


def with_user(shown: Mapping[str, Any], person: Person) -> dict[str, Any]:
    user = {
        "id": person.user_id,
        "name": person.name or "",
        "email": person.email or "",
        "image": person.image,
    }
    return {**shown, "user": user}


def shown_with_fields(connection: Connection, member: Member, declared: Declared) -> dict[str, Any]:
    kept = _kept(connection, member.organization_id, [member.user_id], declared)
    return member_shown(member, declared, kept.get(member.user_id, {}))


def page_shown(
    connection: Connection,
    organization_id: str,
    members: Sequence[tuple[Member, Person]],
    declared: Declared,
) -> list[dict[str, Any]]:
    kept = _kept(connection, organization_id, [member.user_id for member, _ in members], declared)
    return [
        with_user(member_shown(member, declared, kept.get(member.user_id, {})), person)
        for member, person in members
    ]


def _kept(
    connection: Connection, organization_id: str, user_ids: Sequence[str], declared: Declared
) -> dict[str, dict[str, Any]]:
    return kept_fields(connection, "member", organization_id, user_ids) if declared else {}
