"""Joining an organization by an address in a domain of its own: by request, and at once."""

from typing import Any

import pytest

from tests.installation import Installation
from tests.organizations.people import AuthClient, member, new_address, signed_in
from tests.organizations.test_accounts_that_go import rows

pytestmark = pytest.mark.anyio


async def owning(
    installation: Installation, slug: str, joining: str, **settings: Any
) -> tuple[AuthClient, str, str]:
    """An owner, the organization, and a domain that is verified."""
    owner, domain = await signed_in(installation), f"{slug}.example"
    id = (await owner.post("/organization/create", name=slug.title(), slug=slug)).body["id"]
    manager = await installation.manager("acme")
    await manager.post(f"/organizations/{id}/discovery-domains", {"domain": domain, "status": "verified"})
    data = {"domainJoining": joining, **settings}
    assert (await owner.post("/organization/update-settings", data=data)).status == 200
    return owner, id, domain


def at(domain: str) -> str:
    return f"{new_address().partition('@')[0]}@{domain}"


async def members_of(installation: Installation, id: str) -> set[str]:
    manager = await installation.manager("acme")
    return {each["user_id"] for each in await manager.get(f"/organizations/{id}/members")}


async def test_somebody_asks_and_whoever_may_invite_lets_them_in(shared: Installation) -> None:
    owner, id, domain = await owning(shared, "asked", "request", domainJoiningRole="guest")
    person = await signed_in(shared, email=at(domain.upper()))
    [seen] = (await person.get("/organization/list-joinable-organizations")).body
    assert seen == {
        "id": id,
        "name": "Asked",
        "slug": "asked",
        "logo": None,
        "joining": "request",
        "request": None,
    }
    asked = await person.post("/organization/request-to-join", organizationId=id, message="Please.")
    assert (asked.status, asked.body["status"], asked.body["message"]) == (200, "pending", "Please.")
    again = await person.post("/organization/request-to-join", organizationId=id)
    assert (again.status, again.code) == (400, "JOIN_REQUEST_ALREADY_PENDING")
    [waiting] = (await owner.get("/organization/list-join-requests")).body
    assert waiting["user"]["email"] == person.email.lower()
    assert person.user_id not in await members_of(shared, id)
    approved = await owner.post("/organization/approve-join-request", requestId=waiting["id"])
    assert approved.body["member"]["role"] == "guest"
    assert approved.body["request"]["status"] == "approved"
    assert person.user_id in await members_of(shared, id)
    twice = await owner.post("/organization/approve-join-request", requestId=waiting["id"])
    assert (twice.status, twice.code) == (400, "JOIN_REQUEST_NOT_FOUND")
    assert (await person.get("/organization/list-joinable-organizations")).body == []
    assert (await owner.get("/organization/list-join-requests")).body == []


async def test_a_request_is_taken_back_or_turned_down(shared: Installation) -> None:
    owner, id, domain = await owning(shared, "turned", "request")
    person, other = await signed_in(shared, email=at(domain)), await signed_in(shared, email=at(domain))
    first = (await person.post("/organization/request-to-join", organizationId=id)).body["id"]
    stolen = await other.post("/organization/cancel-join-request", requestId=first)
    assert (stolen.status, stolen.code) == (400, "JOIN_REQUEST_NOT_FOUND")
    taken_back = await person.post("/organization/cancel-join-request", requestId=first)
    assert taken_back.body["status"] == "canceled"
    assert (await owner.post("/organization/approve-join-request", requestId=first)).status == 400
    second = (await person.post("/organization/request-to-join", organizationId=id)).body["id"]
    turned = await owner.post("/organization/reject-join-request", requestId=second)
    assert turned.body["status"] == "rejected"
    assert person.user_id not in await members_of(shared, id)
    await person.post("/organization/request-to-join", organizationId=id)
    await owner.post("/organization/reject-join-request", requestId=second)
    answers = []
    for _ in range(3):
        [seen] = (await person.get("/organization/list-joinable-organizations")).body
        if seen["request"] is not None:
            await person.post("/organization/cancel-join-request", requestId=seen["request"]["id"])
        answers.append((await person.post("/organization/request-to-join", organizationId=id)).status)
    assert answers[-1] == 429


async def test_where_all_with_an_address_join_they_do_at_once(shared: Installation) -> None:
    _, id, domain = await owning(shared, "open-door", "automatic")
    person = await signed_in(shared, email=at(domain))
    joined = await person.post("/organization/join", organizationId=id)
    assert (joined.status, joined.body["role"]) == (200, "member")
    session = await person.session()
    assert session is not None
    assert session["activeOrganizationId"] == id
    again = await person.post("/organization/join", organizationId=id)
    assert (again.status, again.code) == (400, "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION")


