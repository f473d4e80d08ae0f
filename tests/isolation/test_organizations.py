"""What an organization opens and what it does not: group O of the bad inputs, through the front door."""

import secrets
from typing import Any

import pytest

from tests.installation import Installation
from tests.isolation.conftest import CONTROL_PLANE, A, B, Neighbours, neighbours_of
from tests.operators import Caller, give_roles, make_user, operator_token, token_of
from tests.relying_party import payload

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fresh(installation: Installation) -> Neighbours:
    return await neighbours_of(installation)


async def test_o76_a_silent_request_for_an_organization_one_may_not_have_brings_an_error_and_no_code(
    fresh: Neighbours,
) -> None:
    acme, globex = fresh.installation.tenant(A), fresh.installation.tenant(B)
    manager = fresh.callers["A's machine"]
    rp = fresh.installation.relying_party(A)
    await rp.sign_in()
    suspended, deleted = [
        await fresh.made(A, "/organizations", {"name": name}) for name in ("resting", "leaving")
    ]
    user = (await manager.call("GET", f"{acme.issuer}api/v2/users-by-email", email=rp.user.email)).json()[0]
    for organization in (suspended, deleted):
        path = f"{acme.issuer}api/v2/organizations/{organization['id']}/members"
        assert (await manager.call("POST", path, {"members": [user["user_id"]]})).status_code == 204
    await manager.call("DELETE", f"{acme.issuer}api/v2/organizations/{deleted['id']}")

    async def refused(value: str) -> tuple[str, str]:
        landed = await rp.silent(organization=value)
        assert "code" not in landed, value
        return landed["error"], landed["error_description"]

    assert (await refused(acme.organizations[2].id))[0] == "access_denied"
    unknown = await refused("org_0000000000000000")
    assert unknown[0] == "invalid_request"
    assert await refused(globex.organizations[0].id) == unknown
    assert await refused(deleted["id"]) == unknown
    assert await refused(globex.organizations[0].name) == unknown
    assert "code" in await rp.silent(organization=acme.organizations[0].id)
    assert "code" in await rp.silent(organization=acme.organizations[0].name.upper())


async def _member(fresh: Neighbours) -> tuple[Any, str, str, str]:
    """A relying party whose user is in an organization with a role; their ids."""
    acme, rp = fresh.installation.tenant(A), fresh.installation.relying_party(A)
    organization = acme.organizations[0].id
    manager, base = fresh.callers["A's machine"], f"{acme.issuer}api/v2"
    user = (await manager.call("GET", f"{base}/users-by-email", email=rp.user.email)).json()[0]["user_id"]
    return rp, organization, user, f"{base}/organizations/{organization}/members"


async def test_o77_a_member_who_is_removed_gets_nothing_more(fresh: Neighbours) -> None:
    rp, organization, user, members = await _member(fresh)
    manager = fresh.callers["A's machine"]
    tokens = await rp.sign_in(organization=organization)
    code = await rp.code(organization=organization)
    assert (await manager.call("DELETE", members, {"members": [user]})).status_code == 204
    assert (await rp.redeem(code)).error == "invalid_grant"
    assert (await rp.refresh(tokens.refresh_token)).error == "invalid_grant"
    assert (await rp.silent(organization=organization))["error"] == "access_denied"


async def test_o78_a_role_that_is_taken_away_is_missing_in_the_next_silent_token(fresh: Neighbours) -> None:
    rp, organization, user, members = await _member(fresh)
    manager = fresh.callers["A's machine"]
    first = await rp.sign_in(organization=organization)
    assert "write:invoices" in first.claims["permissions"]
    roles = [role["id"] for role in (await manager.call("GET", f"{members}/{user}/roles")).json()]
    assert (await manager.call("DELETE", f"{members}/{user}/roles", {"roles": roles})).status_code == 204
    second = await rp.redeem((await rp.silent(organization=organization))["code"])
    assert "write:invoices" not in second.claims["permissions"]


async def test_o80_an_organization_that_is_only_named_like_a_tenant_opens_nothing(fresh: Neighbours) -> None:
    acme = fresh.installation.tenant(A)
    lookalike = await fresh.made(A, "/organizations", {"name": B})
    rp = fresh.installation.relying_party(A)
    manager = fresh.callers["A's machine"]
    user = (await manager.call("GET", f"{acme.issuer}api/v2/users-by-email", email=rp.user.email)).json()[0]
    members = f"{acme.issuer}api/v2/organizations/{lookalike['id']}/members"
    await manager.call("POST", members, {"members": [user["user_id"]]})
    rp.audience = acme.management_audience
    token = (await rp.sign_in(organization=lookalike["id"], scope="openid")).access_token
    assert payload(token)["org_id"] == lookalike["id"]
    caller = Caller(fresh.http, token)
    assert (await caller.call("GET", f"{fresh.issuer(B)}api/v2/roles")).status_code == 401
    assert (await caller.call("GET", f"{fresh.issuer(CONTROL_PLANE)}api/v2/tenants/{B}")).status_code == 401


