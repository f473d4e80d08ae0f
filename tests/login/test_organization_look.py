"""Whose pages one sees on the way into an organization: its name, its logo, its colours, over the tenant's."""

import json
from typing import Any

import httpx
import pytest

from tenant_runtime.login.branding import Branding, stylesheet
from tests.login.test_organization_policies import owns
from tests.login.world import Place, Visitor, World

pytestmark = pytest.mark.anyio

LOGO = "https://cdn.north.example/logo.svg"
NORTH = {"logo_url": LOGO, "colors": {"primary": "#aa2200", "page_background": "#ffeedd"}}
LEAD = "to continue to <bdi>Shop</bdi> in <bdi>North &amp; Co</bdi>"
OPEN = {"show_organization_before_login": True}


async def north(place: Place, *members: str, **values: Any) -> str:
    return await place.make_organization(
        "north", *members, **{"display_name": "North & Co", "branding": NORTH, **values}
    )


async def visitor_of(world: World, **client: Any) -> Visitor:
    return world.visitor(await world.acme.make_client(**client))


def looks_like_north(page: httpx.Response) -> bool:
    colours = stylesheet(Branding(primary_color="#aa2200", page_background="#ffeedd"))
    policy = page.headers["content-security-policy"]
    seen = (
        f'src="{LOGO}" alt="North &amp; Co"' in page.text,
        colours in page.text,
        " · North &amp; Co</title>" in page.text,
        "https://cdn.north.example" in policy,
    )
    assert len(set(seen)) == 1, seen
    if seen[0]:
        assert "<footer>\n<bdi>Acme</bdi>" in page.text, "whose house it is stays on the page"
    return seen[0]


async def test_every_page_of_the_way_into_an_organization_is_its_own(world: World) -> None:
    organization = await north(world.acme, await world.acme.make_user())
    visitor = await visitor_of(world)
    page = await visitor.open(organization=organization)
    assert looks_like_north(page)
    assert LEAD in page.text
    signup = await visitor.browser.open("/u/signup", state=page.url.params["state"])
    assert looks_like_north(signup)
    assert LEAD in signup.text
    await visitor.browser.open("/u/login/identifier", state=page.url.params["state"])
    password = await visitor.browser.submit({"email": "ada@example.com"})
    assert looks_like_north(password)
    assert LEAD in password.text
    wrong = await visitor.browser.submit({"password": "not this one"})
    assert (wrong.status_code, looks_like_north(wrong)) == (400, True)
    await visitor.browser.submit({"password": "correct horse"})
    assert "code" in visitor.browser.parameters()


async def test_one_that_is_unknown_or_suspended_is_answered_as_if_it_had_no_look(world: World) -> None:
    organization = await north(world.acme, suspended_at=1)
    visitor = await visitor_of(world)
    assert "to continue to <bdi>Shop</bdi></p>" in (await visitor.open()).text
    bodies = set()
    for named in (organization, "org_0000000000000000"):
        page = await visitor.open(organization=named)
        assert (page.status_code, looks_like_north(page)) == (200, False)
        assert "North" not in page.text
        bodies.add(page.text.partition("<form")[0])
    assert len(bodies) == 1


async def test_a_name_is_looked_up_for_who_has_signed_in_and_for_nobody_else(world: World) -> None:
    await north(world.acme, await world.acme.make_user())
    visitor = await visitor_of(world)
    pages = [await visitor.open(organization=name) for name in ("north", "NORTH", "nobody")]
    assert [looks_like_north(page) for page in pages] == [False, False, False]
    assert len({page.text.partition("<form")[0] for page in pages}) == 1
    await visitor.log_in(organization="north")
    again = await visitor.open(organization="North", prompt="login")
    assert looks_like_north(again)


async def test_a_tenant_may_show_by_name_and_by_address_whose_pages_they_are(world: World) -> None:
    await world.acme.set("organizations:options", OPEN)
    organization = await north(world.acme, await world.acme.make_user())
    await owns(world.acme, organization)
    visitor = await visitor_of(world)
    assert looks_like_north(await visitor.open(organization="north"))
    assert not looks_like_north(await visitor.open(organization="south"))
    assert not looks_like_north(await visitor.open())
    assert looks_like_north(await visitor.browser.submit({"email": "somebody@example.com"}))
    await visitor.open()
    assert not looks_like_north(await visitor.browser.submit({"email": "somebody@elsewhere.example"}))


async def test_what_the_organization_does_not_say_is_the_tenants(world: World) -> None:
    tenants = {"logo_url": "https://acme.example/logo.png", "colors": {"primary": "#006644"}}
    await world.acme.set("branding", tenants)
    organization = await north(world.acme, branding={"colors": {"page_background": "#ffeedd"}})
    page = await (await visitor_of(world)).open(organization=organization)
    assert stylesheet(Branding(primary_color="#006644", page_background="#ffeedd")) in page.text
    assert 'src="https://acme.example/logo.png" alt="Acme"' in page.text
    assert "<bdi>North &amp; Co</bdi></p>" in page.text


NO_LOOKS: tuple[dict[str, Any], ...] = (
    {"logo_url": "/oidc/logout", "colors": {"primary": "red", "page_background": "#fff}*{}"}},
    {"logo_url": "javascript:alert(1)", "colors": None},
    {"logo_url": "https://evil.example; script-src *"},
    {"logo_url": "http://plain.example/logo.png", "colors": {"primary": None}},
    {"logo_url": None},
    {},
)


async def test_what_is_no_look_counts_as_not_said(world: World) -> None:
    organization = await north(world.acme)
    visitor = await visitor_of(world)
    for branding in NO_LOOKS:
        await world.acme.run("UPDATE organizations SET branding = :b", b=json.dumps(branding))
        page = await visitor.open(organization=organization)
        assert stylesheet(Branding()) in page.text
        assert "<img" not in page.text
        assert "img-src 'none'" in page.headers["content-security-policy"]
        assert "<bdi>North &amp; Co</bdi></p>" in page.text


async def test_a_tenants_own_words_name_the_organization(world: World) -> None:
    words = {"screens": {"login-id": {"description": "Into ${organizationName} of ${companyName}"}}}
    await world.acme.set("prompts:login-id:en", words)
    organization = await north(world.acme)
    page = await (await visitor_of(world)).open(organization=organization)
    assert "Into <bdi>North &amp; Co</bdi> of <bdi>Acme</bdi>" in page.text
