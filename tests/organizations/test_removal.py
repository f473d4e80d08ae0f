"""Removal means out: whichever way somebody stops being a member, what it opened is closed in the same transaction.

Each way is gone here with everything that a member can hold: two sessions in the organization and one of its teams, a
code, an access token of each kind, refresh tokens that began there or went over to it, an invitation that they sent.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from entrypoints.demo_content import DemoUser
from tests.installation import Installation
from tests.organizations.people import AuthClient, visitor
from tests.organizations.places import taken_back
from tests.organizations.test_lifecycle import made, owner_of_a_tenant, place
from tests.organizations.test_members import Company
from tests.relying_party import Answer, RelyingParty
from tests.waiting import until

OFFLINE = "openid offline_access"


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody with all of it; `rp` is their first browser, `other` their second."""

    company: Company
    person: AuthClient
    other: AuthClient
    rp: RelyingParty
    begun_there: Answer
    gone_over: Answer
    not_refreshed: Answer
    elsewhere: Answer
    opaque: Answer
    code: str
    elsewhere_id: str
    invitation: str


async def holder(installation: Installation) -> Holder:
    company = await Company.of(installation)
    person = await company.person("admin")
    elsewhere = await made(person, keepCurrentActiveOrganization=True)
    await person.post("/organization/invite-member", email="friend@out.example", role="admin")
    (invitation,) = (await person.get("/organization/list-invitations")).body
    (team,) = (await person.get("/organization/list-teams")).body
    await person.post("/organization/add-team-member", teamId=team["id"], userId=person.user_id)
    await person.post("/organization/set-active-team", teamId=team["id"])
    other = visitor(installation, email=person.email, password=person.password)
    await other.sign_in()
    await other.post("/organization/set-active", organizationId=company.id)
    tenant = installation.tenant("acme")
    user = DemoUser(person.email, person.password)
    rp = RelyingParty(person.http, tenant.issuer, tenant.clients["web"], tenant.api_audience, user)
    gone_over = await rp.sign_in(scope=OFFLINE)
    gone_over = await rp.refresh(gone_over.refresh_token, organization=company.id)
    assert gone_over.status == 200, gone_over.body
    return Holder(
        company=company,
        person=person,
        other=other,
        rp=rp,
        begun_there=await rp.sign_in(organization=company.id, scope=OFFLINE),
        gone_over=gone_over,
        not_refreshed=await rp.sign_in(organization=company.id, scope="openid"),
        elsewhere=await rp.sign_in(organization=elsewhere["id"], scope=OFFLINE),
        opaque=await rp.sign_in(organization=company.id, audience=None, scope="openid"),
        code=await rp.code(organization=company.id),
        elsewhere_id=elsewhere["id"],
        invitation=invitation["id"],
    )


async def is_active(rp: RelyingParty, token: str) -> bool:
    form = {"token": token, "client_id": rp.client.client_id, "client_secret": rp.client.client_secret}
    answer = await rp.http.post(f"{rp.issuer}oauth/introspect", data=form)
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["active"])


async def remove(held: Holder) -> None:
    assert (await held.company.remove(held.company.owner, held.person)).status == 200


async def leave(held: Holder) -> None:
    answer = await held.person.post("/organization/leave", organizationId=held.company.id)
    assert answer.status == 200


async def remove_by_management(held: Holder) -> None:
    manager = await held.company.installation.manager("acme")
    body = {"members": [held.person.user_id]}
    await manager.delete(f"/organizations/{held.company.id}/members", body)


async def delete_organization(held: Holder) -> None:
    answer = await held.company.owner.post("/organization/delete", organizationId=held.company.id)
    assert answer.status == 200


async def delete_organization_by_management(held: Holder) -> None:
    manager = await held.company.installation.manager("acme")
    await manager.delete(f"/organizations/{held.company.id}")