async def test_who_was_put_out_comes_in_again_only_if_somebody_lets_them(shared: Installation) -> None:
    owner, id, domain = await owning(shared, "put-out", "automatic")
    person = await signed_in(shared, email=at(domain))
    await person.post("/organization/join", organizationId=id)
    removed = await owner.post("/organization/remove-member", memberIdOrEmail=person.email)
    assert removed.status == 200
    again = await person.post("/organization/join", organizationId=id)
    assert (again.status, again.code) == (403, "YOU_ARE_NOT_ALLOWED_TO_JOIN_THIS_ORGANIZATION")
    [seen] = (await person.get("/organization/list-joinable-organizations")).body
    assert seen["joining"] == "request"
    request = (await person.post("/organization/request-to-join", organizationId=id)).body["id"]
    assert (await owner.post("/organization/approve-join-request", requestId=request)).status == 200
    assert person.user_id in await members_of(shared, id)
    await owner.post("/organization/remove-member", memberIdOrEmail=person.email)
    request = (await person.post("/organization/request-to-join", organizationId=id)).body["id"]
    await owner.post("/organization/reject-join-request", requestId=request)
    kept = [row.status for row in await rows(shared, "join_requests") if row.user_id == person.user_id]
    assert sorted(kept) == ["approved", "rejected"], "each removal once, however often they come and go"


@pytest.mark.parametrize("way", ["put out", "left", "put out by the tenant"])
async def test_no_other_account_with_the_address_of_who_is_out_comes_in_by_it(
    shared: Installation, way: str
) -> None:
    owner, id, domain = await owning(shared, f"same-{way.replace(' ', '-')}", "automatic")
    person, manager = await signed_in(shared, email=at(domain)), await shared.manager("acme")
    assert (await person.post("/organization/join", organizationId=id)).status == 200
    if way == "put out":
        await owner.post("/organization/remove-member", memberIdOrEmail=person.email)
    elif way == "left":
        await person.post("/organization/leave", organizationId=id)
    else:
        await manager.delete(f"/organizations/{id}/members", {"members": [person.user_id]})
    await manager.delete(f"/users/{person.user_id}")
    again = await signed_in(shared, email=person.email)
    assert again.user_id != person.user_id
    tagged = await signed_in(shared, email=person.email.replace("@", "+again@"))
    for other in (again, tagged):
        refused = await other.post("/organization/join", organizationId=id)
        assert (refused.status, refused.code) == (403, "YOU_ARE_NOT_ALLOWED_TO_JOIN_THIS_ORGANIZATION")
    request = await again.post("/organization/request-to-join", organizationId=id)
    approved = await owner.post("/organization/approve-join-request", requestId=request.body["id"])
    assert approved.status == 200
    colleague = await signed_in(shared, email=at(domain))
    assert (await colleague.post("/organization/join", organizationId=id)).status == 200


async def test_whose_account_is_deleted_was_not_put_out(shared: Installation) -> None:
    _, id, domain = await owning(shared, "made-anew", "automatic")
    person, manager = await signed_in(shared, email=at(domain)), await shared.manager("acme")
    await person.post("/organization/join", organizationId=id)
    await manager.delete(f"/users/{person.user_id}")
    again = await signed_in(shared, email=person.email)
    assert (await again.post("/organization/join", organizationId=id)).status == 200


async def test_to_whom_it_is_not_open_an_organization_is_not_there(shared: Installation) -> None:
    _, asks, domain = await owning(shared, "not-there", "request")
    _, closed, closed_domain = await owning(shared, "closed-door", "off")
    _, open_to_all, _ = await owning(shared, "open-to-some", "automatic")
    stranger = await signed_in(shared, email=at(f"evil-{domain}"))
    sub = await signed_in(shared, email=at(f"mail.{domain}"))
    unproved = await signed_in(shared, email=at(domain), verified=False)
    inside = await signed_in(shared, email=at(closed_domain))
    answers = []
    for person, organization in (
        (stranger, asks),
        (stranger, open_to_all),
        (stranger, "org_0000000000000000"),
        (sub, asks),
        (inside, closed),
        (inside, asks),
    ):
        assert (await person.get("/organization/list-joinable-organizations")).body == []
        for path in ("join", "request-to-join"):
            answers.append(await person.post(f"/organization/{path}", organizationId=organization))
    assert {(answer.status, answer.text) for answer in answers} == {(403, answers[0].text)}
    assert answers[0].code == "YOU_ARE_NOT_ALLOWED_TO_JOIN_THIS_ORGANIZATION"
    early = await unproved.post("/organization/request-to-join", organizationId=asks)
    assert (early.status, early.code) == (403, "EMAIL_VERIFICATION_REQUIRED")
    assert (await unproved.get("/organization/list-joinable-organizations")).body == []


