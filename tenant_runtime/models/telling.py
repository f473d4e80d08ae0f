"""The triggers that number log events, and that write down what event streams tell of.

Triggers, because whoever changes a user, an organization or a member does it by one of these tables: management API,
sign-up, imports, converge, the platform, the command line. The row is in the transaction of the change, so that
nothing is told that was rolled back. A tenant that nobody listens to writes nothing, and so does a copy of a database
that is being filled: the row that says whose it is comes last.
"""

from collections.abc import Iterable, Iterator

from sqlalchemy import JSON, Column, Table

from core.database.triggers import Following, Trigger
from tenant_runtime.models.invitations import Invitation
from tenant_runtime.models.licenses import Subscription
from tenant_runtime.models.organizations import Membership, MembershipRole, Organization, OrganizationDomain
from tenant_runtime.models.teams import OrganizationRole, Team, TeamMember
from tenant_runtime.models.users import User

SINCE = "0005"
WITHIN_ORGANIZATIONS = "0006"
_NOT_TOLD = frozenset(
    {"profile", "sessions_valid_from", "last_login_at", "last_ip", "logins_count", "suspended_at"}
)
_TIMES = frozenset({"created_at", "updated_at"})
_INVITATION = (
    "id", "email", "role", "team_ids", "status", "inviter_id", "client_id", "expires_at", "created_at"
)  # fmt: skip
_OF_ORGANIZATION = (
    "'organization_id', {row}.organization_id,"
    " 'name', (SELECT name FROM organizations WHERE id = {row}.organization_id)"
)
_STANDS = "EXISTS (SELECT 1 FROM organizations WHERE id = {row}.organization_id)"
_NEXT = "SELECT COALESCE(MAX(sequence), 0) + 1 FROM"


def told(table: Table) -> list[Column[object]]:
    """The columns of a row that are told of."""
    return [column for column in table.c if column.name not in _NOT_TOLD]


def all_triggers() -> Iterator[Trigger]:
    yield Following(
        name="log_events_insert_sequence",
        event="INSERT",
        table="log_events",
        statement=(
            f"UPDATE log_events SET sequence = ({_NEXT} log_events)"
            " WHERE id = NEW.id AND sequence IS NULL AND EXISTS (SELECT 1 FROM tenant)"
        ),
        since=SINCE,
    )
    yield from _entities("user", User.__table__)
    yield from _entities("organization", Organization.__table__)
    yield from _entities("tenant", Organization.__table__, "{row}.managed_by IS NOT NULL")
    yield from _pairs("organization.member", "added", "deleted", Membership.__table__)
    yield from _roles()
    yield from _within("team", Team.__table__)
    yield from _within("role", OrganizationRole.__table__)
    yield from _within("subscription", Subscription.__table__)
    yield from _team_members()
    yield from _invitations()
    yield _domains()


def _entities(kind: str, table: Table, condition: str = "1 = 1") -> Iterator[Trigger]:
    """Created, updated, deleted. Updated is what differs in a column that is told of, other than its times."""
    columns = told(table)
    for event, type, row, extent in _life(columns):
        where = f"{condition.format(row=row)} AND ({extent})"
        yield _telling(table.name, event, f"{kind}.{type}", _object(row, columns), where=where)


def _life(columns: Iterable[Column[object]]) -> Iterator[tuple[str, str, str, str]]:
    differs = " OR ".join(
        f"CAST(OLD.{column.name} AS text) IS DISTINCT FROM CAST(NEW.{column.name} AS text)"
        for column in columns
        if column.name not in _TIMES
    )
    yield "INSERT", "created", "NEW", "1 = 1"
    yield "UPDATE", "updated", "NEW", differs
    yield "DELETE", "deleted", "OLD", "1 = 1"


def _pairs(kind: str, made: str, gone: str, table: Table) -> Iterator[Trigger]:
    for event, type, row in (("INSERT", made, "NEW"), ("DELETE", gone, "OLD")):
        values = (
            f"'organization_id', {row}.organization_id, 'user_id', {row}.user_id,"
            f" 'name', (SELECT name FROM organizations WHERE id = {row}.organization_id)"
        )
        yield _telling(table.name, event, f"{kind}.{type}", f"object_of({values})")


