"""A tenant's name stands on pages, in mails and in logs: it is one line of text."""

import pytest

from tests.installation import Installation

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["two\nlines", "a\x00b", "\x1b[2Jgone", "end\r", "tab\t", "trailing\n"])
async def test_a_name_holds_no_control_characters(shared: Installation, name: str) -> None:
    operator = await shared.operator()
    for member in ("display_name", "friendly_name"):
        assert await operator.status("PATCH", "/tenants/acme", {member: name}) == 400
        assert await operator.status("POST", "/tenants", {"id": "never-made", member: name}) == 400
    assert await operator.status("POST", "/tenants", {"id": "never-made", "region": name}) == 400
    assert await operator.status("GET", "/tenants/never-made") == 404
