"""Whoever administers one tenant, by its organization on tenant one or as its own user, does not raise themself
(`specs/bad-inputs.md` 133), and a matrix of what each role in the organization may do."""

import secrets
from dataclasses import dataclass
from typing import Any

import pytest

from tests.controlplane.conftest import Platform, platform_of
from tests.installation import Installation
from tests.operators import Caller, make_user, operator_token, token_of

pytestmark = pytest.mark.anyio

WEAK = (
    "read:users", "update:users", "create:role_members", "read:roles", "create:roles", "update:roles",
    "read:clients", "create:clients", "update:clients", "create:client_grants", "update:client_grants",
    "read:organizations", "create:organization_members", "create:organization_member_roles",
)  # fmt: skip
"""A clerk for people and applications: with these alone one could become anybody, if it were let."""


@dataclass(frozen=True)
class Delegated:
    platform: Platform
    tenants: dict[str, dict[str, Any]]

    @property
    def installation(self) -> Installation:
        return self.platform.installation

    async def role(self, *permissions: str) -> str:
        made = await self.platform(
            "POST", "/roles", {"name": f"Clerk {secrets.token_hex(3)}", "description": "x"}
        )
        audience = self.installation.demo.control_plane.management_audience
        held = [
            {"resource_server_identifier": audience, "permission_name": permission}
            for permission in permissions
        ]
        role: str = made.json()["id"]
        answer = await self.platform("POST", f"/roles/{role}/permissions", {"permissions": held})
        assert answer.status_code == 201, answer.text
        return role

    async def named(self, name: str) -> str:
        roles = (await self.platform("GET", "/roles", per_page=100)).json()
        return next(role["id"] for role in roles if role["name"] == name)

    async def member(self, role: str, tenant: str = "acme") -> tuple[str, Caller]:
        """Of the tenant's organization, with a role there, signed in for it."""
        token, organization = str(self.platform.machine.token), self.tenants[tenant]["organization_id"]
        user_id, user = await make_user(self.installation, self.platform.issuer, token)
        await self.platform.join(self.tenants[tenant], user_id)
        path = f"/organizations/{organization}/members/{user_id}/roles"
        assert (await self.platform("POST", path, {"roles": [role]})).status_code == 204
        http = self.installation.http
        return user_id, Caller(http, await operator_token(self.installation, user, organization))

    async def own_user(self) -> tuple[str, Caller]:
        """Acme's own, with the clerk's permissions."""
        acme = self.installation.tenant("acme")
        api = await self.installation.manager("acme")
        machine = Caller(self.installation.http, api._headers["Authorization"].removeprefix("Bearer "))
        user_id, user = await make_user(self.installation, acme.issuer, str(machine.token))
        held = [
            {"resource_server_identifier": acme.management_audience, "permission_name": permission}
            for permission in WEAK
        ]
        await machine.call("POST", f"{acme.issuer}api/v2/users/{user_id}/permissions", {"permissions": held})
        token = await token_of(
            self.installation, acme.issuer, acme.clients["web"], acme.management_audience, user
        )
        return user_id, Caller(self.installation.http, token)


@pytest.fixture(scope="module")
async def delegated(shared: Installation) -> Delegated:
    platform = await platform_of(shared)
    tenants = {name: (await platform("GET", f"/tenants/{name}")).json() for name in ("acme", "globex")}
    return Delegated(platform, tenants)


async def status(caller: Caller, base: str, method: str, path: str, body: Any = None) -> int:
    answer = await caller.call(method, f"{base}api/v2{path}", body)
    assert answer.status_code < 500, answer.text
    return answer.status_code


async def test_on_tenant_one_no_delegated_administrator_gives_themself_anything(delegated: Delegated) -> None:
    home, management = (
        delegated.platform.issuer,
        delegated.installation.demo.control_plane.management_audience,
    )
    admin = await delegated.named("Platform Admin")
    for role in (await delegated.named("Tenant Admin"), await delegated.role(*WEAK)):
        me, caller = await delegated.member(role)
        mine, other = (delegated.tenants[name]["organization_id"] for name in ("acme", "globex"))
        permission = {"resource_server_identifier": management, "permission_name": "update:tenants"}
        for method, path, body in (
            ("POST", f"/users/{me}/roles", {"roles": [admin]}),
            ("POST", f"/users/{me}/permissions", {"permissions": [permission]}),
            ("POST", f"/roles/{role}/permissions", {"permissions": [permission]}),
            ("POST", f"/organizations/{mine}/members/{me}/roles", {"roles": [admin]}),
            ("POST", f"/organizations/{other}/members", {"members": [me]}),
            ("POST", "/clients", {"name": "x", "app_type": "non_interactive"}),
            ("PATCH", f"/users/{me}", {"app_metadata": {"admin": True}}),
            ("POST", "/keys/signing/rotate", None),
            ("PATCH", "/tenants/acme", {"labels": ["x"]}),
            ("POST", "/tenants", {"id": "mine"}),
        ):
            assert await status(caller, home, method, path, body) == 403, (method, path)


