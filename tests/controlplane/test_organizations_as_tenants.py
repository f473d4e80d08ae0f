"""Organizations made on the control plane are tenants: by the organization API, by the Management API, by agents."""

import asyncio
import secrets
from pathlib import Path

import httpx
import pytest

from core import failpoints
from entrypoints.browser import Browser
from entrypoints.demo_content import CALLBACK, Demo
from tests.agents.callers import SCOPE, Agent
from tests.conftest import serving, settings_for
from tests.controlplane.conftest import Platform, platform_of
from tests.controlplane.tenant_organizations import (
    CREATE,
    DELETE,
    administrator,
    made,
    new_id,
    somebody,
    tenant,
)
from tests.mailbox import link_in, mailed
from tests.operators import CONNECTION
from tests.organizations.people import AuthClient
from tests.organizations.test_switching import slowly
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio


async def test_whoever_makes_an_organization_owns_an_isolated_tenant(plane: Platform) -> None:
    person, stranger = await somebody(plane), await somebody(plane)
    organization = await made(person, logo="https://example.com/l.png", metadata={"plan": 1})
    assert organization["metadata"] == {"plan": 1}
    assert [each["role"] for each in organization["members"]] == ["owner"]
    session = await person.session()
    assert session is not None
    assert session["activeOrganizationId"] == organization["id"]
    record = await tenant(plane, organization["slug"])
    assert (record["state"], record["organization_id"]) == ("active", organization["id"])
    assert record["display_name"] == "Mine"

    own = await administrator(plane, person, organization["id"])
    issuer = record["issuer"]
    assert (await own.call("POST", f"{issuer}api/v2/roles", {"name": "theirs"})).status_code == 201
    for elsewhere in ("acme", "globex"):
        there = plane.installation.tenant(elsewhere).issuer
        assert (await own.call("GET", f"{there}api/v2/roles")).status_code == 403
    assert (await own.call("GET", f"{plane.issuer}api/v2/users")).status_code == 403

    console = plane.installation.demo.control_plane.clients["console"]
    audience = plane.installation.demo.control_plane.management_audience
    other = RelyingParty(stranger.http, plane.issuer, console, audience, None, CALLBACK)  # type: ignore[arg-type]
    assert (await other.silent(organization=organization["id"]))["error"] == "access_denied"
    refused = await stranger.post("/organization/set-active", organizationId=organization["id"])
    assert refused.status == 403
    refused = await stranger.post(DELETE, organizationId=organization["id"])
    assert refused.code == "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION"


async def test_no_tenant_is_made_for_whose_session_ended_while_they_asked(plane: Platform) -> None:
    person, slug = await somebody(plane), new_id()
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=plane.installation.app))
    other = await AuthClient(http, plane.issuer, person.email, person.password).sign_in()
    late = await slowly(person, CREATE, lambda: other.post("/revoke-other-sessions"), name="Late", slug=slug)
    assert late.status == 401
    assert (await plane("GET", f"/tenants/{slug}")).status_code == 404


async def test_an_address_that_is_not_proved_makes_no_tenant(plane: Platform) -> None:
    person = await somebody(plane, email_verified=False)
    slug = new_id()
    refused = await person.post(CREATE, name="Mine", slug=slug)
    assert (refused.status, refused.code) == (403, "EMAIL_NOT_VERIFIED")
    assert (await plane("GET", f"/tenants/{slug}")).status_code == 404


async def test_one_person_has_as_many_as_the_installation_says(
    data_dir: Path, golden: tuple[Path, Demo]
) -> None:
    settings = settings_for(data_dir, tenant_signup=True, tenants_per_user=2)
    async with serving(settings, golden[1]) as installation:
        platform = await platform_of(installation)
        person = await somebody(platform)
        slugs = [new_id() for _ in range(4)]
        answers = await asyncio.gather(*(person.post(CREATE, name="Mine", slug=slug) for slug in slugs))
        codes = sorted(answer.code or "" for answer in answers)
        too_many = "YOU_HAVE_REACHED_THE_MAXIMUM_NUMBER_OF_ORGANIZATIONS"
        assert codes == ["", "", too_many, too_many]
        first = next(answer.body for answer in answers if answer.status == 200)
        await person.post(DELETE, organizationId=first["id"])
        assert (await person.post(CREATE, name="Mine", slug=new_id())).code == too_many, "it may come back"
        installation.clock.advance(8 * 86_400)
        later = await platform_of(installation)
        async with asyncio.timeout(60):
            while (await tenant(later, first["slug"]))["state"] != "deleted":
                await asyncio.sleep(0.05)
        await person.sign_in()
        assert (await person.post(CREATE, name="Mine", slug=new_id())).status == 200


