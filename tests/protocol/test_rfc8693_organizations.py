"""RFC 8693: a person's token for one of another organization."""

import pytest

from tenant_runtime import models
from tests.protocol.exchanging import (
    ACCESS_TOKEN,
    error_of,
    exchange,
    exchanged,
    set_client,
    token_of,
    with_clients,
)
from tests.protocol.issuer import (
    Issuers,
    claims_of,
    header_of,
)

pytestmark = pytest.mark.anyio


async def test_an_application_switches_the_organization_and_scope_only_shrinks(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    for role in ("rol_reader", "rol_writer"):
        await acme.add(models.MembershipRole, membership_id="mem_south_ann", role_id=role)
    in_north = await token_of(acme, organization_id="org_north")
    assert claims_of(in_north)["scope"] == "openid write:invoices"
    body = await exchanged(acme, in_north, organization="org_south")
    claims = claims_of(body["access_token"])
    assert claims["org_id"] == "org_south"
    assert claims["scope"] == body["scope"] == "openid write:invoices"  # she holds more there
    assert claims["permissions"] == ["write:invoices"]
    assert claims["aud"] == claims_of(in_north)["aud"]
    assert (claims["sub"], claims["sid"], claims["client_id"]) == ("auth0|ann", "sess_ann", "app")
    assert "act" not in claims
    assert set(body) == {"access_token", "issued_token_type", "token_type", "expires_in", "scope"}
    assert (body["issued_token_type"], body["token_type"]) == (ACCESS_TOKEN, "Bearer")
    assert header_of(body["access_token"])["typ"] == "at+jwt"
    assert (await acme.userinfo(body["access_token"])).json()["org_id"] == "org_south"
    assert (
        claims_of((await exchanged(acme, in_north, organization="south"))["access_token"])["org_name"]
        == "south"
    )


async def test_what_she_does_not_hold_there_is_gone(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    in_north = await token_of(acme, organization_id="org_north")
    claims = claims_of((await exchanged(acme, in_north, organization="org_south"))["access_token"])
    assert (claims["scope"], claims["permissions"]) == ("openid", [])


async def test_membership_is_checked_now(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme, organization_id="org_north")
    for organization, expected in (
        ("org_west", "access_denied"), ("org_nowhere", "invalid_request"), ("nowhere", "invalid_request"),
        ("org_" + "x" * 5000, "invalid_request"),
    ):  # fmt: skip
        assert error_of(await exchange(acme, token, organization=organization)) == expected
    await acme.change(models.Organization, {"id": "org_south"}, suspended_at=1)
    assert error_of(await exchange(acme, token, organization="org_south")) == "access_denied"
    await acme.remove(models.Membership, id="mem_north_ann")
    assert error_of(await exchange(acme, token)) == "invalid_grant"
    assert error_of(await exchange(acme, token, organization="org_south")) == "invalid_grant"


async def test_organizations_are_not_for_a_client_that_may_not_use_them(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme)
    await acme.tenant.database.alone(set_client, "app", {"organization_usage": "deny"})
    assert error_of(await exchange(acme, token, organization="org_north")) == "invalid_request"


async def test_scope_may_be_narrowed_and_never_widened(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme, scope="openid email read:invoices")
    claims = claims_of((await exchanged(acme, token, scope="openid"))["access_token"])
    assert (claims["scope"], claims["permissions"]) == ("openid", [])
    for wider in ("openid write:invoices", "profile", "offline_access", "read:tenants", "nonsense"):
        assert error_of(await exchange(acme, token, scope=wider)) == "invalid_scope"


async def test_platform_scopes_are_never_beside_an_organization(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    audience = acme.tenant.management_audience
    await acme.add(models.Role, id="rol_platform", name="Platform")
    for permission in ("read:tenants", "read:users"):
        await acme.add(
            models.RolePermission,
            role_id="rol_platform",
            resource_server_id="management",
            permission=permission,
        )
    await acme.add(models.UserRole, user_id="auth0|ann", role_id="rol_platform")
    await acme.add(models.MembershipRole, membership_id="mem_north_ann", role_id="rol_platform")
    token = await token_of(acme, audience=audience, scope="read:tenants read:users")
    assert claims_of(token)["scope"] == "read:tenants read:users"
    claims = claims_of((await exchanged(acme, token, organization="org_north"))["access_token"])
    assert (claims["scope"], claims["permissions"]) == ("read:users", ["read:users"])
