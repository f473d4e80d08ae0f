"""Accounts that their owners delete at `/api/auth`, where the tenant lets them (`specs/organization-api.md` B.4)."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from tests.installation import Installation
from tests.organizations.people import another, member, new_address, signed_in

pytestmark = pytest.mark.anyio

DAY = 86_400


async def let_accounts_go(installation: Installation) -> None:
    manager = await installation.manager("acme")
    await manager.patch("/tenants/organizations", {"allow_user_deletion": True})


@pytest.fixture(scope="module")
async def lenient(shared: Installation) -> Installation:
    await let_accounts_go(shared)
    return shared


async def test_an_account_goes_with_everything_of_its_owners(lenient: Installation) -> None:
    (north, *_) = lenient.tenant("acme").organizations
    robin = await member(lenient, north.id)
    laptop = await another(robin).sign_in()
    wrong = await robin.post("/delete-user", password="wrong")
    assert (wrong.status, wrong.code) == (400, "INVALID_PASSWORD")
    unsaid = await robin.call("POST", "/delete-user")
    assert (unsaid.status, unsaid.code) == (400, "VALIDATION_ERROR")
    unknown = await robin.post("/delete-user", token="of-no-letter")
    assert (unknown.status, unknown.code) == (404, "INVALID_TOKEN")
    gone = await robin.post("/delete-user", password=robin.password)
    assert (gone.status, gone.body) == (200, {"success": True, "message": "User deleted"})
    assert not [cookie for cookie in robin.http.cookies if cookie.startswith("better-auth")]
    assert await laptop.session() is None
    manager = await lenient.manager("acme")
    assert await manager.status("GET", f"/users/{robin.user_id}") == 404
    assert not [row for row in await rows(lenient, "memberships") if row.user_id == robin.user_id]


async def test_the_only_owner_of_an_organization_cannot_go(lenient: Installation) -> None:
    robin = await signed_in(lenient)
    made = await robin.post("/organization/create", name="Alone", slug="alone")
    assert made.status == 200, made
    refused = await robin.post("/delete-user")
    assert (refused.status, refused.code) == (400, "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER")
    assert await robin.session() is not None
    assert (await robin.post("/organization/delete", organizationId=made.body["id"])).status == 200
    assert (await robin.post("/delete-user")).status == 200


async def test_of_two_owners_who_go_at_once_one_stays(lenient: Installation) -> None:
    robin, sam = await signed_in(lenient), await signed_in(lenient)
    made = await robin.post("/organization/create", name="Pair", slug="pair")
    asked = await robin.post("/organization/invite-member", email=sam.email, role="owner")
    assert (await sam.post("/organization/accept-invitation", invitationId=asked.body["id"])).status == 200
    answers = await asyncio.gather(robin.post("/delete-user"), sam.post("/delete-user"))
    assert sorted(answer.status for answer in answers) == [200, 400]
    (left,) = [row for row in await rows(lenient, "memberships") if row.organization_id == made.body["id"]]
    assert left.user_id in (robin.user_id, sam.user_id)


async def test_a_deleted_user_has_invited_nobody(lenient: Installation) -> None:
    """And leaves no organization behind that was in the middle of a session."""
    robin, sam = await signed_in(lenient), await signed_in(lenient)
    made = await robin.post("/organization/create", name="Two", slug="two")
    asked = await robin.post("/organization/invite-member", email=sam.email, role="owner")
    assert (await sam.post("/organization/accept-invitation", invitationId=asked.body["id"])).status == 200
    await sam.post(
        "/organization/invite-member", email=new_address(), role="member", organizationId=made.body["id"]
    )
    assert (await sam.post("/delete-user")).status == 200
    found = [row for row in await rows(lenient, "invitations") if row.organization_id == made.body["id"]]
    assert [row.status for row in found] == ["canceled"]


async def test_who_came_in_long_ago_shows_the_password_before_the_account_goes(
    installation: Installation,
) -> None:
    await let_accounts_go(installation)
    robin = await signed_in(installation)
    installation.clock.advance(DAY + 60)
    stale = await robin.post("/delete-user")
    assert (stale.status, stale.code) == (400, "SESSION_EXPIRED")
    assert (await robin.post("/delete-user", password=robin.password)).status == 200


async def rows(installation: Installation, table: str, tenant_id: str = "acme") -> list[Any]:
    tenant = await installation.running.platform.directory.by_id(tenant_id)
    assert tenant is not None
    return list(await tenant.database.read(lambda c: c.execute(text(f"SELECT * FROM {table}")).all()))