async def test_without_self_service_operators_alone_make_them(
    data_dir: Path, golden: tuple[Path, Demo]
) -> None:
    settings = settings_for(data_dir, organizations_are_tenants=True, tenants_per_user=1)
    async with serving(settings, golden[1]) as installation:
        platform = await platform_of(installation)
        person, operator = await somebody(platform), await somebody(platform, "Platform Admin")
        refused = await person.post(CREATE, name="Mine", slug=new_id())
        assert (refused.status, refused.code) == (403, "YOU_ARE_NOT_ALLOWED_TO_CREATE_A_NEW_ORGANIZATION")
        for _ in range(2):
            organization = await made(operator)
            assert (await tenant(platform, organization["slug"]))["state"] == "active"


@pytest.mark.parametrize(
    ("slug", "code"),
    [
        ("admin", "ORGANIZATION_ALREADY_EXISTS"),
        ("control-plane", "ORGANIZATION_ALREADY_EXISTS"),
        ("acme", "ORGANIZATION_ALREADY_EXISTS"),
        ("ends-with-", "INVALID_TENANT_ID"),
        ("xn--cme-7cd", "INVALID_TENANT_ID"),
        ("Upper", "VALIDATION_ERROR"),
    ],
)
async def test_a_name_that_is_no_tenants_to_have_is_refused(plane: Platform, slug: str, code: str) -> None:
    person = await somebody(plane)
    refused = await person.post(CREATE, name="Mine", slug=slug)
    assert (refused.status, refused.code) == (400, code)
    assert (await person.get("/organization/list")).body == []


async def test_a_name_that_a_tenant_had_is_taken_for_ever(plane: Platform) -> None:
    person = await somebody(plane)
    organization = await made(person)
    asked = {"slug": organization["slug"]}
    assert (await person.post("/organization/check-slug", **asked)).code == "ORGANIZATION_SLUG_ALREADY_TAKEN"
    assert (await person.post(DELETE, organizationId=organization["id"])).status == 200
    assert (await person.get("/organization/list")).body == []
    assert (await person.post("/organization/check-slug", **asked)).code == "ORGANIZATION_SLUG_ALREADY_TAKEN"
    refused = await person.post(CREATE, name="Again", slug=organization["slug"])
    assert refused.code == "ORGANIZATION_ALREADY_EXISTS"
    assert (await person.post("/organization/check-slug", slug=new_id())).status == 200


async def test_of_two_who_want_the_same_name_at_once_one_gets_it(plane: Platform) -> None:
    people = [await somebody(plane) for _ in range(3)]
    slug = new_id()
    answers = await asyncio.gather(*(person.post(CREATE, name="Mine", slug=slug) for person in people))
    assert sorted(answer.status for answer in answers) == [200, 400, 400]
    lists = [(await person.get("/organization/list")).body for person in people]
    assert sorted(map(len, lists)) == [0, 0, 1]


async def test_its_name_follows_the_tenant(plane: Platform) -> None:
    owner = await somebody(plane)
    organization = await made(owner)
    for data in ({"slug": new_id()}, {"name": "Another"}):
        refused = await owner.post("/organization/update", data=data)
        assert refused.code == "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_ORGANIZATION"
    changed = await owner.post("/organization/update", data={"logo": "https://example.com/new.png"})
    assert changed.body["logo"] == "https://example.com/new.png"
    assert (await tenant(plane, organization["slug"]))["display_name"] == "Mine"


