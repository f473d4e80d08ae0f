"""A second process' worth of Keystead, for what happens in two at once."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from entrypoints.asgi import create_app
from tests.installation import Installation
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
