"""Who acts in somebody's name has none of their power over a tenant (RFC 8693 section 4.1)."""

from typing import Any

import pytest

from tests.management.world import World

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("act", [{"sub": "orders@clients"}, {}, None, "x"])
async def test_a_delegated_token_is_refused_whatever_it_may_do(world: World, act: Any) -> None:
    for place in (world.acme, world.one):
        claims = place.claims()
        assert (await place.with_token(place.sign(claims)).get("/roles")).status_code == 200
        answer = await place.with_token(place.sign(claims | {"act": act})).get("/roles")
        assert (answer.status_code, answer.json()["errorCode"]) == (401, "invalid_token")
    foreign = world.one.sign(world.one.claims() | {"act": act, "org_id": world.acme.tenant.organization_id})
    assert (await world.acme.with_token(foreign).get("/roles")).status_code == 401
