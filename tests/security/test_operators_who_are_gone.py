"""A token lives a while longer than what happens to its holder; power over every tenant does not."""

from typing import Any

import pytest

from tests.installation import Installation
from tests.operators import Caller, give_roles, machine_token, make_user, operator_token

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("how", ["deleted", "blocked", "given a new password"])
async def test_an_operator_who_is_gone_runs_no_tenant(installation: Installation, how: str) -> None:
    plane, operator = installation.demo.control_plane, await installation.operator()
    token = operator._headers["Authorization"].removeprefix("Bearer ")
    user_id, user = await make_user(installation, plane.issuer, token)
    await give_roles(installation, plane.issuer, token, user_id, ["Platform Admin"])
    caller = Caller(installation.http, await operator_token(installation, user))
    tenants = f"{plane.issuer}api/v2/tenants"
    assert (await caller.call("GET", tenants)).status_code == 200
    installation.clock.advance(2)
    if how == "deleted":
        await operator.delete(f"/users/{user_id}")
    else:
        change: dict[str, Any] = (
            {"blocked": True} if how == "blocked" else {"password": "another long password"}
        )
        await operator.patch(f"/users/{user_id}", change)
    for method, path, body in (("GET", "", None), ("POST", "", {"id": "late"}), ("DELETE", "/acme", None)):
        assert (await caller.call(method, f"{tenants}{path}", body)).status_code == 401


async def test_a_machine_whose_client_is_gone_runs_no_tenant(installation: Installation) -> None:
    plane, operator = installation.demo.control_plane, await installation.operator()
    client = plane.clients["m2m"]
    token = await machine_token(installation.http, plane.issuer, client, plane.management_audience)
    await operator.delete(f"/clients/{client.client_id}")
    tenants = f"{plane.issuer}api/v2/tenants"
    assert (await Caller(installation.http, token).call("GET", tenants)).status_code == 401
