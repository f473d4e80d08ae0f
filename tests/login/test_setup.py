"""The one-time link that makes the first operator."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from entrypoints.asgi import create_app
from entrypoints.browser import Browser
from provisioning.installation import initialise
from tests.conftest import settings_for
from tests.installation import Installation
from tests.relying_party import RelyingParty

PASSWORD = "a long and unrelated sentence"


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """An installation that nobody was named the operator of, and its link."""
    settings = settings_for(tmp_path / "data")
    made = await initialise(settings)
    assert made.setup_url is not None
    app = create_app(settings)
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as http:
        yield http, made.setup_url


async def set_up(http: httpx.AsyncClient, url: str, email: str = "First@Example.com") -> httpx.Response:
    browser = Browser(http, stops=())
    await browser.open(url)
    return await browser.submit({"email": email, "password": PASSWORD})


async def test_whoever_follows_the_link_becomes_the_first_operator(
    fresh: tuple[httpx.AsyncClient, str], tmp_path: Path
) -> None:
    http, url = fresh
    answer = await set_up(http, url)
    assert answer.status_code == 200
    assert "first operator" in answer.text
    again = await initialise(settings_for(tmp_path / "data"))
    assert again.made == ()
    assert again.setup_url is None


async def test_the_link_is_good_once(fresh: tuple[httpx.AsyncClient, str]) -> None:
    http, url = fresh
    browser = Browser(http, stops=())
    await browser.open(url)
    await set_up(http, url)
    assert (await browser.submit({"email": "b@example.com", "password": PASSWORD})).status_code == 403
    assert (await http.get(url)).status_code == 403


async def test_a_refused_form_leaves_the_link_good(fresh: tuple[httpx.AsyncClient, str]) -> None:
    http, url = fresh
    browser = Browser(http, stops=())
    await browser.open(url)
    assert (await browser.submit({"email": "a@example.com", "password": "short"})).status_code == 400
    assert (await set_up(http, url)).status_code == 200


async def test_a_guessed_link_shows_nothing(fresh: tuple[httpx.AsyncClient, str]) -> None:
    http, url = fresh
    assert (await http.get(url[:-1] + ("A" if url[-1] != "A" else "B"))).status_code == 403
    assert (await http.get(url.partition("?")[0])).status_code == 403


async def test_a_new_link_ends_the_one_before(fresh: tuple[httpx.AsyncClient, str], tmp_path: Path) -> None:
    http, url = fresh
    made = await initialise(settings_for(tmp_path / "data"))
    assert made.setup_url not in (None, url)
    assert (await http.get(url)).status_code == 403


async def test_strangers_do_not_sign_up_where_operators_live(installation: Installation) -> None:
    plane = installation.demo.control_plane
    rp = RelyingParty(
        installation.http, plane.issuer, plane.clients["console"], plane.management_audience, plane.users[0]
    )
    page = await rp.authorize(screen_hint="signup")
    assert page.url.path != "/u/signup"
    assert "/u/signup" not in page.text
