"""Random acts on roles, teams, members and invitations: nobody gives what they do not hold, and nothing dangles.

The acts are those of the API, by code in the same process (`test_in_process` compares the two); what holds is read from
the rows after each of them.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection, select

from core.tenants import Tenant
from tenant_runtime.models import (
    Invitation,
    Membership,
    MembershipOrganizationRole,
    OrganizationRole,
    Team,
    TeamMember,
)
from tenant_runtime.organizations.access import Statements, built_in_names, missing, of_roles, resources
from tenant_runtime.organizations.in_process import Organizations
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.wire import ApiError
from tests.installation import Installation
from tests.matrices import in_ci
from tests.organizations.people import new_address, signed_in
from tests.organizations.places import organization_of

pytestmark = pytest.mark.anyio

SEEDS = in_ci([str(seed) for seed in range(60)], ["1", "7"])
STEPS, PEOPLE = 80, 4
OPTIONS = OrganizationOptions()
LIMITED: Mapping[str, Any] = {
    "maker": {"ac": ["create", "read", "update", "delete"], "member": ["update"], "team": ["create"]},
    "keeper": {"member": ["update", "delete"], "invitation": ["create"], "ac": ["update"]},
}
"""Who may do much, and give little."""

NAMES = ("clerk", " Clerk", "scribe", "maker", "MAKER", "keeper")
GIVEN = ("owner", "admin", "member", "clerk", "scribe", "maker", "keeper", "clerk,scribe", "admin,maker")
Roles = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Of one organization, as they stand."""

    members: dict[str, tuple[str, ...]]  # roles by user
    ids: dict[str, str]  # of the membership
    defined: dict[str, Mapping[str, Any]]
    teams: list[str]
    in_teams: list[tuple[str, str]]  # team, user
    invited: list[tuple[str, str, str | None]]  # id, roles, teams

    def held_by(self, user: str) -> list[Statements]:
        return of_roles(self.members.get(user, ()), OPTIONS, self.defined)


def rows_of(connection: Connection, organization_id: str) -> Rows:
    m, held = Membership.__table__.c, MembershipOrganizationRole.__table__.c
    r, t, inside = OrganizationRole.__table__.c, Team.__table__.c, TeamMember.__table__.c
    i = Invitation.__table__.c
    members: dict[str, tuple[str, ...]] = {}
    ids: dict[str, str] = {}
    roles = select(m.id, m.user_id, held.role).join(
        MembershipOrganizationRole.__table__, held.membership_id == m.id
    )
    for row in connection.execute(roles.where(m.organization_id == organization_id)):
        members[row.user_id] = (*members.get(row.user_id, ()), row.role)
        ids[row.user_id] = row.id
    defined = select(r.role, r.permission).where(r.organization_id == organization_id)
    teams = select(t.id).where(t.organization_id == organization_id)
    people = select(inside.team_id, inside.user_id).where(inside.team_id.in_(teams))
    pending = select(i.id, i.role, i.team_ids).where(
        i.organization_id == organization_id, i.status == "pending"
    )
    return Rows(
        members=members,
        ids=ids,
        defined={row.role: row.permission for row in connection.execute(defined)},
        teams=list(connection.execute(teams.order_by(t.created_at)).scalars()),
        in_teams=[
            (row.team_id, row.user_id) for row in connection.execute(people.order_by(inside.created_at))
        ],
        invited=[(row.id, row.role, row.team_ids) for row in connection.execute(pending)],
    )


@dataclass(slots=True)
class World:
    tenant: Tenant
    organizations: Organizations
    organization_id: str
    users: list[str]
    random: random.Random
    done: set[str] = field(default_factory=set)

    async def step(self) -> None:
        before, actor = await self.rows(), self.random.choice(self.users)
        name = self.random.choice([*sorted(ACTS), *GIVING])
        values = ACTS[name](self, before)
        if values is None:
            return
        try:
            await getattr(self.organizations, name)(by=actor, organization_id=self.organization_id, **values)
        except ApiError:
            assert await self.rows() == before, (name, values)
            return
        self.done.add(name)
        after = await self.rows()
        assert actor in before.members, (name, values)
        check_nothing_dangles(after)
        check_nothing_is_given(before, after, actor, name)

    async def rows(self) -> Rows:
        return await self.tenant.database.read(rows_of, self.organization_id)

    def permission(self) -> dict[str, list[str]]:
        every = [(resource, action) for resource, actions in resources(OPTIONS).items() for action in actions]
        chosen: dict[str, list[str]] = {}
        for resource, action in self.random.sample(sorted(every), self.random.randint(1, 2)):
            chosen.setdefault(resource, []).append(action)
        return chosen

    def one_of(self, found: Any) -> Any:
        return self.random.choice(list(found)) if found else None

    def member(self, rows: Rows) -> str:
        return rows.ids[self.one_of([user for user in self.users if user in rows.ids])]


