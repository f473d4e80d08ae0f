"""Who administers tenant one, without a platform permission, finds no way into the tenants that it runs."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.installation import Installation
from tests.operators import Caller, give_roles, make_user, operator_token

pytestmark = pytest.mark.anyio

TENANT = "acme"


@dataclass
class Plane:
    """Tenant one: its API asked by the platform's machine, and by an administrator of tenant one alone."""

    installation: Installation
    machine: Caller
    administrator: Caller

    @property
    def issuer(self) -> str:
        return self.installation.demo.control_plane.issuer

    @property
    def audience(self) -> str:
        return self.installation.demo.control_plane.management_audience

    async def call(self, caller: Caller, method: str, path: str, body: Any = None) -> httpx.Response:
        return await caller.call(method, f"{self.issuer}api/v2{path}", body)

    async def organization_of_tenant(self) -> str:
        tenant = (await self.call(self.machine, "GET", f"/tenants/{TENANT}")).json()
        return str(tenant["organization_id"])

    async def machine_client(self) -> dict[str, Any]:
        body = {"name": "Automation", "app_type": "non_interactive"}
        client: dict[str, Any] = (await self.call(self.administrator, "POST", "/clients", body)).json()
        return client

    async def granted(
        self, caller: Caller, client_id: str, *, usage: str | None = None, any_organization: bool = False
    ) -> httpx.Response:
        body = {
            "client_id": client_id,
            "audience": self.audience,
            "scope": ["read:users"],
            "organization_usage": usage,
            "allow_any_organization": any_organization,
        }
        return await self.call(caller, "POST", "/client-grants", body)


@pytest.fixture
async def plane(installation: Installation) -> Plane:
    token = (await installation.operator())._headers["Authorization"].removeprefix("Bearer ")
    issuer = installation.demo.control_plane.issuer
    user_id, user = await make_user(installation, issuer, token)
    await give_roles(installation, issuer, token, user_id, ["Tenant Admin"])
    administrator = Caller(installation.http, await operator_token(installation, user))
    return Plane(installation, Caller(installation.http, token), administrator)


async def test_a_client_is_not_let_into_every_organization_by_who_may_not_change_every_tenant(
    plane: Plane,
) -> None:
    client = await plane.machine_client()
    refused = await plane.granted(
        plane.administrator, client["client_id"], usage="allow", any_organization=True
    )
    assert refused.status_code == 403, refused.text
    plain = await plane.granted(plane.administrator, client["client_id"])
    assert plain.status_code == 201
    path, opened = f"/client-grants/{plain.json()['id']}", {"organization_usage": "allow"}
    for change in ({**opened, "allow_any_organization": True}, {"allow_any_organization": True}, opened):
        answer = await plane.call(plane.administrator, "PATCH", path, change)
        token = await _token_in_organization(plane, client)
        assert token is None, (change, answer.text)
    assert (
        await plane.call(plane.machine, "PATCH", path, {**opened, "allow_any_organization": True})
    ).is_success


async def test_the_secret_of_a_client_that_may_enter_tenants_is_not_theirs_to_see_or_change(
    plane: Plane,
) -> None:
    client = await plane.machine_client()
    assert (
        await plane.granted(plane.machine, client["client_id"], usage="allow", any_organization=True)
    ).status_code == 201
    path = f"/clients/{client['client_id']}"
    assert (await plane.call(plane.administrator, "POST", f"{path}/rotate-secret")).status_code == 403
    assert "client_secret" not in (await plane.call(plane.administrator, "GET", path)).json()
    assert "client_secret" in (await plane.call(plane.machine, "GET", path)).json()


async def test_more_scopes_are_not_given_to_a_client_that_may_enter_tenants(plane: Plane) -> None:
    client = await plane.machine_client()
    grant = (
        await plane.granted(plane.machine, client["client_id"], usage="allow", any_organization=True)
    ).json()
    more = {"scope": ["read:users", "update:users"]}
    assert (
        await plane.call(plane.administrator, "PATCH", f"/client-grants/{grant['id']}", more)
    ).status_code == 403


async def _token_in_organization(plane: Plane, client: dict[str, Any]) -> str | None:
    form = {
        "grant_type": "client_credentials",
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "audience": plane.audience,
        "organization": await plane.organization_of_tenant(),
    }
    answer = (await plane.installation.http.post(f"{plane.issuer}oauth/token", data=form)).json()
    token: str | None = answer.get("access_token")
    return token


@pytest.mark.parametrize(
    "change", [{"password": "a rather long new password"}, {"email": "taken-over@people.example"}]
)
async def test_nobody_becomes_a_member_of_a_tenants_organization_by_taking_over_its_account(
    plane: Plane, change: dict[str, str]
) -> None:
    """Members and their roles are managed with update:tenants; so are the accounts that are members."""
    user_id, _ = await make_user(plane.installation, plane.issuer, str(plane.machine.token))
    members = f"/organizations/{await plane.organization_of_tenant()}/members"
    assert (await plane.call(plane.machine, "POST", members, {"members": [user_id]})).is_success
    assert (await plane.call(plane.administrator, "PATCH", f"/users/{user_id}", change)).status_code == 403
    assert (await plane.call(plane.machine, "PATCH", f"/users/{user_id}", change)).status_code == 200