async def test_who_may_not_invite_decides_nothing(shared: Installation) -> None:
    _, id, domain = await owning(shared, "decides", "request")
    plain, stranger = await member(shared, id), await signed_in(shared)
    person = await signed_in(shared, email=at(domain))
    request = (await person.post("/organization/request-to-join", organizationId=id)).body["id"]
    for path in ("approve-join-request", "reject-join-request"):
        denied = await plain.post(f"/organization/{path}", requestId=request)
        assert (denied.status, denied.code) == (
            403,
            "YOU_ARE_NOT_ALLOWED_TO_INVITE_USERS_TO_THIS_ORGANIZATION",
        )
        for nobody in (stranger, person):
            unknown = await nobody.post(f"/organization/{path}", requestId=request)
            assert (unknown.status, unknown.code) == (400, "JOIN_REQUEST_NOT_FOUND")
    listed = await stranger.get("/organization/list-join-requests", organizationId=id)
    assert (listed.status, listed.code) == (403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION")
    assert person.user_id not in await members_of(shared, id)


async def test_a_request_is_worth_nothing_once_the_address_opens_nothing(shared: Installation) -> None:
    owner, id, domain = await owning(shared, "expires", "request")
    person = await signed_in(shared, email=at(domain))
    request = (await person.post("/organization/request-to-join", organizationId=id)).body["id"]
    [own] = (await owner.get("/organization/list-domains")).body
    await owner.post("/organization/remove-domain", domainId=own["id"])
    late = await owner.post("/organization/approve-join-request", requestId=request)
    assert (late.status, late.code) == (400, "JOIN_REQUEST_NOT_ALLOWED")
    assert person.user_id not in await members_of(shared, id)


async def test_nobody_comes_in_beyond_the_limit(shared: Installation) -> None:
    owner, id, domain = await owning(shared, "limited", "automatic")
    manager = await shared.manager("acme")
    product = await manager.post("/products", {"name": "limited-product"})
    sold = {"organization_id": id, "product_id": product["id"], "status": "active", "seats": 1}
    bought = await manager.post("/subscriptions", sold)
    person = await signed_in(shared, email=at(domain))
    full = await person.post("/organization/join", organizationId=id)
    assert (full.status, full.code) == (403, "NO_SEATS_LEFT")
    await owner.post("/organization/update-settings", data={"domainJoining": "request"})
    request = (await person.post("/organization/request-to-join", organizationId=id)).body["id"]
    still = await owner.post("/organization/approve-join-request", requestId=request)
    assert (still.status, still.code) == (403, "NO_SEATS_LEFT")
    [waiting] = (await owner.get("/organization/list-join-requests")).body
    assert waiting["status"] == "pending"
    await manager.patch(f"/subscriptions/{bought['id']}", {"seats": 2})
    asked = {"email": at("elsewhere.example"), "role": "member", "organizationId": id}
    invitation = (await owner.post("/organization/invite-member", **asked)).body["id"]
    kept = await owner.post("/organization/approve-join-request", requestId=request)
    assert (kept.status, kept.code) == (403, "NO_SEATS_LEFT")
    await owner.post("/organization/cancel-invitation", invitationId=invitation)
    assert (await owner.post("/organization/approve-join-request", requestId=request)).status == 200


async def test_who_asks_and_who_decides_is_in_the_log(shared: Installation) -> None:
    owner, id, domain = await owning(shared, "logged", "request")
    person = await signed_in(shared, email=at(domain))
    for act in ("cancel", "reject", "approve"):
        request = (await person.post("/organization/request-to-join", organizationId=id)).body["id"]
        decides = person if act == "cancel" else owner
        assert (await decides.post(f"/organization/{act}-join-request", requestId=request)).status == 200
    manager = await shared.manager("acme")
    types: dict[str, list[str]] = {}
    for who in (person, owner):
        events = await manager.get("/logs", q=f"user_id:{who.user_id}", per_page=100)
        types[who.user_id] = [event["type"] for event in events if event.get("organization_id") == id]
    asked = types[person.user_id]
    assert sorted(set(asked)) == ["organization_join_canceled", "organization_join_requested"]
    assert asked.count("organization_join_requested") == 3
    assert {
        "organization_settings_updated",
        "organization_join_rejected",
        "organization_member_added",
    } <= set(types[owner.user_id])


async def test_nobody_joins_an_organization_that_stands_for_a_tenant(shared: Installation) -> None:
    operator = await shared.operator()
    [acme] = [each for each in await operator.get("/organizations") if each["name"] == "acme"]
    for joining in ("request", "approval", "automatic"):
        path = f"/organizations/{acme['id']}/settings"
        assert await operator.status("PATCH", path, {"domain_joining": joining}) == 400
    assert (
        await operator.status("PATCH", f"/organizations/{acme['id']}/settings", {"require_domain": True})
        == 200
    )
    await operator.patch(f"/organizations/{acme['id']}/settings", {"require_domain": False})
