"""Who owns the organization that stands for a tenant administers the tenant, hands it over, and deletes it."""

import asyncio

import pytest

from core import failpoints
from tests.controlplane.conftest import Platform
from tests.controlplane.tenant_organizations import (
    DELETE,
    administrator,
    made,
    somebody,
    tenant,
)
from tests.organizations.people import AuthClient
from tests.waiting import until

pytestmark = pytest.mark.anyio


async def test_who_owns_a_tenant_s_organization_administers_the_tenant_and_a_guest_does_nothing(
    plane: Platform,
) -> None:
    owner, heir, guest = [await somebody(plane) for _ in range(3)]
    organization = await made(owner)
    members = {}
    for person, role in ((heir, "member"), (guest, "guest")):
        asked = await owner.post("/organization/invite-member", email=person.email, role=role)
        accepted = await person.post("/organization/accept-invitation", invitationId=asked.body["id"])
        members[role] = accepted.body["member"]["id"]

    async def held_by(person: AuthClient) -> list[str]:
        path = f"/organizations/{organization['id']}/members/{person.user_id}/roles"
        return sorted(role["name"] for role in (await plane("GET", path)).json())

    people = (owner, heir, guest)
    assert [await held_by(each) for each in people] == [["Tenant Admin"], ["Tenant Member"], []]
    handed = await owner.post("/organization/transfer-ownership", memberId=members["member"])
    assert handed.body["formerOwner"]["role"] == "admin"
    theirs = ["Tenant Admin", "Tenant Member"]
    assert [await held_by(each) for each in people] == [["Tenant Member"], theirs, []]
    issuer = (await tenant(plane, organization["slug"]))["issuer"]
    plane.installation.clock.advance(1)  # no token of the second in which roles were taken is good
    for person, status in ((heir, 201), (owner, 403), (guest, 403)):
        caller = await administrator(plane, person, organization["id"])
        assert (await caller.call("POST", f"{issuer}api/v2/roles", {"name": "theirs"})).status_code == status
    path = "/organization/update-member-role"
    assert (await heir.post(path, memberId=members["member"], role=["guest", "owner"])).status == 200
    back = handed.body["formerOwner"]["id"]
    handed = await heir.post("/organization/transfer-ownership", memberId=back)
    assert handed.body["formerOwner"]["role"] == "guest"
    assert [await held_by(each) for each in people] == [theirs, [], []]


async def test_tenant_roles_come_and_go_with_the_ownership_that_they_came_with(plane: Platform) -> None:
    owner, second, third = [await somebody(plane) for _ in range(3)]
    organization, ids = await made(owner), {}
    for person, role in ((second, "member"), (third, "owner")):
        asked = await owner.post("/organization/invite-member", email=person.email, role=role)
        accepted = await person.post("/organization/accept-invitation", invitationId=asked.body["id"])
        ids[person.user_id] = accepted.body["member"]["id"]
    ids[owner.user_id] = organization["members"][0]["id"]

    async def held_by(person: AuthClient) -> list[str]:
        path = f"/organizations/{organization['id']}/members/{person.user_id}/roles"
        return sorted(role["name"] for role in (await plane("GET", path)).json())

    async def becomes(person: AuthClient, role: str, *, by: AuthClient) -> list[str]:
        changed = await by.post(
            "/organization/update-member-role",
            memberId=ids[person.user_id],
            role=role,
            organizationId=organization["id"],
        )
        assert changed.status == 200, changed
        return await held_by(person)

    of_owner = ["Tenant Admin", "Tenant Member"]
    assert await held_by(third) == of_owner, "invited by an owner, to be one"
    assert await becomes(second, "owner", by=owner) == of_owner
    address = f"{(await tenant(plane, organization['slug']))['issuer']}api/v2/roles"
    former = await administrator(plane, second, organization["id"])
    assert (await former.call("GET", address)).status_code == 200
    assert await becomes(second, "admin", by=third) == ["Tenant Member"]
    assert (await former.call("GET", address)).status_code == 401, "with a token of before"
    plane.installation.clock.advance(1)
    caller = await administrator(plane, second, organization["id"])
    assert (await caller.call("POST", address, {"name": "theirs"})).status_code == 403
    path = f"/organizations/{organization['id']}/members/{third.user_id}/roles"
    former = await administrator(plane, third, organization["id"])
    [admin] = [role["id"] for role in (await plane("GET", path)).json() if role["name"] == "Tenant Admin"]
    assert (await plane("DELETE", path, {"roles": [admin]})).status_code == 204
    assert (await former.call("GET", address)).status_code == 401, "taken by an operator"
    assert (await plane("POST", path, {"roles": [admin]})).status_code == 204
    assert await becomes(owner, "admin", by=owner) == ["Tenant Member"], "who steps down by themselves"
    assert await becomes(second, "guest", by=third) == []
    assert await becomes(owner, "member", by=third) == ["Tenant Member"]


async def test_only_an_owner_deletes_the_tenant_and_it_can_come_back(plane: Platform) -> None:
    owner, admin = await somebody(plane), await somebody(plane)
    organization = await made(owner)
    await plane.join({"organization_id": organization["id"]}, admin.user_id)
    members = (await owner.get("/organization/list-members")).body["members"]
    theirs = next(each["id"] for each in members if each["userId"] == admin.user_id)
    raised = await owner.post("/organization/update-member-role", memberId=theirs, role="admin")
    assert raised.status == 200
    refused = await admin.post(DELETE, organizationId=organization["id"])
    assert (refused.status, refused.code) == (403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_ORGANIZATION")

    record = await tenant(plane, organization["slug"])
    gone = await owner.post(DELETE, organizationId=organization["id"])
    assert (gone.status, gone.body["id"]) == (200, organization["id"])
    assert (await tenant(plane, organization["slug"]))["state"] == "deleting"
    metadata = f"{record['issuer']}.well-known/openid-configuration"
    assert (await owner.http.get(metadata)).status_code == 404
    session = await owner.session()
    assert session is not None
    assert session["activeOrganizationId"] is None

    assert (await plane("POST", f"/tenants/{organization['slug']}/restore")).status_code == 200
    assert [each["id"] for each in (await owner.get("/organization/list")).body] == [organization["id"]]


async def test_who_signs_out_while_their_tenant_is_deleted_has_deleted_it(plane: Platform) -> None:
    owner = await somebody(plane)
    organization = await made(owner)
    failpoints.configure("provision.delete.organization.before=sleep:1")
    try:
        deleting = asyncio.create_task(owner.post(DELETE, organizationId=organization["id"]))

        async def is_under_way() -> bool:
            return bool((await tenant(plane, organization["slug"]))["state"] == "deleting")

        await until(is_under_way)
        assert (await owner.post("/sign-out")).status == 200
        assert (await deleting).status == 200
    finally:
        failpoints.configure("")
    told = (await plane("GET", "/logs", q="type:organization_deleted")).json()
    assert organization["id"] in {event["organization_id"] for event in told}