async def test_an_operator_makes_and_deletes_them_by_the_management_api(plane: Platform) -> None:
    name = new_id()
    body = {"name": name, "display_name": "Theirs", "metadata": {"plan": "gold"}}
    assert (await plane("POST", "/organizations", {**body, "suspended": True})).status_code == 403
    enabled = [{"connection_id": "con_nobody"}]
    assert (
        await plane("POST", "/organizations", {**body, "enabled_connections": enabled})
    ).status_code == 403
    answer = await plane("POST", "/organizations", body)
    assert answer.status_code == 201, answer.text
    organization = answer.json()
    assert (organization["metadata"], organization["managed_by"]) == ({"plan": "gold"}, "tenant")
    record = await tenant(plane, name)
    assert (record["state"], record["organization_id"]) == ("active", organization["id"])
    assert (await plane("GET", f"/organizations/{organization['id']}/members")).json() == []
    assert (await plane("POST", "/organizations", body)).status_code == 409
    assert (await plane("DELETE", f"/organizations/{organization['id']}")).status_code == 204
    assert (await tenant(plane, name))["state"] == "deleting"
    assert (await plane("GET", f"/organizations/{organization['id']}")).status_code == 404


async def test_an_operators_key_makes_one_and_goes_on_with_what_failed(plane: Platform) -> None:
    body, headers = {"name": new_id()}, {"Idempotency-Key": secrets.token_hex(8)}
    failpoints.configure("provision.organization.before=raise@1")
    try:
        first = await plane("POST", "/organizations", body, headers=headers)
    finally:
        failpoints.configure("")
    assert (first.status_code, first.json()["errorCode"]) == (503, "organization_is_being_made")
    assert (await plane("POST", f"/tenants/{body['name']}/retry")).json()["state"] == "active"
    answers = await asyncio.gather(
        *(plane("POST", "/organizations", body, headers=headers) for _ in range(3))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["id"] for answer in answers} == {
        (await tenant(plane, body["name"]))["organization_id"]
    }
    another = await plane("POST", "/organizations", {"name": new_id()}, headers=headers)
    assert another.status_code == 422


async def test_an_operators_key_brings_no_deleted_tenant_back(plane: Platform) -> None:
    body, headers = {"name": new_id()}, {"Idempotency-Key": secrets.token_hex(8)}
    failpoints.configure("provision.organization.before=raise@1")
    try:
        await plane("POST", "/organizations", body, headers=headers)
    finally:
        failpoints.configure("")
    assert (await plane("DELETE", f"/tenants/{body['name']}")).status_code in (200, 202, 204)
    again = await plane("POST", "/organizations", body, headers=headers)
    assert (again.status_code, again.json()["errorCode"]) == (409, "tenant_removed")


async def test_managing_organizations_is_not_yet_making_or_deleting_tenants(plane: Platform) -> None:
    tenant_admin = await plane.person("Tenant Admin")
    name = new_id()
    refused = await plane("POST", "/organizations", {"name": name}, caller=tenant_admin)
    assert (refused.status_code, refused.json()["errorCode"]) == (403, "insufficient_scope")
    assert (await plane("GET", f"/tenants/{name}")).status_code == 404
    organization = await made(await somebody(plane))
    refused = await plane("DELETE", f"/organizations/{organization['id']}", caller=tenant_admin)
    assert (refused.status_code, refused.json()["errorCode"]) == (403, "insufficient_scope")
    assert (await tenant(plane, organization["slug"]))["state"] == "active"


async def test_with_the_setting_off_an_organization_binds_nothing(fresh: Platform) -> None:
    person = await somebody(fresh)
    organization = await made(person)
    assert (await fresh("GET", f"/tenants/{organization['slug']}")).status_code == 404
    answer = await fresh("POST", "/organizations", {"name": new_id()})
    assert answer.status_code == 201
    assert "managed_by" not in answer.json()
    of_tenant = await fresh.made(new_id())
    await fresh.join(of_tenant, person.user_id)
    members = (await fresh("GET", f"/organizations/{of_tenant['organization_id']}/members")).json()
    assert [each["user_id"] for each in members] == [person.user_id]
    refused = await person.post(DELETE, organizationId=of_tenant["organization_id"])
    assert refused.status == 403
    assert (await tenant(fresh, of_tenant["id"]))["state"] == "active"
    assert (await person.post(DELETE, organizationId=organization["id"])).status == 200


