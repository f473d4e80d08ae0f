"""What is over goes away without anybody visiting idle tenants."""

import pytest

from tenant_runtime.login.sweeping import sweep
from tests.login.world import World

pytestmark = pytest.mark.anyio

TABLES = ("authorization_requests", "authorization_codes", "sessions")


async def counts(world: World) -> list[int]:
    return [(await world.acme.run(f"SELECT count(*) FROM {table}"))[0][0] for table in TABLES]


async def test_requests_codes_and_sessions_go_when_nobody_can_need_them(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await visitor.log_in()
    assert await counts(world) == [1, 1, 1]
    left = []
    for seconds in (0, 3601, 86_400, 6 * 86_400, 31 * 86_400):
        world.clock.move(seconds)
        await world.acme.tenant.database.write(sweep, world.acme.ms)
        left.append(await counts(world))
    assert left == [[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0]]


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
