"""Pages that anybody can send somebody to do not lead on to where a client says that nobody vouches for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from entrypoints.browser import Browser
from entrypoints.demo_content import Demo
from tests.mailbox import Mailed, link_in, mailed
from tests.registrations import let_register, registered

pytestmark = pytest.mark.anyio

ELSEWHERE = "https://elsewhere.example/login"


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path) as made:
        await let_register(made.installation, "acme", mode="open")
        yield made


async def clients(mail: Mailed) -> dict[str, bool]:
    """By id, whether somebody vouches for it: one that registered itself, the same vouched for, one of an operator."""
    stranger = await registered(mail.installation, "acme", initiate_login_uri=ELSEWHERE)
    vouched = await registered(mail.installation, "acme", initiate_login_uri=ELSEWHERE)
    manager = await mail.installation.manager("acme")
    await manager.patch(f"/clients/{vouched['client_id']}", {"is_first_party": True})
    own = await mail.client(initiate_login_uri=ELSEWHERE)
    return {stranger["client_id"]: False, vouched["client_id"]: True, own["client_id"]: True}


async def test_a_new_password_leads_on_to_no_stranger(mail: Mailed) -> None:
    """Anybody may have the link sent to anybody, and name any client."""
    tenant = mail.tenant()
    for client_id, is_vouched_for in (await clients(mail)).items():
        asked = {
            "client_id": client_id,
            "email": tenant.users[0].email,
            "connection": "Username-Password-Authentication",
        }
        answer = await mail.http.post(f"{tenant.issuer}dbconnections/change_password", json=asked)
        assert answer.status_code == 200, answer.text
        letters = [letter for letter in await mail.settle() if "/u/reset-password?" in letter.text]
        async with mail.installation.browser() as http:
            browser = Browser(http, stops=())
            await browser.open(link_in(letters[-1]))
            page = await browser.submit({"password": f"many words of {client_id}"})
        assert page.status_code == 200
        assert (ELSEWHERE in page.text) is is_vouched_for


async def test_a_link_to_sign_out_leads_on_to_no_stranger(mail: Mailed) -> None:
    for client_id, is_vouched_for in (await clients(mail)).items():
        asked = {"client_id": client_id}
        page = await mail.http.get(f"{mail.tenant().issuer}oidc/logout", params=asked)
        assert page.status_code == 200
        assert (ELSEWHERE in page.text) is is_vouched_for


async def test_auth0s_logout_leads_on_to_no_stranger(mail: Mailed) -> None:
    """It asks nobody, and anybody may send somebody there."""
    manager, issuer = await mail.installation.manager("acme"), mail.tenant().issuer
    said = {"post_logout_redirect_uris": [ELSEWHERE], "redirect_uris": [ELSEWHERE]}
    client_id = (await registered(mail.installation, "acme", **said))["client_id"]
    asked = {"client_id": client_id, "returnTo": ELSEWHERE}
    async with mail.installation.browser() as http:
        party = mail.installation.relying_party("acme", "spa", http=http)
        await party.code()
        answer = await http.get(f"{issuer}v2/logout", params=asked)
        assert (answer.status_code, "location" in answer.headers) == (400, False)
        assert "code" in await party.silent(), "still signed in"
        await manager.patch(f"/clients/{client_id}", {"is_first_party": True})
        answer = await http.get(f"{issuer}v2/logout", params=asked)
        assert answer.headers["location"] == ELSEWHERE