async def test_elsewhere_an_organization_is_an_organization(plane: Platform) -> None:
    manager = await plane.installation.manager("acme")
    name = new_id()
    await manager.post("/organizations", {"name": name})
    assert (await plane("GET", f"/tenants/{name}")).status_code == 404


async def test_an_agent_makes_its_person_a_tenant(plane: Platform) -> None:
    person = await somebody(plane)
    console = plane.installation.demo.control_plane.clients["console"]
    party = RelyingParty(person.http, plane.issuer, console, "", None, CALLBACK)  # type: ignore[arg-type]
    await party.authorize(audience=None, resource=f"{plane.issuer}mcp", scope=SCOPE)
    answer = await party.redeem(party.landed["code"])
    agent = Agent(person.http, plane.issuer, answer.access_token)
    told = await agent.use("create-organization", name="Ours", slug=new_id())
    assert not told.is_error, told
    record = await tenant(plane, told.value["organization"]["slug"])
    assert (record["state"], record["display_name"]) == ("active", "Ours")
    await administrator(plane, person, told.value["organization"]["id"])


async def test_from_a_sign_up_to_a_tenant_of_ones_own(golden: tuple[Path, Demo], tmp_path: Path) -> None:
    """The whole way, by somebody whom nobody knew before: through the organization API, a letter and a browser."""
    async with mailed(golden, tmp_path, tenant_signup=True) as mail:
        platform = await platform_of(mail.installation)
        opened = await platform("PATCH", "/tenants/settings", {"signup_enabled": True})
        assert opened.status_code == 200, opened.text
        async with mail.installation.browser() as http:
            email, password = "newcomer@people.example", secrets.token_urlsafe(15)
            person = AuthClient(http, platform.issuer, email, password)
            up = await person.post("/sign-up/email", name="New", email=email, password=password)
            assert up.status == 200, up
            slug = new_id()
            refused = await person.post(CREATE, name="Newcomers", slug=slug)
            assert refused.code == "EMAIL_NOT_VERIFIED"
            letter = (await mail.settle(platform.installation.app.settings.control_plane_tenant))[-1]
            browser = Browser(http, stops=())
            await browser.open(link_in(letter))
            await browser.submit()
            organization = await made(person, name="Newcomers", slug=slug)

            own = await administrator(platform, person, organization["id"])
            record = await tenant(platform, slug)
            answer = await own.call(
                "PATCH", f"{record['issuer']}api/v2/tenants/settings", {"support_email": email}
            )
            assert answer.status_code == 200, answer.text
            user = {"connection": CONNECTION, "email": "first@user.example", "password": password}
            assert (await own.call("POST", f"{record['issuer']}api/v2/users", user)).status_code == 201
            there = AuthClient(http, record["issuer"], "first@user.example", password)
            assert (await there.sign_in()).user_id
            everybody = await platform("GET", "/users", per_page=100)
            assert email in everybody.text
            assert "first@user.example" not in everybody.text, "the tenant's people are its own"


async def test_who_cannot_wait_finds_it_among_theirs_later(data_dir: Path, golden: tuple[Path, Demo]) -> None:
    settings = settings_for(data_dir, tenant_signup=True, converge_seconds=0.001)
    async with serving(settings, golden[1]) as installation:
        person = await somebody(await platform_of(installation))
        slug = new_id()
        answer = await person.post(CREATE, name="Slow", slug=slug)
        assert (answer.status, answer.code) == (503, "ORGANIZATION_IS_BEING_MADE")
        assert answer.headers["retry-after"] == "2"
        async with asyncio.timeout(60):
            while not (await person.get("/organization/list")).body:
                await asyncio.sleep(0.05)
        (organization,) = (await person.get("/organization/list")).body
        assert organization["slug"] == slug
        members = (await person.get("/organization/list-members", organizationId=organization["id"])).body
        assert [each["role"] for each in members["members"]] == ["owner"]
