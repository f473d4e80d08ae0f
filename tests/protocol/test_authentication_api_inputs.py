"""Whatever is sent to Auth0's Authentication API is the sender's mistake or a success, never ours."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from entrypoints.demo_content import Demo
from tests.isolation.test_no_input_is_a_server_error import DOCUMENTS, VALUES
from tests.mailbox import OTP, Mailed, mailed

pytestmark = pytest.mark.anyio

MEMBERS: dict[str, dict[str, Any]] = {
    "passwordless/start": {
        "connection": "email", "email": "nobody@example.org", "send": "code", "authParams": {},
    },
    "oauth/token": {"grant_type": OTP, "username": "nobody@example.org", "otp": "123456", "realm": "email"},
    "dbconnections/change_password": {
        "connection": "Username-Password-Authentication", "email": "nobody@example.org",
    },
    "dbconnections/signup": {
        "connection": "Username-Password-Authentication", "email": "nobody@example.org", "password": "short",
        "username": "x", "name": "x", "picture": "https://p.example/x.png", "user_metadata": {},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
async def mail(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path_factory.mktemp("mail")) as made:
        yield made


@pytest.mark.parametrize("path", MEMBERS)
async def test_no_input_is_a_server_error(mail: Mailed, path: str) -> None:
    client = await mail.client()
    good = {"client_id": client["client_id"], **MEMBERS[path]}
    bodies = [*DOCUMENTS]
    for member in good:
        rest = {name: value for name, value in good.items() if name != member}
        kept = "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in rest.items())
        bodies += [f"{{{json.dumps(member)}:{value}{kept}}}".encode() for value in VALUES]
    for body in bodies:
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            answer = await mail.http.post(
                f"{mail.tenant().issuer}{path}", content=body, headers={"Content-Type": kind}
            )
            assert answer.status_code < 500, (path, kind, body[:200], answer.text)
            assert isinstance(answer.json(), dict) or answer.status_code == 200
    assert await mail.rows("acme", "SELECT * FROM users WHERE user_id LIKE 'email|%'") == []
