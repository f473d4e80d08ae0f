"""Links that the tenant's own software hands on: what they do, where they lead, and who may have them."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from entrypoints.browser import Browser
from entrypoints.demo_content import CALLBACK, SIGNED_OUT
from tenant_runtime import models
from tests.installation import Installation
from tests.isolation.rows import everything_written
from tests.management.world import Place

pytestmark = pytest.mark.anyio

DATABASE = "Username-Password-Authentication"
NEW = "seven unrelated words"
EMAIL = "someone@acme.example"


async def make(installation: Installation, **members: Any) -> str:
    manager = await installation.manager("acme")
    body = {"connection": DATABASE, "email": EMAIL, "password": "correct horse battery staple"}
    return str((await manager.post("/users", {**body, **members}))["user_id"])


async def ticket(installation: Installation, kind: str, **body: Any) -> str:
    made = await (await installation.manager("acme")).post(f"/tickets/{kind}", body)
    assert list(made) == ["ticket"]
    return str(made["ticket"])


async def follow(installation: Installation, url: str, **fields: str) -> httpx.Response:
    """The page, and its form: the answer to that, wherever it leads."""
    async with installation.browser() as http:
        browser = Browser(http, stops=())
        page = await browser.open(url)
        if page.status_code != 200:
            return page
        address = str(page.url).partition("?")[0]
        origin = {"Origin": address[: address.index("/u/")]}
        return await http.post(address, data={**browser.forms()[0].fields, **fields}, headers=origin)


async def user(installation: Installation) -> dict[str, Any]:
    [found] = await (await installation.manager("acme")).get("/users-by-email", email=EMAIL)
    shown: dict[str, Any] = found
    return shown


async def test_a_ticket_proves_the_address_once_and_leads_where_the_tenant_said(
    installation: Installation,
) -> None:
    user_id = await make(installation)
    url = await ticket(installation, "email-verification", user_id=user_id, result_url=SIGNED_OUT)
    assert url.startswith(f"{installation.tenant('acme').issuer}u/email-verification?ticket=")
    done = await follow(installation, url)
    to = urlsplit(done.headers["location"])
    assert (done.status_code, f"{to.scheme}://{to.netloc}{to.path}") == (303, SIGNED_OUT)
    said = parse_qs(to.query)
    assert (said["email"], said["success"], said["code"]) == ([EMAIL], ["true"], ["success"])
    assert (await user(installation))["email_verified"] is True
    assert (await follow(installation, url)).status_code == 403


async def test_a_ticket_sets_a_password_and_verifies_only_when_told_to(installation: Installation) -> None:
    user_id = await make(installation)
    by_id = await ticket(
        installation, "password-change", user_id=user_id, result_url=CALLBACK, includeEmailInRedirect=False
    )
    done = await follow(installation, by_id, password=NEW)
    assert done.status_code == 303
    assert "email" not in parse_qs(urlsplit(done.headers["location"]).query)
    assert (await user(installation))["email_verified"] is False
    manager = await installation.manager("acme")
    databases = await manager.get("/connections", strategy="auth0")
    rows = databases if isinstance(databases, list) else databases["connections"]
    by_address = await ticket(
        installation,
        "password-change",
        email=EMAIL.upper(),
        connection_id=rows[0]["id"],
        mark_email_as_verified=True,
    )
    assert (await follow(installation, by_address, password=NEW + " more")).status_code == 200
    assert (await user(installation))["email_verified"] is True


async def test_a_ticket_of_an_application_leads_back_to_it_with_the_organization(
    installation: Installation,
) -> None:
    manager, client = await installation.manager("acme"), installation.tenant("acme").clients["spa"]
    await manager.patch(
        f"/clients/{client.client_id}", {"initiate_login_uri": "https://app.example.com/login"}
    )
    user_id = await make(installation)
    [organization, *_] = await manager.get("/organizations")
    body = {"user_id": user_id, "client_id": client.client_id, "organization_id": organization["id"]}
    page = await follow(installation, await ticket(installation, "email-verification", **body))
    leads = f"https://app.example.com/login?organization={organization['id']}"
    assert leads in page.text.replace("&amp;", "&")


@pytest.mark.parametrize("kind", ["email-verification", "password-change"])
async def test_a_ticket_leads_to_no_address_that_is_not_the_tenants(
    installation: Installation, kind: str
) -> None:
    """`specs/bad-inputs.md` 100: neither when it is made nor when it is used."""
    manager, user_id = await installation.manager("acme"), await make(installation)
    for url in (
        "https://evil.example/", f"{CALLBACK}/more", f"{CALLBACK}?x=y", CALLBACK.upper(), "//evil.example",
        "javascript:alert(1)", "/path", f"{CALLBACK}#f", f"{CALLBACK}\n", "https://evil.example@app.example.com/",
    ):  # fmt: skip
        assert (
            await manager.status("POST", f"/tickets/{kind}", {"user_id": user_id, "result_url": url}) == 400
        )
    client = installation.tenant("acme").clients["spa"].client_id
    known = "https://app.example.com/soon-gone"
    await manager.patch(f"/clients/{client}", {"allowed_logout_urls": [known]})
    link = await ticket(installation, kind, user_id=user_id, result_url=known)
    await manager.patch(f"/clients/{client}", {"allowed_logout_urls": []})
    done = await follow(installation, link, password=NEW)
    assert (done.status_code, "location" in done.headers) == (200, False)


@pytest.mark.parametrize("kind", ["email-verification", "password-change"])
async def test_a_ticket_ends_by_its_time_by_a_change_and_never_works_elsewhere(
    installation: Installation, kind: str
) -> None:
    """`specs/bad-inputs.md` 109 and 110."""
    manager, user_id = await installation.manager("acme"), await make(installation)
    short = await ticket(installation, kind, user_id=user_id, ttl_sec=60)
    elsewhere = short.replace("acme.", "globex.")
    assert (await installation.http.get(elsewhere)).status_code == 403
    forged = await installation.http.get(short, headers={"X-Forwarded-Host": "evil.example"})
    assert "evil.example" not in forged.text
    moved = await ticket(installation, kind, user_id=user_id)
    await manager.patch(f"/users/{user_id}", {"email": "moved@acme.example"})
    assert (await follow(installation, moved, password=NEW)).status_code == 403
    await manager.patch(f"/users/{user_id}", {"email": EMAIL})
    installation.clock.advance(61)
    assert (await follow(installation, short, password=NEW)).status_code == 403


async def test_what_a_ticket_is_for_must_be_said_and_must_be_there(installation: Installation) -> None:
    """`specs/bad-inputs.md` 125 and 126."""
    manager, user_id = await installation.manager("acme"), await make(installation)
    other = await installation.manager("globex")
    [foreign, *_] = await other.get("/users")
    [organization, *_] = await other.get("/organizations")
    client = installation.tenant("globex").clients["spa"].client_id
    own = installation.tenant("acme").clients["spa"].client_id
    cases: list[tuple[str, dict[str, Any], int]] = [
        ("email-verification", {}, 400),
        ("email-verification", {"user_id": foreign["user_id"]}, 404),
        ("email-verification", {"user_id": user_id, "client_id": client}, 400),
        ("email-verification", {"user_id": user_id, "organization_id": organization["id"]}, 404),
        ("email-verification", {"user_id": user_id, "identity": {"user_id": "x", "provider": "auth0"}}, 404),
        ("email-verification", {"user_id": user_id, "client_id": own, "result_url": CALLBACK}, 400),
        ("email-verification", {"user_id": user_id, "ttl_sec": -1}, 400),
        ("email-verification", {"user_id": user_id, "email_verified": True}, 400),
        ("password-change", {}, 400),
        ("password-change", {"email": EMAIL}, 400),
        ("password-change", {"email": EMAIL, "connection_id": "con_0000000000000000"}, 404),
        ("password-change", {"user_id": user_id, "email": EMAIL, "connection_id": "x"}, 400),
        ("password-change", {"user_id": user_id, "new_password": NEW}, 400),
    ]
    for kind, body, status in cases:
        assert await manager.status("POST", f"/tickets/{kind}", body) == status, (kind, body)


async def test_a_ticket_stands_in_the_one_answer_and_nowhere_else(installation: Installation) -> None:
    """`specs/bad-inputs.md` 131."""
    user_id, made = await make(installation), []
    manager = await installation.manager("acme")
    headers = {**manager._headers, "Idempotency-Key": "one"}
    for kind in ("email-verification", "password-change", "password-change"):
        answer = await installation.http.post(
            f"{installation.tenant('acme').issuer}api/v2/tickets/{kind}",
            json={"user_id": user_id},
            headers={**headers, "Idempotency-Key": kind},
        )
        assert answer.status_code == 201
        made.append(parse_qs(urlsplit(answer.json()["ticket"]).query)["ticket"][0])
    assert made[1] == made[2]  # asked again with its key
    written = await everything_written(installation)
    assert not any(secret.encode() in written for secret in made)


async def test_nobody_gets_a_ticket_for_somebody_stronger(one: Place) -> None:
    """On tenant one it would be the way to an operator's account."""
    root = one.api()
    boss = await root.made("/users", {"connection": DATABASE, "email": "boss@one.example"})
    weak = {"create:user_tickets", "update:users", "read:users"}
    [server] = [
        item for item in (await root.get("/resource-servers")).json() if "api/v2" in item["identifier"]
    ]
    permissions = [{"resource_server_identifier": server["identifier"], "permission_name": "delete:clients"}]
    assert (await root.post(f"/users/{boss['user_id']}/permissions", {"permissions": permissions})).is_success
    helper = one.api(*weak)
    for kind in ("email-verification", "password-change"):
        refused = await helper.post(f"/tickets/{kind}", {"user_id": boss["user_id"]})
        assert refused.status_code == 403, kind
        assert (await root.post(f"/tickets/{kind}", {"user_id": boss["user_id"]})).status_code == 201
    for change in ({"email": "mine@one.example"}, {"password": NEW}, {"email_verified": True}):
        assert (await helper.patch(f"/users/{boss['user_id']}", change)).status_code == 403