def check_nothing_dangles(rows: Rows) -> None:
    known = built_in_names(OPTIONS) | rows.defined.keys()
    assert all(known.issuperset(roles) for roles in rows.members.values())
    assert all(known.issuperset(roles.split(",")) for _, roles, _ in rows.invited)
    assert all(set(rows.teams).issuperset(teams.split(",")) for _, _, teams in rows.invited if teams)
    assert all(user in rows.members for _, user in rows.in_teams)
    assert all(name == name.strip().lower() and "," not in name for name in rows.defined)
    assert any("owner" in roles for roles in rows.members.values())


def check_nothing_is_given(before: Rows, after: Rows, actor: str, name: str) -> None:
    """Whoever may more than before was given it by somebody who held it; who was invited to more, likewise."""
    held = before.held_by(actor)
    if "owner" in before.members[actor]:
        return
    for role, permission in after.defined.items():
        if permission not in before.defined.values():
            assert not missing(held, permission), (name, role)
    for user in after.members:
        new = [role for role in after.held_by(user) if missing(before.held_by(user), pairs(role))]
        for role in new:
            gained = missing(before.held_by(user), pairs(role))
            assert set(gained).isdisjoint(missing(held, pairs(role))), (name, user, gained)
    for invitation in set(after.invited) - set(before.invited):
        given = [role for role in invitation[1].split(",") if role not in FOR_ALL]
        roles = of_roles(given, OPTIONS, after.defined)
        assert not [pair for role in roles for pair in missing(held, pairs(role))] or name in RENAMES


def pairs(role: Statements) -> dict[str, list[str]]:
    return {resource: sorted(actions) for resource, actions in role.items()}


FOR_ALL = ("member", "guest")
"""Whoever may invite may invite to these, which members are unless more is said."""

RENAMES = ("update_role", "remove_team")
"""Of what an invitation says, these change only the spelling."""

GIVING = ("create_role", "update_role", "update_member_role", "invite_member")
"""Twice as often as the others."""

ACTS: Mapping[str, Any] = {
    "create_role": lambda w, rows: {"role": w.random.choice(NAMES), "permission": w.permission()},
    "update_role": lambda w, rows: (
        (name := w.one_of(sorted(rows.defined)))
        and {
            "role_name": name,
            "data": w.random.choice([{"permission": w.permission()}, {"role_name": w.random.choice(NAMES)}]),
        }
    ),
    "delete_role": lambda w, rows: (name := w.one_of(sorted(rows.defined))) and {"role_name": name},
    "update_member_role": lambda w, rows: {
        "member_id": w.member(rows),
        "role": w.random.choice(GIVEN),
    },
    "remove_member": lambda w, rows: {"member_id_or_email": w.member(rows)},
    "invite_member": lambda w, rows: {
        "email": new_address(),
        "role": w.random.choice(GIVEN),
        "team_id": [team for team in rows.teams if w.random.random() < 0.5],
    },
    "create_team": lambda w, rows: {"name": "Team"},
    "remove_team": lambda w, rows: (team := w.one_of(rows.teams)) and {"team_id": team},
    "add_team_member": lambda w, rows: (
        (team := w.one_of(rows.teams)) and {"team_id": team, "user_id": w.one_of(w.users)}
    ),
    "remove_team_member": lambda w, rows: (
        (place := w.one_of(rows.in_teams)) and {"team_id": place[0], "user_id": place[1]}
    ),
}


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_is_done_nobody_gives_what_they_do_not_hold(shared: Installation, seed: str) -> None:
    people = [await signed_in(shared) for _ in range(PEOPLE)]
    organization_id = (await organization_of(people[0]))["id"]
    tenant = await shared.running.platform.directory.by_id("acme")
    assert tenant is not None
    users = [person.user_id for person in people]
    organizations = Organizations(tenant, shared.running.services)
    world = World(tenant, organizations, organization_id, users, random.Random(seed))
    inside = {"organization_id": organization_id}
    for role, permission in LIMITED.items():
        await organizations.create_role(by=users[0], **inside, role=role, permission=permission)
    for user, role in zip(users[1:], ("maker", "keeper", "admin"), strict=True):
        await organizations.add_member(**inside, user_id=user, role=role)
    for _ in range(STEPS):
        await world.step()
        rows = await world.rows()
        for user in [user for user in users if user not in rows.members]:
            again = world.random.choice(sorted(rows.defined.keys() | {"member"}))
            await organizations.add_member(**inside, user_id=user, role=again)
    assert len(world.done) >= 4