def _roles() -> Iterator[Trigger]:
    """A role that goes with its membership is no event of its own: the member's end is one."""
    for event, type, row in (("INSERT", "assigned", "NEW"), ("DELETE", "deleted", "OLD")):
        values = (
            "'organization_id', memberships.organization_id, 'user_id', memberships.user_id,"
            f" 'role_id', {row}.role_id, 'role_name', (SELECT name FROM roles WHERE id = {row}.role_id),"
            " 'name', (SELECT name FROM organizations WHERE id = memberships.organization_id)"
        )
        yield _telling(
            MembershipRole.__table__.name,
            event,
            f"organization.member.role.{type}",
            f"object_of({values})",
            source=" FROM memberships",
            where=f"memberships.id = {row}.membership_id",
        )


def _within(kind: str, table: Table) -> Iterator[Trigger]:
    """What an organization has. That it goes with the organization is no event of its own."""
    columns = told(table)
    for event, type, row, extent in _life(columns):
        yield _telling(
            table.name,
            event,
            f"organization.{kind}.{type}",
            _in_organization(kind, row, columns),
            where=f"{_STANDS.format(row=row)} AND ({extent})",
            since=WITHIN_ORGANIZATIONS,
        )


def _team_members() -> Iterator[Trigger]:
    """Whoever was in a team that goes is in it no more without being told of."""
    for event, type, row in (("INSERT", "added", "NEW"), ("DELETE", "deleted", "OLD")):
        team = "'id', teams.id, 'name', teams.name"
        yield _telling(
            TeamMember.__table__.name,
            event,
            f"organization.team.member.{type}",
            f"object_of({_OF_ORGANIZATION.format(row='teams')}, 'team', object_of({team}), 'user_id', {row}.user_id)",
            source=" FROM teams",
            where=f"teams.id = {row}.team_id",
            since=WITHIN_ORGANIZATIONS,
        )


def _invitations() -> Iterator[Trigger]:
    """Never the digest of the letter's secret."""
    table = Invitation.__table__
    data = _in_organization("invitation", "NEW", [table.c[name] for name in _INVITATION])
    answers = ("accepted", "rejected", "canceled")
    for event, type, where in (
        ("INSERT", "created", "NEW.status = 'pending'"),
        *(("UPDATE", word, f"OLD.status = 'pending' AND NEW.status = '{word}'") for word in answers),
    ):
        yield _telling(
            table.name,
            event,
            f"organization.invitation.{type}",
            data,
            where=where,
            since=WITHIN_ORGANIZATIONS,
        )


def _domains() -> Trigger:
    table = OrganizationDomain.__table__
    return _telling(
        table.name,
        "UPDATE",
        "organization.domain.verified",
        _in_organization("domain", "NEW", [table.c[name] for name in ("id", "domain", "verified_at")]),
        where="OLD.status <> 'verified' AND NEW.status = 'verified'",
        since=WITHIN_ORGANIZATIONS,
    )


def _in_organization(kind: str, row: str, columns: Iterable[Column[object]]) -> str:
    own = [column for column in columns if column.name != "organization_id"]
    return f"object_of({_OF_ORGANIZATION.format(row=row)}, '{kind}', {_object(row, own)})"


def _object(row: str, columns: Iterable[Column[object]]) -> str:
    """With the names of the columns, not of the attributes: `metadata` is reserved to SQLAlchemy."""
    members = (f"'{column.name}', {_value(row, column)}" for column in columns)
    return f"object_of({', '.join(members)})"


def _value(row: str, column: Column[object]) -> str:
    place = f"{row}.{column.name}"
    return f"json_value({place})" if isinstance(column.type, JSON) else place


def _telling(
    table: str,
    event: str,
    type: str,
    data: str,
    *,
    source: str = "",
    where: str = "1 = 1",
    since: str = SINCE,
) -> Trigger:
    return Following(
        name=f"{table}_{event.lower()}_{type.replace('.', '_')}_told",
        event=event,
        table=table,
        statement=(
            "INSERT INTO changes (id, sequence, type, data, created_at)"
            f" SELECT 'evt_' || random_text(), ({_NEXT} changes), '{type}', {data}, now_ms(){source}"
            f" WHERE {where} AND EXISTS (SELECT 1 FROM event_streams WHERE status = 'enabled')"
            " AND EXISTS (SELECT 1 FROM tenant)"
        ),
        since=since,
    )
