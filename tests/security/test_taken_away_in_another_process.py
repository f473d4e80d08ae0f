"""What one process takes away is gone in every other at the next request, whatever it has in memory."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from entrypoints.demo_content import Demo
from entrypoints.network import Api
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

TENANT = "acme"


@dataclass
class Two:
    """Two processes' applications over the same files: one administers, people are at the other."""

    admin: Installation
    people: Installation
    api: Api
    rp: RelyingParty

    async def user_id(self) -> str:
        found = await self.api.get("/users-by-email", email=self.rp.user.email)
        return str(found[0]["user_id"])

    @property
    def organizations(self) -> tuple[str, str]:
        """The two that the user belongs to."""
        first, second, *_ = self.people.tenant(TENANT).organizations
        return first.id, second.id


@pytest.fixture
async def two(data_dir: Path, golden: tuple[Path, Demo]) -> AsyncIterator[Two]:
    settings = settings_for(data_dir)
    async with serving(settings, golden[1]) as admin, serving(settings, golden[1]) as people:
        yield Two(admin, people, await admin.manager(TENANT), people.relying_party(TENANT))


async def test_a_deleted_client_is_no_client(two: Two) -> None:
    tokens = await two.rp.sign_in()
    await two.api.delete(f"/clients/{two.rp.client.client_id}")
    assert (await two.rp.refresh(tokens.refresh_token)).error == "invalid_client"
    assert (await two.rp.authorize()).status_code == 400
    assert two.rp.browser.landed is None
    assert (await two.rp.userinfo(tokens.access_token)).status_code == 401


async def test_the_old_secret_opens_nothing(two: Two) -> None:
    tokens = await two.rp.sign_in()
    await two.api.post(f"/clients/{two.rp.client.client_id}/rotate-secret")
    assert (await two.rp.refresh(tokens.refresh_token)).error == "invalid_client"
    machine = {"grant_type": "client_credentials", "audience": two.rp.audience}
    assert (await two.rp.token({**machine})).error == "invalid_client"


async def test_an_address_that_was_withdrawn_is_not_sent_to(two: Two) -> None:
    await two.rp.authorize()
    await two.api.patch(f"/clients/{two.rp.client.client_id}", {"callbacks": ["https://elsewhere.example/"]})
    assert (await two.rp.authorize()).status_code == 400
    assert two.rp.browser.landed is None


@pytest.mark.parametrize("how", ["deleted", "blocked", "given a new password"])
async def test_a_person_who_is_gone_is_gone_everywhere(two: Two, how: str) -> None:
    tokens = await two.rp.sign_in()
    code = await two.rp.code()
    path = f"/users/{await two.user_id()}"
    if how == "deleted":
        await two.api.delete(path)
    else:
        changes: dict[str, Any] = (
            {"blocked": True} if how == "blocked" else {"password": "another long password"}
        )
        await two.api.patch(path, changes)
    assert (await two.rp.userinfo(tokens.access_token)).status_code == 401
    assert (await two.rp.refresh(tokens.refresh_token)).error == "invalid_grant"
    assert (await two.rp.redeem(code)).error == "invalid_grant"
    assert (await two.rp.silent())["error"] == "login_required"


async def test_a_removed_member_keeps_the_session_and_nothing_of_the_organization(two: Two) -> None:
    first, second = two.organizations
    tokens = await two.rp.sign_in(organization=first)
    code = await two.rp.code(organization=first)
    await two.api.delete(f"/organizations/{first}/members", {"members": [await two.user_id()]})
    assert (await two.rp.userinfo(tokens.access_token)).status_code == 401
    for organization in (None, first):
        refused = await two.rp.refresh(tokens.refresh_token, organization=organization)
        assert refused.error in ("invalid_grant", "access_denied")
    assert (await two.rp.redeem(code)).error == "invalid_grant"
    assert (await two.rp.silent(organization=first))["error"] == "access_denied"
    assert "code" in await two.rp.silent(organization=second)


async def test_a_session_that_ended_takes_its_open_code_along(two: Two) -> None:
    code = await two.rp.code()
    await two.people.http.get(f"{two.rp.issuer}v2/logout?client_id={two.rp.client.client_id}")
    assert (await two.rp.redeem(code)).error == "invalid_grant"


async def test_a_tenant_that_was_suspended_gives_and_takes_nothing(two: Two) -> None:
    tokens = await two.rp.sign_in()
    operator = await two.admin.operator()
    await operator.post(f"/tenants/{TENANT}/suspend")
    assert (await two.rp.refresh(tokens.refresh_token)).error == "access_denied"
    assert (await two.rp.userinfo(tokens.access_token)).status_code == 403
    await operator.post(f"/tenants/{TENANT}/resume")
    assert (await two.rp.userinfo(tokens.access_token)).status_code == 200