@pytest.mark.parametrize("who", ["by the organization", "of its own"])
async def test_in_the_tenant_nobody_makes_themself_or_a_tool_of_theirs_stronger(
    delegated: Delegated, who: str
) -> None:
    acme = delegated.installation.tenant("acme")
    if who == "of its own":
        me, caller = await delegated.own_user()
    else:
        me, caller = await delegated.member(await delegated.role(*WEAK))
    base, management = acme.issuer, acme.management_audience
    much = {"resource_server_identifier": management, "permission_name": "delete:users"}
    role = (await caller.call("POST", f"{base}api/v2/roles", {"name": f"Mine {secrets.token_hex(3)}"})).json()
    body = {"name": "Mine", "app_type": "non_interactive"}
    client = (await caller.call("POST", f"{base}api/v2/clients", body)).json()["client_id"]
    grant = {"client_id": client, "audience": management, "scope": ["delete:users"]}
    tries: list[tuple[str, str, Any]] = [
        ("POST", f"/roles/{role['id']}/permissions", {"permissions": [much]}),
        ("POST", "/client-grants", grant),
        ("POST", "/keys/signing/rotate", None),
        ("POST", "/connections", {"name": "mine", "strategy": "auth0"}),
        ("POST", f"/clients/{acme.clients['m2m'].client_id}/rotate-secret", None),
        ("POST", "/custom-domains", {"domain": "mine.test", "type": "self_managed_certs"}),
    ]
    if who == "of its own":
        tries += [
            ("POST", f"/users/{me}/roles", {"roles": [role["id"]]}),
            ("POST", f"/users/{me}/permissions", {"permissions": [much]}),
        ]
    for method, path, body_ in tries:
        assert await status(caller, base, method, path, body_) == 403, (method, path)
    weak_grant = {**grant, "scope": ["read:users"]}
    assert await status(caller, base, "POST", "/client-grants", weak_grant) == 201, (
        "what one holds, one may give"
    )


async def test_whoever_is_put_out_of_a_tenant_s_organization_administers_it_no_more(
    delegated: Delegated,
) -> None:
    """Whatever their token says until it runs out; who comes back needs another one."""
    user_id, caller = await delegated.member(await delegated.named("Tenant Admin"))
    acme, organization = delegated.installation.tenant("acme").issuer, delegated.tenants["acme"]
    assert await status(caller, acme, "GET", "/users") == 200
    delegated.installation.clock.advance(1)
    path = f"/organizations/{organization['organization_id']}/members"
    assert (await delegated.platform("DELETE", path, {"members": [user_id]})).status_code == 204
    refused = [await status(caller, acme, "GET", "/users")]
    refused.append(await status(caller, acme, "POST", "/roles", {"name": f"Made {secrets.token_hex(4)}"}))
    await delegated.platform.join(organization, user_id)
    refused.append(await status(caller, acme, "GET", "/users"))
    assert refused == [401, 401, 401]


MATRIX = {
    "Tenant Admin": {"read": True, "create": True, "settings": True, "keys": True},
    "Tenant Member": {"read": True, "create": False, "settings": False, "keys": False},
}


@pytest.mark.parametrize("name", MATRIX)
async def test_what_a_role_in_the_organization_may_do_in_its_tenant_and_nowhere_else(
    delegated: Delegated, name: str
) -> None:
    _, caller = await delegated.member(await delegated.named(name))
    asked = {
        "read": ("GET", "/users", None),
        "create": ("POST", "/roles", {"name": f"Made {secrets.token_hex(4)}"}),
        "settings": ("PATCH", "/tenants/settings", {"support_url": "https://help.example.com"}),
        "keys": ("POST", "/keys/signing/rotate", None),
    }
    here, there = (delegated.installation.tenant(tenant).issuer for tenant in ("acme", "globex"))
    for what, call in asked.items():
        answered = await status(caller, here, *call)
        assert (answered in (200, 201)) if MATRIX[name][what] else (answered == 403), (what, answered)
        assert await status(caller, there, *call) == 403, what
