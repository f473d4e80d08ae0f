"""A second process' worth of Keystead, for what happens in two at once; and one that waits for its migration."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from entrypoints.asgi import create_app
from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.migrations.behind import demo_of_an_earlier_release
from tests.organizations.people import AuthClient


@pytest.fixture(scope="module")
async def elsewhere(shared: Installation) -> AsyncIterator[Callable[[AuthClient], AuthClient]]:
    """The same person at the other one."""
    other = create_app(shared.app.settings)
    async with other.lifespan():

        def at(person: AuthClient) -> AuthClient:
            transport = httpx.ASGITransport(app=other)
            http = httpx.AsyncClient(transport=transport, timeout=30, cookies=person.http.cookies)
            return AuthClient(http, person.issuer, person.email, person.password, person.user_id)

        yield at


@pytest.fixture
async def behind(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Installation]:
    """Tenants whose databases are of the schema before organizations had an API."""
    data = demo_of_an_earlier_release(golden, tmp_path / "data", version="0005", held=True)
    async with serving(settings_for(data), golden[1], None) as installation:
        yield installation