WAYS: list[Callable[[Holder], Awaitable[None]]] = [
    remove,
    leave,
    remove_by_management,
    delete_organization,
    delete_organization_by_management,
]


@pytest.mark.parametrize("way", WAYS)
async def test_whoever_is_out_of_an_organization_is_out_of_everything_there(
    shared: Installation, way: Callable[[Holder], Awaitable[None]]
) -> None:
    held = await holder(shared)
    rp, person = held.rp, held.person
    tokens = [held.begun_there, held.gone_over, held.not_refreshed, held.opaque]
    assert all([await is_active(rp, each.access_token) for each in tokens])
    await way(held)
    assert await place(person) == await place(held.other) == (None, None)
    for each in tokens:
        assert not await is_active(rp, each.access_token)
        assert (await rp.userinfo(each.access_token)).status_code == 401
    for each in (held.begun_there, held.gone_over):
        assert not await is_active(rp, each.refresh_token)
        assert (await rp.refresh(each.refresh_token)).error == "invalid_grant"
    assert (await rp.redeem(held.code)).error == "invalid_grant"
    silent = await rp.silent(organization=held.company.id)
    assert "code" not in silent
    members = await person.get("/organization/list-members", organizationId=held.company.id)
    assert members.status == 403
    teams = (await person.get("/organization/list-user-teams")).body
    assert {team["organizationId"] for team in teams} == {held.elsewhere_id}
    assert (await rp.refresh(held.elsewhere.refresh_token)).status == 200
    assert await is_active(rp, held.elsewhere.access_token)


@pytest.mark.parametrize("way", [remove, leave, remove_by_management])
async def test_who_comes_back_comes_back_to_nothing(
    shared: Installation, way: Callable[[Holder], Awaitable[None]]
) -> None:
    held = await holder(shared)
    shared.clock.advance(1)
    await way(held)
    manager = await shared.manager("acme")
    path = f"/organizations/{held.company.id}/members"
    await manager.post(path, {"members": [held.person.user_id]})
    assert (await held.company.roles())[held.person.user_id] == "member"
    for each in (held.begun_there, held.gone_over):
        assert (await held.rp.refresh(each.refresh_token)).error == "invalid_grant"
        assert not await is_active(held.rp, each.access_token)
    assert not await is_active(held.rp, held.not_refreshed.access_token)
    assert (await held.rp.userinfo(held.not_refreshed.access_token)).status_code == 401
    assert (await held.rp.redeem(held.code)).error == "invalid_grant"
    anew = await held.rp.sign_in(organization=held.company.id, scope="openid")
    assert await is_active(held.rp, anew.access_token)
    assert await place(held.person) == (None, None)
    listed = (await held.company.owner.get("/organization/list-invitations")).body
    assert [each["status"] for each in listed if each["id"] == held.invitation] == ["canceled"]
    told = await taken_back(shared, held.person.user_id)
    assert told == [("friend@out.example", "admin", "inviter_gone")]


async def test_whoever_is_deleted_or_blocked_has_invited_nobody(shared: Installation) -> None:
    manager = await shared.manager("acme")
    for is_deleted in (True, False):
        company = await Company.of(shared)
        admin, plain = await company.person("admin"), await company.person()
        for address, person in (("a@out.example", admin), ("b@out.example", company.owner)):
            await person.post("/organization/invite-member", email=address, role="member")
        path = f"/users/{admin.user_id}"
        await (manager.delete(path) if is_deleted else manager.patch(path, {"blocked": True}))
        listed = (await company.owner.get("/organization/list-invitations")).body
        assert {each["email"]: each["status"] for each in listed} == {
            "a@out.example": "canceled",
            "b@out.example": "pending",
        }
        reason = "inviter_deleted" if is_deleted else "inviter_blocked"
        assert await taken_back(shared, admin.user_id) == [("a@out.example", "member", reason)]
        assert await admin.session() is None
        assert (await place(plain))[0] == company.id