async def test_o80_on_tenant_one_the_bond_is_by_id_and_not_by_name(fresh: Neighbours) -> None:
    """An organization of the operators' own, with the name of a tenant that was never bound to it."""
    plane = fresh.issuer(CONTROL_PLANE)
    taken = await fresh.platform.call("POST", f"{plane}api/v2/organizations", {"name": B})
    assert taken.status_code == 409
    own = await fresh.made(CONTROL_PLANE, "/organizations", {"name": "no-tenant"})
    user_id, user = await make_user(fresh.installation, plane, str(fresh.platform.token))
    await give_roles(fresh.installation, plane, str(fresh.platform.token), user_id, ["Platform Admin"])
    members = f"{plane}api/v2/organizations/{own['id']}/members"
    await fresh.platform.call("POST", members, {"members": [user_id]})
    token = await operator_token(fresh.installation, user, own["id"])
    assert not any(name.endswith(":tenants") for name in payload(token)["permissions"])
    caller = Caller(fresh.http, token)
    for host in (A, B, CONTROL_PLANE):
        assert (await caller.call("GET", f"{fresh.issuer(host)}api/v2/roles")).status_code == 403
        assert (await caller.call("GET", f"{plane}api/v2/tenants/{host}")).status_code == 403
    for name in (A, B, "no-tenant"):
        answer = await caller.call("GET", f"{plane}api/v2/roles", headers={"tenant-id": name})
        assert answer.status_code in (403, 404)


async def test_o80_a_tenant_organization_follows_its_tenant_and_nobody_else(fresh: Neighbours) -> None:
    plane = fresh.issuer(CONTROL_PLANE)
    tenant = (await fresh.platform.call("GET", f"{plane}api/v2/tenants/{A}")).json()
    url = f"{plane}api/v2/organizations/{tenant['organization_id']}"
    for who in ("platform machine", "person"):
        for method, body in (("PATCH", {"name": "mine"}), ("DELETE", None)):
            answer = await fresh.callers[who].call(method, url, body)
            assert answer.status_code == 403, (who, method, answer.text)
    member = await fresh.callers["person"].call("POST", f"{url}/members", {"members": ["auth0|x"]})
    assert member.status_code == 403, member.text
    assert (await fresh.platform.call("GET", url)).json()["name"] == A


async def test_o81_tokens_follow_the_id_of_an_organization_that_is_renamed(fresh: Neighbours) -> None:
    rp, organization, _, _ = await _member(fresh)
    acme = fresh.installation.tenant(A)
    manager, base = fresh.callers["A's machine"], f"{acme.issuer}api/v2/organizations"
    old_name = acme.organizations[0].name
    tokens = await rp.sign_in(organization=organization)
    assert (await manager.call("PATCH", f"{base}/{organization}", {"name": "moved-on"})).status_code == 200
    usurper = await fresh.made(A, "/organizations", {"name": old_name})
    claims = (await rp.refresh(tokens.refresh_token)).claims
    assert (claims["org_id"], claims["org_name"]) == (organization, "moved-on")
    assert (await rp.silent(organization=old_name))["error"] == "access_denied"
    assert usurper["id"] != organization


async def test_o83_a_user_of_a_with_an_operators_address_is_another_person(fresh: Neighbours) -> None:
    """Subjects are per issuer: neither address nor an equal `sub` carries power over."""
    acme = fresh.installation.tenant(A)
    operator = fresh.installation.demo.control_plane.users[0]
    _, twin = await make_user(
        fresh.installation, acme.issuer, str(fresh.callers["A's machine"].token), email=operator.email
    )
    token = await token_of(
        fresh.installation, acme.issuer, acme.clients["web"], acme.management_audience, twin
    )
    plane, caller = fresh.issuer(CONTROL_PLANE), Caller(fresh.http, token)
    for path in ("tenants", "fleet", "roles", f"tenants/{A}", "tenants/settings"):
        assert (await caller.call("GET", f"{plane}api/v2/{path}")).status_code == 401
    assert (await caller.call("GET", f"{acme.issuer}api/v2/roles")).status_code == 403


async def test_a_scope_of_the_platform_is_given_only_by_who_holds_it(fresh: Neighbours) -> None:
    """On tenant one a Tenant Admin may manage roles, and does not become an operator by it."""
    person, plane = fresh.callers["person"], fresh.issuer(CONTROL_PLANE)
    audience = fresh.installation.demo.control_plane.management_audience
    me = payload(str(person.token))["sub"]
    roles = (await person.call("GET", f"{plane}api/v2/roles", per_page=100)).json()
    platform_admin = next(role["id"] for role in roles if role["name"] == "Platform Admin")
    permission = {
        "permissions": [{"resource_server_identifier": audience, "permission_name": "read:tenants"}]
    }
    role = (await person.call("POST", f"{plane}api/v2/roles", {"name": secrets.token_hex(4)})).json()
    for url, body in (
        (f"users/{me}/roles", {"roles": [platform_admin]}),
        (f"users/{me}/permissions", permission),
        (f"roles/{platform_admin}/users", {"users": [me]}),
        (f"roles/{role['id']}/permissions", permission),
    ):
        answer = await person.call("POST", f"{plane}api/v2/{url}", body)
        assert answer.status_code == 403, (url, answer.text)
