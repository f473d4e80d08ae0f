"""What pages of other origins load from a tenant to change the organization."""

import pytest

from tests.installation import Installation

MODULES = (
    "organization-switcher.js",
    "organization-switcher-dialog.js",
    "organization-switcher-look.js",
    "organization-switcher-menu.js",
    "organization-tokens.js",
)


@pytest.mark.parametrize("name", MODULES)
async def test_a_module_is_there_for_pages_of_every_origin(shared: Installation, name: str) -> None:
    address = f"{shared.tenant('acme').issuer}assets/{name}"
    answer = await shared.http.get(address, headers={"Origin": "https://app.example.net"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "set-cookie" not in answer.headers
    again = await shared.http.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_nothing_else_is_there(shared: Installation) -> None:
    issuer = shared.tenant("acme").issuer
    for name in ("pages.css", "organization-switcher", "../static/pages.css", ""):
        assert (await shared.http.get(f"{issuer}assets/{name}")).status_code == 404, name
