"""What is over goes away without anybody visiting idle tenants."""

from typing import Any

import pytest

from core.ids import new_id
from tenant_runtime.login.sessions import Lifetimes, NewSession
from tenant_runtime.login.sweeping import sweep
from tenant_runtime.organizations.accounts.entering import Entering, begin
from tests.login.world import World

pytestmark = pytest.mark.anyio

TABLES = ("authorization_requests", "authorization_codes", "sessions", "session_contexts")


async def counts(world: World) -> list[int]:
    return [(await world.acme.run(f"SELECT count(*) FROM {table}"))[0][0] for table in TABLES]


async def test_requests_codes_and_sessions_go_when_nobody_can_need_them(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await visitor.log_in()
    assert await counts(world) == [1, 1, 1, 1]
    left = []
    for seconds in (0, 3601, 86_400, 6 * 86_400, 31 * 86_400):
        world.clock.move(seconds)
        await world.acme.tenant.database.write(sweep, world.acme.ms)
        left.append(await counts(world))
    assert left == [[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]]


async def test_families_go_a_month_after_they_are_over_and_what_was_revoked_when_nothing_refers_to_it(
    world: World,
) -> None:
    visitor = world.visitor(await world.acme.make_client())
    user = await world.acme.make_user()
    await visitor.log_in()
    now, day = world.acme.ms, 86_400_000
    [(client,)] = (await world.acme.run("SELECT client_id FROM authorization_codes"))[:1]
    columns = "id, issuer, client_id, user_id, scope, amr, authenticated_at, created_at, used_at"
    for id, expires_at, revoked_at in (
        ("lasting", "NULL", "NULL"),
        ("expiring", now + day, "NULL"),
        ("revoked", "NULL", now),
    ):
        await world.acme.run(
            f"INSERT INTO refresh_families ({columns}, expires_at, revoked_at)"
            f" VALUES ('{id}', 'i', '{client}', '{user}', 's', '[]', {now}, {now}, {now}, {expires_at}, {revoked_at})"
        )
        await world.acme.run(f"INSERT INTO revoked_families VALUES ('{id}', {now}, 'test')")
        await world.acme.run(f"INSERT INTO family_logins VALUES ('{id}', 'con_a')")
    await world.acme.run(f"INSERT INTO revoked_families VALUES ('alone', {now}, 'test')")
    left = []
    for days in (0, 30, 2, 2):
        world.clock.move(days * 86_400)
        await world.acme.tenant.database.write(sweep, world.acme.ms)
        left.append(
            [
                sorted(row[0] for row in await world.acme.run(f"SELECT {key} FROM {table}"))
                for table, key in (("refresh_families", "id"), ("revoked_families", "family_id"))
            ]
        )
    everything = ["expiring", "lasting", "revoked"]
    assert left[:2] == [[everything, ["alone", *everything]]] * 2
    assert left[3] == [["lasting"], ["lasting"]]
    assert [row[0] for row in await world.acme.run("SELECT family_id FROM family_logins")] == ["lasting"]


async def test_invitations_and_requests_to_join_go_three_months_after_they_are_over(world: World) -> None:
    """Not what waits for an answer, and not who was turned away: they would come in again by signing in."""
    organization, user = await world.acme.make_organization("north"), await world.acme.make_user()
    now, day = world.acme.ms, 86_400_000
    for status in ("pending", "accepted", "rejected", "canceled"):
        await world.acme.run(
            "INSERT INTO invitations (id, organization_id, email, status, tenant_roles, user_metadata, app_metadata,"
            " fields, expires_at, created_at, updated_at) VALUES"
            f" ('{status}', '{organization}', '{status}@x.example', '{status}', '[]', '{{}}', '{{}}', '{{}}',"
            f" {now + 2 * day}, {now}, {now})"
        )
    for status in ("pending", "approved", "rejected", "canceled", "removed"):
        decided_at = "NULL" if status == "pending" else now
        await world.acme.run(
            "INSERT INTO join_requests (id, organization_id, user_id, status, created_at, decided_at)"
            f" VALUES ('{status}', '{organization}', '{user}', '{status}', {now}, {decided_at})"
        )
    left = []
    for days in (0, 89, 2, 2):
        world.clock.move(days * day // 1000)
        await world.acme.tenant.database.write(sweep, world.acme.ms)
        rows = [await world.acme.run(f"SELECT id FROM {table}") for table in ("invitations", "join_requests")]
        left.append(tuple({row[0] for row in each} for each in rows))
    invitations = {"pending", "accepted", "rejected", "canceled"}
    requests = {"pending", "approved", "rejected", "canceled", "removed"}
    kept = {"pending", "rejected", "removed"}
    assert left == [(invitations, requests)] * 2 + [(invitations, kept), (set(), kept)]


async def test_who_signs_in_by_the_organization_api_sweeps_as_well(world: World) -> None:
    """A tenant may have no other log-in. Chance is in the secret of the new session."""
    tenant, user = world.acme.tenant, await world.acme.make_user()

    async def sign_in(token_digest: str) -> list[Any]:
        session = NewSession(
            id=new_id("ses"),
            token_digest=token_digest,
            issuer=tenant.issuer,
            user_id=user,
            now=world.acme.ms,
            amr=("pwd",),
            lifetimes=Lifetimes(absolute=86_400_000, idle=86_400_000),
            ip=None,
            user_agent=None,
            data_key=tenant.data_key,
            has_context=True,
        )
        entering = Entering(
            connection_id="con_users", email="", session=session, previous_digest=None, events=()
        )
        assert await tenant.database.write(begin, entering) is not None
        return [row[0] for row in await world.acme.run("SELECT token_digest FROM sessions ORDER BY 1")]

    assert await sign_in("aa") == ["aa"]
    world.clock.move(32 * 86_400)
    assert await sign_in("bb") == ["aa", "bb"]
    assert await sign_in("00") == ["00", "bb"]


async def test_requests_that_nobody_signs_in_for_go_as_well(world: World) -> None:
    """Anybody may begin them, so their number must not depend on somebody finishing one."""
    client = await world.acme.make_client()
    for _ in range(3):
        await world.visitor(client).authorize()
        world.clock.move(3601)
    for _ in range(3000):
        await world.visitor(client).authorize()
        if (await counts(world))[0] < 3:
            return
        world.clock.move(3601)
    pytest.fail("nothing was swept")
