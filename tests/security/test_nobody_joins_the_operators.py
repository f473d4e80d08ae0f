"""Where operators live nobody makes an account for themself, by whatever door."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from entrypoints.demo_content import CALLBACK, Demo
from tests.mailbox import OTP, Mailed, mailed

pytestmark = pytest.mark.anyio

EMAIL, PASSWORD = "mallory@example.org", "a long one that nobody guesses"


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path) as made:
        yield made


async def test_no_door_of_tenant_one_lets_a_stranger_in(mail: Mailed) -> None:
    plane, operator = mail.installation.demo.control_plane, await mail.installation.operator()
    client = await operator.post(
        "/clients",
        {
            "name": "Operators' phone",
            "app_type": "native",
            "token_endpoint_auth_method": "none",
            "callbacks": [CALLBACK],
            "grant_types": [OTP, "authorization_code", "refresh_token"],
        },
    )
    client_id, before = client["client_id"], await people(mail)
    asked = {"client_id": client_id, "connection": "Username-Password-Authentication", "email": EMAIL}
    answer = await mail.http.post(f"{plane.issuer}dbconnections/signup", json={**asked, "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (400, "signup_disabled")
    reset = await mail.http.post(f"{plane.issuer}dbconnections/change_password", json=asked)
    started = await mail.http.post(
        f"{plane.issuer}passwordless/start", json={**asked, "connection": "email", "send": "code"}
    )
    assert (reset.status_code, started.status_code) == (200, 200), "as for anybody who has an account"
    assert await mail.settle(mail.installation.app.settings.control_plane_tenant) == []
    url = f"{plane.issuer}oidc/register"
    assert (await mail.http.post(url, json={"redirect_uris": [CALLBACK]})).status_code == 403
    document = await mail.http.get(
        f"{plane.issuer}authorize", params={"client_id": "https://mallory.example.org/client"}
    )
    assert document.status_code == 400
    assert await people(mail) == before


async def people(mail: Mailed) -> list[str]:
    one = mail.installation.app.settings.control_plane_tenant
    rows = await mail.rows(one, "SELECT user_id FROM users UNION SELECT client_id FROM clients ORDER BY 1")
    return [row[0] for row in rows]