async def test_a_linked_account_takes_no_membership_along(shared: Installation) -> None:
    company = await Company.of(shared)
    first, second = await company.person(), await company.person("admin")
    await second.post("/organization/invite-member", email="c@out.example", role="member")
    manager = await shared.manager("acme")
    body = {"provider": "auth0", "user_id": second.user_id.partition("|")[2]}
    await manager.post(f"/users/{first.user_id}/identities", body)
    assert await company.roles() == {company.owner.user_id: "owner", first.user_id: "member"}
    listed = (await company.owner.get("/organization/list-invitations")).body
    assert [each["status"] for each in listed] == ["canceled"]
    assert await second.session() is None


async def test_another_members_things_stay(shared: Installation) -> None:
    held = await holder(shared)
    bystander = await held.company.person("admin")
    await bystander.post("/organization/invite-member", email="d@out.example", role="member")
    tenant = shared.tenant("acme")
    user = DemoUser(bystander.email, bystander.password)
    rp = RelyingParty(bystander.http, tenant.issuer, tenant.clients["web"], tenant.api_audience, user)
    theirs = await rp.sign_in(organization=held.company.id, scope=OFFLINE)
    await remove(held)
    assert (await place(bystander))[0] == held.company.id
    assert await is_active(rp, theirs.access_token)
    assert (await rp.refresh(theirs.refresh_token)).status == 200
    listed: list[dict[str, Any]] = (await bystander.get("/organization/list-invitations")).body
    assert {each["email"]: each["status"] for each in listed} == {
        "friend@out.example": "canceled",
        "d@out.example": "pending",
    }


async def test_the_organization_of_a_tenant_that_is_deleted_lets_go_of_its_people(
    installation: Installation,
) -> None:
    """They come back with the tenant, not what was issued to them."""
    owner, plane = await owner_of_a_tenant(installation, "globex"), installation.demo.control_plane
    organization, _ = await place(owner)
    user = DemoUser(owner.email, owner.password)
    rp = RelyingParty(owner.http, plane.issuer, plane.clients["console"], plane.management_audience, user)
    tokens = await rp.sign_in(organization=organization, scope=OFFLINE)
    assert (await rp.userinfo(tokens.access_token)).status_code == 200
    operator = await installation.operator()
    await operator.delete("/tenants/globex")
    await until(lambda: is_in(owner, None))
    await operator.post("/tenants/globex/restore")
    await until(lambda: belongs(owner, organization))
    assert await is_in(owner, None)
    assert (await rp.userinfo(tokens.access_token)).status_code == 401
    assert (await rp.refresh(tokens.refresh_token)).error == "invalid_grant"


async def test_a_tenant_that_waits_for_its_migration_lets_go_as_well(behind: Installation) -> None:
    manager, rp = await behind.manager("acme"), behind.relying_party("acme")
    made_here = await manager.post("/organizations", {"name": "north-by-north"})
    path = f"/organizations/{made_here['id']}"
    (user,) = await manager.get("/users-by-email", email=rp.user.email)
    members = {"members": [user["user_id"]]}
    for ends in (lambda: manager.delete(f"{path}/members", members), lambda: manager.delete(path)):
        await manager.post(f"{path}/members", members)
        tokens = await rp.sign_in(organization=made_here["id"], scope=OFFLINE)
        assert await is_active(rp, tokens.access_token)
        await ends()
        assert not await is_active(rp, tokens.access_token)
        assert (await rp.refresh(tokens.refresh_token)).error == "invalid_grant"
    await manager.delete(f"/users/{user['user_id']}")
    assert await manager.get("/users-by-email", email=rp.user.email) == []


async def is_in(person: AuthClient, organization: str | None) -> bool:
    return (await place(person))[0] == organization


async def belongs(person: AuthClient, organization: str | None) -> bool:
    return organization in {each["id"] for each in (await person.get("/organization/list")).body}