async def test_a_ticket_for_somebody_who_becomes_stronger_than_who_asked_for_it_is_over(one: Place) -> None:
    """Or links for everybody would be kept until one of them is an operator."""
    root, helper = one.api(), one.api("create:user_tickets")
    made = await root.made("/users", {"connection": DATABASE, "email": "soon@one.example", "password": NEW})
    body = {"user_id": made["user_id"]}
    early, from_above = [(await by.made("/tickets/password-change", body))["ticket"] for by in (helper, root)]
    assert (await one.http.get(early)).status_code == 200
    server = one.tenant.management_audience
    held = {"permissions": [{"resource_server_identifier": server, "permission_name": "delete:clients"}]}
    assert (await root.post(f"/users/{made['user_id']}/permissions", held)).is_success
    assert (await one.http.get(early)).status_code == 403
    assert (await one.http.get(from_above)).status_code == 200
    assert (await root.delete(f"/users/{made['user_id']}/permissions", held)).is_success
    assert (await one.http.get(early)).status_code == 200
    organization_id = "org_standsforatenant1"
    about = {
        "id": organization_id,
        "name": "a-tenant",
        "managed_by": "tenant",
        "branding": {},
        "metadata": {},
    }
    await one.add(models.Organization, converge=True, **about)
    member = {"organization_id": organization_id, "user_id": made["user_id"]}
    await one.add(models.Membership, converge=True, id="mem_1", **member)
    assert (await one.http.get(early)).status_code == 403
