"""Invitations of the Management API: Auth0's shape, one truth with the organization API, and no proof in an answer."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from entrypoints.demo_content import Demo
from tenant_runtime.models import Organization
from tests.mailbox import Mailed, link_in, mailed
from tests.management.world import EVERYTHING, PLATFORM_TOO, Place
from tests.organizations.people import new_address, signed_in

pytestmark = pytest.mark.anyio

TENANT_S_OWN = {
    "id": "org_ofsometenantxxxx",
    "name": "sometenant",
    "managed_by": "tenant",
    "branding": {},
    "metadata": {},
}


def body(place: Place, email: str = "ada@example.com", **more: Any) -> dict[str, Any]:
    common = {"inviter": {"name": "Grace"}, "invitee": {"email": email}, "client_id": place.machine}
    return {**common, "send_invitation_email": False, **more}


async def north(place: Place) -> str:
    made = await place.api().made("/organizations", {"name": "north", "display_name": "North"})
    return f"/organizations/{made['id']}/invitations"


async def test_an_invitation_is_made_read_and_taken_back(acme: Place) -> None:
    api, path = acme.api(), await north(acme)
    role = (await api.made("/roles", {"name": "Clerk"}))["id"]
    made = await api.made(
        path, body(acme, "Ada@Example.com", roles=[role], app_metadata={"a": 1}, ttl_sec=60)
    )
    assert (made["inviter"], made["invitee"]) == ({"name": "Grace"}, {"email": "ada@example.com"})
    assert (made["roles"], made["app_metadata"], made["client_id"]) == ([role], {"a": 1}, acme.machine)
    assert made["invitation_url"] == f"{acme.tenant.issuer}u/invitation?ticket={made['ticket_id']}"
    assert made["organization_id"] in path
    assert (made["created_at"], made["expires_at"]) == (
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T08:01:00.000Z",
    )
    assert (await api.get(f"{path}/{made['id']}")).json() == made
    only = (await api.get(f"{path}/{made['id']}", fields="id,roles")).json()
    assert only == {"id": made["id"], "roles": [role]}
    assert (await api.get(path)).json() == [made]
    assert (await api.delete(f"{path}/{made['id']}")).status_code == 204
    for answer in (await api.get(f"{path}/{made['id']}"), await api.delete(f"{path}/{made['id']}")):
        assert (answer.status_code, answer.json()["errorCode"]) == (404, "inexistent_invitation")
    assert (await api.get(path)).json() == []


async def test_the_link_leads_to_the_application_s_own_start(acme: Place) -> None:
    api, path = acme.api(), await north(acme)
    start = "https://app.example.com/start?x=1"
    await api.patch(f"/clients/{acme.machine}", {"initiate_login_uri": start})
    made = await api.made(path, body(acme))
    asked = parse_qs(urlsplit(made["invitation_url"]).query)
    assert made["invitation_url"].startswith(f"{start}&")
    assert asked["invitation"] == [made["ticket_id"]]
    assert (asked["organization"], asked["organization_name"]) == ([made["organization_id"]], ["north"])


async def test_lists_are_paged_sorted_and_cut_to_fields(acme: Place) -> None:
    api, path = acme.api(), await north(acme)
    for number in range(3):
        await api.made(path, body(acme, f"n{number}@example.com", ttl_sec=100 - number))
    listed = (await api.get(path, include_totals="true", per_page=2, page=1)).json()
    assert (listed["total"], listed["start"], len(listed["invitations"])) == (3, 2, 1)
    by_end = (await api.get(path, sort="expires_at:1", fields="invitee")).json()
    assert by_end == [{"invitee": {"email": f"n{number}@example.com"}} for number in (2, 1, 0)]
    assert (await api.get(path, sort="email:1")).status_code == 400


async def test_what_is_refused(acme: Place) -> None:
    api, path = acme.api(), await north(acme)
    await api.made(path, body(acme))
    refusals = [
        (body(acme), 409),
        (body(acme, "ADA@example.com"), 409),
        (body(acme, "ada"), 400),
        (body(acme, "b@example.com", client_id="nobody"), 400),
        (body(acme, "b@example.com", connection_id="con_nobody"), 400),
        (body(acme, "b@example.com", roles=["rol_nobody"]), 404),
        (body(acme, "b@example.com", ttl_sec=2_592_001), 400),
        (body(acme, "b@example.com", status="accepted"), 400),
        (body(acme, "b@example.com", send_invitation_email=True), 400),  # there is no mail here
    ]
    for sent, status in refusals:
        assert (await api.post(path, sent)).status_code == status, sent
    member = await api.made("/users", {"email": "m@example.com", "name": "M"})
    await api.post(path.replace("invitations", "members"), {"members": [member["user_id"]]})
    assert (await api.post(path, body(acme, "m@example.com"))).status_code == 409
    assert (await api.post(path.replace("org_", "org_x"), body(acme, "b@example.com"))).status_code == 404


async def test_nobody_invites_to_more_power_than_they_hold_nor_themselves(acme: Place) -> None:
    api, path = acme.api(), await north(acme)
    role = (await api.made("/roles", {"name": "Boss"}))["id"]
    servers = (await api.get("/resource-servers")).json()
    audience = next(one["identifier"] for one in servers if one["identifier"].endswith("/api/v2/"))
    held = {"resource_server_identifier": audience, "permission_name": "delete:users"}
    await api.post(f"/roles/{role}/permissions", {"permissions": [held]})
    weak = acme.api("create:organization_invitations", "read:organization_invitations")
    assert (await weak.post(path, body(acme, roles=[role]))).status_code == 403
    assert (await weak.post(path, body(acme))).status_code == 201
    user = await api.made("/users", {"email": "self@example.com", "name": "S"})
    oneself = acme.api_of(user["user_id"], *EVERYTHING)
    assert (await oneself.post(path, body(acme, "self@example.com"))).status_code == 403


async def test_an_organization_that_stands_for_a_tenant_takes_the_platform_s_permission(one: Place) -> None:
    await one.add(Organization, converge=True, **TENANT_S_OWN)
    path = f"/organizations/{TENANT_S_OWN['id']}/invitations"
    for permissions, status in ((EVERYTHING, 403), (PLATFORM_TOO, 201)):
        assert (await one.api(*permissions).post(path, body(one))).status_code == status


# --- With mail, and the people themselves --------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def mail(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path_factory.mktemp("management invitations")) as made:
        yield made


async def test_both_apis_know_the_same_invitations(mail: Mailed) -> None:
    owner = await signed_in(mail.installation, name="Ada Owner")
    organization = (await owner.post("/organization/create", name="Both", slug="both")).body
    manager = await mail.installation.manager("acme")
    path = f"/organizations/{organization['id']}/invitations"
    person = await signed_in(mail.installation)
    client_id = mail.tenant().clients["web"].client_id
    sent = {"inviter": {"name": "Grace"}, "invitee": {"email": person.email}, "client_id": client_id}
    roles = [(await manager.post("/roles", {"name": "Packer"}))["id"]]
    made = await manager.post(path, {**sent, "roles": roles})
    email = new_address()
    theirs = (await owner.post("/organization/invite-member", email=email, role="guest")).body
    listed = await manager.get(path)
    assert [one["inviter"]["name"] for one in listed] == ["Grace", "Ada Owner"]
    assert [one["id"] for one in listed] == [made["id"], theirs["id"]]
    mine = (await owner.get("/organization/list-invitations")).body
    assert [one["id"] for one in mine] == [made["id"], theirs["id"]]
    [letter] = [one for one in await mail.settle() if one.recipients == (person.email,)]
    assert letter.message["Subject"] == "Grace invites you to Both"
    assert made["ticket_id"] not in link_in(letter)
    answer = await person.post("/organization/accept-invitation", invitationId=made["ticket_id"])
    assert answer.body["member"]["role"] == "member"
    held = await manager.get(f"/organizations/{organization['id']}/members/{person.user_id}/roles")
    assert [role["id"] for role in held] == roles
    assert [one["id"] for one in await manager.get(path)] == [theirs["id"]]
    await manager.delete(f"{path}/{theirs['id']}")
    rows = await mail.rows("acme", "SELECT type, details FROM log_events")
    types = {row[0] for row in rows}
    assert {"organization_invitation_created", "organization_invitation_canceled"} <= types
    for id in (made["id"], theirs["id"]):
        assert id not in str([row[1] for row in rows])
    assert f"/api/v2{path}/***" in str([row[1] for row in rows])


async def test_a_tenant_s_own_template_says_it_in_its_own_words(mail: Mailed) -> None:
    owner, email = await signed_in(mail.installation, name="Ada Owner"), new_address()
    await owner.post("/organization/create", name="Own Words", slug="own-words")
    manager = await mail.installation.manager("acme")
    said = "{{ inviter.name }} wants {{ organization.display_name }} ({{ organization.name }}): {{ url }}"
    template = {
        "template": "user_invitation",
        "body": f"<p>{said}</p>",
        "from": "x@acme.example",
        "subject": "Join {{ organization.display_name }}",
        "syntax": "liquid",
        "enabled": True,
    }
    await manager.post("/email-templates", template)
    await owner.post("/organization/invite-member", email=email, role="member")
    [letter] = [one for one in await mail.settle() if one.recipients == (email,)]
    assert letter.message["Subject"] == "Join Own Words"
    assert "Ada Owner wants Own Words (own-words): http" in letter.text
