"""A person approves a device: `/activate` (RFC 8628 section 3.3). `specs/bad-inputs.md` 72 and 104."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from entrypoints.browser import Browser
from tests.installation import Installation
from tests.login.world import API, Place, Visitor, World, claims_of
from tests.registrations import let_register, registered

pytestmark = pytest.mark.anyio

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
ALLOW = ("decision", "allow")


async def make_device(place: Place, **values: Any) -> str:
    grants = [DEVICE, "authorization_code", "refresh_token"]
    return await place.make_client(
        **{"name": "Living Room TV", "app_type": "native", "grant_types": grants} | values
    )


class Device:
    """A television with a client id, and no browser."""

    def __init__(self, world: World, client_id: str, place: Place | None = None) -> None:
        self.http, self.client_id = world.http(place), client_id
        self.codes: dict[str, Any] = {}

    async def start(self, **form: str) -> str:
        body = {"client_id": self.client_id, "scope": "openid offline_access", **form}
        answer = await self.http.post("/oauth/device/code", data=body)
        assert answer.status_code == 200, answer.text
        self.codes = answer.json()
        user_code: str = self.codes["user_code"]
        return user_code

    async def poll(self) -> httpx.Response:
        form = {"grant_type": DEVICE, "client_id": self.client_id, "device_code": self.codes["device_code"]}
        return await self.http.post("/oauth/token", data=form)

    async def error(self) -> str:
        return str((await self.poll()).json()["error"])


async def enter(visitor: Visitor, user_code: str) -> httpx.Response:
    await visitor.browser.open("/activate")
    return await visitor.browser.submit({"user_code": user_code})


async def sign_in(visitor: Visitor, email: str = "ada@example.com") -> httpx.Response:
    await visitor.browser.submit({"email": email})
    return await visitor.browser.submit({"password": "correct horse"})


def says(page: httpx.Response, sentence: str) -> bool:
    return sentence in re.sub(r"<[^>]+>", "", page.text)


async def test_a_person_who_signs_in_approves_a_device(world: World) -> None:
    client = await make_device(world.acme)
    user_id = await world.acme.make_user()
    device, visitor = Device(world, client), world.visitor(client)
    user_code = await device.start(audience=API, scope="openid offline_access read:orders")
    await enter(visitor, user_code.lower().replace("-", " "))
    page = await sign_in(visitor)
    assert page.status_code == 200
    assert str(page.url).startswith(f"{world.acme.origin}/activate/confirm?")
    assert says(page, "Connect Living Room TV?")
    assert says(page, user_code)
    assert says(page, "If somebody sent you this code or this page, cancel")
    assert says(page, "Read your orders")
    assert await device.error() == "authorization_pending"
    page = await visitor.browser.submit(button=ALLOW)
    assert says(page, "Your device is connected")
    body = (await device.poll()).json()
    claims = claims_of(body["access_token"])
    assert (claims["sub"], claims["scope"]) == (user_id, "openid offline_access read:orders")
    assert "refresh_token" in body
    assert claims_of(body["id_token"])["amr"] == ["pwd"]
    await world.services.audit.flush()
    events = await world.acme.run("SELECT type FROM log_events ORDER BY type")
    assert [row[0] for row in events] == ["s", "sdeac", "sede"]


async def test_a_first_party_client_and_a_session_still_meet_the_confirmation(world: World) -> None:
    client = await make_device(world.acme)
    await world.acme.make_user()
    visitor = world.visitor(client)
    await visitor.log_in()
    for _ in range(2):
        device = Device(world, client)
        page = await enter(visitor, await device.start())
        assert says(page, "Connect Living Room TV?")
        assert await device.error() == "authorization_pending"
        await visitor.browser.submit(button=ALLOW)
        assert (await device.poll()).status_code == 200


async def test_a_code_in_the_address_fills_the_field_and_does_nothing_more(world: World) -> None:
    client = await make_device(world.acme)
    await world.acme.make_user()
    device, visitor = Device(world, client), world.visitor(client)
    user_code = await device.start()
    await visitor.log_in()
    page = await visitor.browser.open(device.codes["verification_uri_complete"])
    assert f'value="{user_code}"' in page.text
    assert await device.error() == "authorization_pending"
    assert await world.acme.run("SELECT count(*) FROM authorization_requests WHERE completed_at IS NULL") == [
        (0,)
    ]
    strange = await visitor.browser.open("/activate", user_code='"><script>alert(1)</script>')
    assert "<script" not in strange.text
    assert visitor.browser.forms()[0].fields["user_code"] == ""


async def test_anything_but_a_clear_yes_is_a_no(world: World) -> None:
    client = await make_device(world.acme)
    await world.acme.make_user()
    visitor = world.visitor(client)
    await visitor.log_in()
    for decision in ("deny", "", "yes"):
        device = Device(world, client)
        await enter(visitor, await device.start())
        page = await visitor.browser.submit(button=("decision", decision))
        assert says(page, "Nothing was connected")
        answer = await device.poll()
        assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")


async def test_a_device_is_decided_about_once(world: World) -> None:
    """Twice by one browser, by two at once, and after the other was quicker."""
    client = await make_device(world.acme)
    await world.acme.make_user()
    await world.acme.make_user("bob@example.com")
    ada, bob, device = world.visitor(client), world.visitor(client), Device(world, client)
    user_code = await device.start()
    for visitor, email in ((ada, "ada@example.com"), (bob, "bob@example.com")):
        await enter(visitor, user_code)
        await sign_in(visitor, email)
    form = ada.browser.forms()[0]
    first, second = await asyncio.gather(ada.browser.submit(button=ALLOW), bob.browser.submit(button=ALLOW))
    assert sorted((first.status_code, second.status_code)) == [200, 400]
    again = await ada.http.post(
        form.action, data=form.fields | dict([ALLOW]), headers={"Origin": world.acme.origin}
    )
    assert again.status_code == 400
    approvals = await world.acme.run("SELECT count(*) FROM log_events WHERE type = 'sdeac'")
    assert approvals == [(1,)]
    assert (await enter(bob, user_code)).status_code == 400  # known no more
    assert (await device.poll()).status_code == 200


async def test_the_confirmation_belongs_to_the_browser_that_entered_the_code(world: World) -> None:
    """An attacker's half-way page is worth nothing to a victim's session."""
    client = await make_device(world.acme)
    await world.acme.make_user("eve@example.com")
    await world.acme.make_user()
    eve, ada, device = world.visitor(client), world.visitor(client), Device(world, client)
    await enter(eve, await device.start())
    page = await sign_in(eve, "eve@example.com")
    await ada.log_in()
    stolen = await ada.browser.open(str(page.url))
    assert stolen.status_code == 400
    form = eve.browser.forms()[0]
    posted = await ada.http.post(
        form.action, data=form.fields | dict([ALLOW]), headers={"Origin": world.acme.origin}
    )
    assert posted.status_code == 403
    assert await device.error() == "authorization_pending"


async def test_the_shown_code_cannot_be_another_than_the_entered_one(world: World) -> None:
    client = await make_device(world.acme)
    await world.acme.make_user()
    visitor, device = world.visitor(client), Device(world, client)
    await visitor.log_in()
    page = await enter(visitor, await device.start())
    forged = re.sub(r"[A-Z]{8}$", "BBBBBBBB", str(page.url))
    assert (await visitor.browser.open(forged)).status_code == 400


async def test_forms_of_other_sites_browsers_and_methods_are_refused(world: World) -> None:
    client = await make_device(world.acme)
    await world.acme.make_user()
    visitor, device = world.visitor(client), Device(world, client)
    await visitor.log_in()
    user_code = await device.start()
    await visitor.browser.open("/activate")
    entered = visitor.browser.forms()[0].fields | {"user_code": user_code}
    await visitor.browser.submit({"user_code": user_code})
    form = visitor.browser.forms()[0]
    for path, fields in (("/activate", entered), (form.action, form.fields | dict([ALLOW]))):
        for headers in ({"Origin": "https://evil.example.com"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await visitor.http.post(path, data=fields, headers=headers)).status_code == 403
        stale = fields | {"form_token": "x"}
        assert (
            await visitor.http.post(path, data=stale, headers={"Origin": world.acme.origin})
        ).status_code == 403
        assert (await visitor.http.post(path, json=fields)).status_code in (400, 415)
        assert (await visitor.http.put(path, data=fields)).status_code == 405
    await visitor.http.get(form.action, params=form.fields | dict([ALLOW]))
    assert await device.error() == "authorization_pending"


async def test_a_code_is_known_in_its_tenant_alone(world: World) -> None:
    """Approved by a user of another tenant: there is no such code there."""
    client = await make_device(world.acme)
    theirs = await make_device(world.globex)
    await world.globex.make_user()
    device, stranger = Device(world, client), world.visitor(theirs, world.globex)
    user_code = await device.start()
    await stranger.log_in()
    page = await enter(stranger, user_code)
    assert page.status_code == 400
    assert says(page, "This code is wrong or has expired.")
    assert await device.error() == "authorization_pending"


async def test_wrong_codes_are_told_so_and_a_late_one_too(world: World) -> None:
    client = await make_device(world.acme)
    visitor, device = world.visitor(client), Device(world, client)
    user_code = await device.start()
    for typed in ("", "ABC", "AAAA-AAAA", "WDJB-MJH1", "x" * 5000, "\u0392CDFGHJK", "\u017fCDFGHJK"):
        page = await enter(visitor, typed)
        assert page.status_code == 400, typed
        assert says(page, "This is not a code.")
    world.clock.move(900)
    assert says(await enter(visitor, user_code), "This code is wrong or has expired.")


async def test_an_entered_code_ends_with_its_time(world: World) -> None:
    client = await make_device(world.acme)
    await world.acme.make_user()
    visitor, device = world.visitor(client), Device(world, client)
    await visitor.log_in()
    page = await enter(visitor, await device.start())
    world.clock.move(901)
    late = await visitor.browser.submit(button=ALLOW)
    assert late.status_code == 400
    assert says(late, "This code has expired")
    assert says(await visitor.browser.open(str(page.url)), "This code has expired")
    assert await device.error() == "expired_token"


async def test_a_hundred_guesses_are_not_let_through(installation: Installation) -> None:
    """By one address, and by an address for each: `specs/bad-inputs.md` 72. Another tenant is not slowed down."""
    tenants = installation.demo.tenants
    for addresses, let_through in (
        (["192.0.2.1"] * 100, 10),
        ([f"2001:db8:0:{n}::1" for n in range(100)], 50),
    ):
        statuses = [await guess(installation, tenants[0].issuer, address) for address in addresses]
        assert statuses == [400] * let_through + [429] * (100 - let_through)
    assert await guess(installation, tenants[1].issuer, "192.0.2.1") == 400
    installation.clock.advance(301)
    assert await guess(installation, tenants[0].issuer, "192.0.2.1") == 400


async def guess(installation: Installation, issuer: str, address: str) -> int:
    transport = httpx.ASGITransport(installation.app, client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url=issuer) as http:
        browser = Browser(http, stops=())
        await browser.open("/activate")
        return (await browser.submit({"user_code": "BCDF-GHJK"})).status_code


async def test_right_codes_are_no_guesses(world: World) -> None:
    client = await make_device(world.acme)
    visitor = world.visitor(client)
    for _ in range(15):
        assert (await enter(visitor, await Device(world, client).start())).status_code == 200


async def test_an_organization_is_chosen_on_the_way(world: World) -> None:
    client = await make_device(
        world.acme, organization_usage="require", organization_require_behavior="post_login_prompt"
    )
    user_id = await world.acme.make_user()
    north = await world.acme.make_organization("north", user_id)
    await world.acme.make_organization("south", user_id)
    visitor, device = world.visitor(client), Device(world, client)
    await enter(visitor, await device.start())
    await sign_in(visitor)
    page = await visitor.browser.submit(button=("organization", north))
    assert says(page, "In the organization north")
    await visitor.browser.submit(button=ALLOW)
    assert claims_of((await device.poll()).json()["id_token"])["org_id"] == north


async def test_who_is_no_member_cannot_approve_but_may_sign_in_as_another(world: World) -> None:
    client = await make_device(world.acme)
    await world.acme.make_user()
    bob = await world.acme.make_user("bob@example.com")
    north = await world.acme.make_organization("north", bob)
    visitor, device = world.visitor(client), Device(world, client)
    await enter(visitor, await device.start(organization=north))
    page = await sign_in(visitor)
    assert page.status_code == 403
    again = re.search(r'href="(/u/login/identifier[^"]+)"', page.text)
    assert again is not None
    await visitor.browser.open(again[1])
    assert says(await sign_in(visitor, "bob@example.com"), "In the organization north")
    await visitor.browser.submit(button=ALLOW)
    assert claims_of((await device.poll()).json()["id_token"])["org_id"] == north


async def test_what_changed_before_the_yes_counts(world: World) -> None:
    client = await make_device(world.acme)
    user_id = await world.acme.make_user()
    north = await world.acme.make_organization("north", user_id)
    visitor, device = world.visitor(client), Device(world, client)
    await enter(visitor, await device.start(organization=north))
    await sign_in(visitor)
    await world.acme.run("DELETE FROM memberships")
    refused = await visitor.browser.submit(button=ALLOW)
    assert refused.status_code == 403
    assert await device.error() == "authorization_pending"


async def test_a_third_partys_device_has_a_consent_that_its_refresh_needs(world: World) -> None:
    client = await make_device(world.acme, is_first_party=False)
    await world.acme.make_user()
    visitor, device = world.visitor(client), Device(world, client)
    await enter(visitor, await device.start())
    await sign_in(visitor)
    await visitor.browser.submit(button=ALLOW)
    body = (await device.poll()).json()
    form = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"], "client_id": client}
    assert (await device.http.post("/oauth/token", data=form)).status_code == 200
    assert (await world.acme.run("SELECT count(*) FROM grants"))[0][0] == 1


async def test_signing_out_before_the_device_comes_back_undoes_the_approval(world: World) -> None:
    client = await make_device(world.acme)
    await world.acme.make_user()
    visitor, device = world.visitor(client), Device(world, client)
    await enter(visitor, await device.start())
    await sign_in(visitor)
    await visitor.browser.submit(button=ALLOW)
    await world.acme.run("UPDATE sessions SET ended_at = :now", now=world.acme.ms)
    assert await device.error() == "invalid_grant"


async def test_an_ordinary_request_is_no_devices_and_the_reverse(world: World) -> None:
    client = await make_device(world.acme)
    await world.acme.make_user()
    visitor = world.visitor(client)
    page = await visitor.open(**{"device code": "x"})
    ordinary = str(page.url).replace("/u/login/identifier", "/activate/confirm")
    assert (await visitor.browser.open(ordinary)).status_code == 400
    device = Device(world, client)
    page = await enter(visitor, await device.start())
    resumed = await visitor.http.get(str(page.url).replace("/u/login/identifier", "/authorize/resume"))
    assert resumed.headers["location"].startswith("/activate/confirm?")


async def test_a_no_on_the_way_is_a_no(world: World) -> None:
    client = await make_device(world.acme, is_first_party=False)
    await world.acme.make_user()
    visitor, device = world.visitor(client), Device(world, client)
    await visitor.log_in()
    page = await enter(visitor, await device.start())
    await visitor.browser.open(str(page.url).replace("/activate/confirm", "/u/consent"))
    assert says(await visitor.browser.submit(button=("decision", "deny")), "Nothing was connected")
    assert await device.error() == "access_denied"


async def test_a_client_that_registered_itself_is_shown_as_a_stranger(installation: Installation) -> None:
    await let_register(installation, "acme", mode="open")
    client = await registered(
        installation,
        "acme",
        redirect_uris=[],
        client_name="Acme Support",
        grant_types=[DEVICE],
        response_types=[],
        token_endpoint_auth_method="none",
    )
    tenant = installation.tenant("acme")
    form = {"client_id": client["client_id"], "scope": "openid"}
    codes = (await installation.http.post(f"{tenant.issuer}oauth/device/code", data=form)).json()
    async with installation.browser() as http:
        browser = Browser(http, stops=())
        await browser.open(codes["verification_uri_complete"])
        await browser.submit()
        await browser.submit({"email": tenant.users[0].email})
        page = await browser.submit({"password": tenant.users[0].password})
    assert says(page, "Connect Acme Support?")
    assert says(page, "Acme Support registered itself here: nobody has checked who it is.")
