"""Units of work on organizations: each asks itself who acts, and whether they may."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from core.database import Prepared
from core.database.sql import insert
from tenant_runtime.audit import Event, record
from tenant_runtime.management.endings import end_organization
from tenant_runtime.models import Organization, User
from tenant_runtime.organizations.access import OWNER
from tenant_runtime.organizations.acting import Acting, acting_member, check_standing
from tenant_runtime.organizations.active import clear_active, enter, set_active
from tenant_runtime.organizations.admission import NewMember, admit
from tenant_runtime.organizations.fields import keep_fields
from tenant_runtime.organizations.lifecycle.rows import (
    not_a_member,
    not_found,
    number_of_memberships,
    organization_by_id,
    organization_by_slug,
)
from tenant_runtime.organizations.members import Member, member_of
from tenant_runtime.organizations.teams.units import create_default_team
from tenant_runtime.organizations.wire.errors import ApiError, refusal

_table, _u = Organization.__table__, User.__table__.c
_NEW = insert(_table).on_conflict_do_nothing(index_elements=["name"])
_VERIFIED = Prepared(select(_u.user_id).where(_u.user_id == bindparam("user"), _u.email_verified.is_(True)))
_FOLLOWS = "This organization stands for a tenant, which its name and existence follow."


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrganization:
    """`is_reserved`: the installation keeps the slug to itself. `team`: ids of its first team and of its creator in
    it."""

    id: str
    member_id: str
    team: tuple[str, str]
    slug: str
    name: str
    is_reserved: bool = False
    logo: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Created:
    organization: Row[Any]
    creator: Member


def check_may_create(connection: Connection, acting: Acting) -> None:
    """Memberships count, not ownerships."""
    options = acting.options
    if not options.allow_user_to_create_organization:
        raise refusal(403, "YOU_ARE_NOT_ALLOWED_TO_CREATE_A_NEW_ORGANIZATION")
    if options.creators_need_verified_address and not _is_verified(connection, acting.user_id):
        raise refusal(403, "EMAIL_NOT_VERIFIED")
    limit = options.organization_limit
    if limit is not None and number_of_memberships(connection, acting.user_id) >= limit:
        raise refusal(403, "YOU_HAVE_REACHED_THE_MAXIMUM_NUMBER_OF_ORGANIZATIONS")


def _is_verified(connection: Connection, user_id: str) -> bool:
    return bool(_VERIFIED.rows(connection, {"user": user_id}))


def create_organization(
    connection: Connection,
    acting: Acting,
    new: NewOrganization,
    event: Event,
    *,
    session_id: str | None = None,
) -> Created:
    """With the user as its owner. `session_id`: that session is in it from now on."""
    check_may_create(connection, acting)
    if new.is_reserved or connection.execute(_NEW, _values(new, acting.now)).rowcount == 0:
        raise refusal(400, "ORGANIZATION_ALREADY_EXISTS")
    keep_fields(connection, "organization", new.id, new.id, new.fields)
    creator = NewMember(
        id=new.member_id, organization_id=new.id, user_id=acting.user_id, roles=(OWNER,), now=acting.now
    )
    member = admit(connection, creator, acting.options)
    team_id = first_team(connection, acting, new)
    if session_id is not None:
        set_active(connection, session_id, new.id, team_id, acting.now)
    record(connection, replace(event, organization_id=new.id))
    return Created(_loaded(connection, new.id), member)


def check_slug(connection: Connection, slug: str, *, is_reserved: bool) -> None:
    if is_reserved or organization_by_slug(connection, slug) is not None:
        raise refusal(400, "ORGANIZATION_SLUG_ALREADY_TAKEN")


def choose_organization(
    connection: Connection, acting: Acting, session_id: str, organization_id: str, slug: str | None
) -> Row[Any] | ApiError:
    """That session is in it from now on, and in a team of it only if it was already. A refusal that is answered, not
    raised, leaves the session in no organization."""
    known = organization_id
    if slug is not None:
        named = organization_by_slug(connection, slug)
        if named is None:
            raise not_found()
        known = named.id
    found = organization_by_id(connection, known)
    if found is None or member_of(connection, known, acting.user_id) is None:
        clear_active(connection, session_id, acting.now)
        return not_a_member(403)
    check_standing(connection, acting, known)
    enter(connection, session_id, known, acting.now)
    return found


def update_organization(
    connection: Connection,
    acting: Acting,
    organization_id: str,
    changes: Mapping[str, Any],
    event: Event,
) -> Row[Any]:
    """`changes`: `name`, `slug` (with `is_reserved`), `logo`, `metadata`, `fields`."""
    acting_member(
        connection,
        acting,
        organization_id,
        {"organization": ["update"]},
        stranger=not_a_member(400),
        otherwise=_may_not("UPDATE"),
    )
    row = _loaded(connection, organization_id)
    values = _changed(connection, row, changes)
    if values:
        where = _table.c.id == organization_id
        connection.execute(update(_table).where(where).values({**values, "updated_at": acting.now}))
    keep_fields(connection, "organization", organization_id, organization_id, changes.get("fields", {}))
    record(connection, event)
    return _loaded(connection, organization_id)


def delete_organization(
    connection: Connection, acting: Acting, organization_id: str, event: Event
) -> Row[Any]:
    """Everybody is out of it in every session, and what was issued for it is over."""
    acting_member(
        connection,
        acting,
        organization_id,
        {"organization": ["delete"]},
        stranger=not_a_member(400),
        otherwise=_may_not("DELETE"),
    )
    row = _loaded(connection, organization_id)
    if row.managed_by is not None:
        raise _may_not("DELETE", _FOLLOWS)
    end_organization(connection, organization_id, acting.now)
    connection.execute(delete(_table).where(_table.c.id == organization_id))
    record(connection, event)
    return row


def _values(new: NewOrganization, now: int) -> dict[str, Any]:
    return {
        "id": new.id,
        "name": new.slug,
        "display_name": new.name,
        "branding": {"logo_url": new.logo} if new.logo else {},
        "metadata": dict(new.metadata),
        "created_at": now,
        "updated_at": now,
    }


def first_team(connection: Connection, acting: Acting, new: NewOrganization) -> str | None:
    teams = acting.options.teams
    if not (teams.enabled and teams.default_team):
        return None
    create_default_team(connection, *new.team, new.id, new.name, acting.user_id, acting.now)
    return new.team[0]


def _changed(connection: Connection, row: Row[Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if changes.get("name", row.display_name) != row.display_name:
        values["display_name"] = changes["name"]
    if changes.get("slug", row.name) != row.name:
        check_slug(connection, changes["slug"], is_reserved=changes.get("is_reserved", False))
        values["name"] = changes["slug"]
    if values and row.managed_by is not None:
        raise _may_not("UPDATE", _FOLLOWS)
    if "logo" in changes:
        kept = {name: value for name, value in row.branding.items() if name != "logo_url"}
        values["branding"] = {**kept, "logo_url": changes["logo"]} if changes["logo"] else kept
    if "metadata" in changes:
        values["metadata"] = dict(changes["metadata"] or {})
    return values


def _loaded(connection: Connection, organization_id: str) -> Row[Any]:
    row = organization_by_id(connection, organization_id)
    if row is None:
        raise not_found()
    return row


def _may_not(what: str, message: str | None = None) -> ApiError:
    return refusal(403, f"YOU_ARE_NOT_ALLOWED_TO_{what}_THIS_ORGANIZATION", message)
