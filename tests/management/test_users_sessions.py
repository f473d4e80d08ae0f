"""Who is signed in and what acts for them, shown and ended by the Management API: real log-ins of real people."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from core.tenants import Tenant
from entrypoints.network import Api
from tests.installation import Installation
from tests.management.world import EVERYTHING, PLATFORM_TOO, Place
from tests.relying_party import Answer, RelyingParty

pytestmark = pytest.mark.anyio

RECEIVER = "https://app.example.com/logout"


@dataclass
class Ground:
    """Somebody signed in to one application, in one browser; and the tenant's machine."""

    installation: Installation
    tenant: Tenant
    api: Api
    party: RelyingParty
    tokens: Answer
    user_id: str

    async def session(self) -> dict[str, Any]:
        [session] = (await self.api.get(f"/users/{self.user_id}/sessions"))["sessions"]
        found: dict[str, Any] = session
        return found

    async def family(self) -> dict[str, Any]:
        [token] = (await self.api.get(f"/users/{self.user_id}/refresh-tokens"))["tokens"]
        found: dict[str, Any] = token
        return found

    async def is_in(self) -> bool:
        """In the browser."""
        return "code" in await self.party.silent()

    async def refreshes(self, tokens: Answer | None = None) -> bool:
        return (await self.party.refresh((tokens or self.tokens).refresh_token)).status == 200

    async def rows(self, statement: str) -> list[Any]:
        await self.installation.running.services.audit.flush(self.tenant)
        return await self.tenant.database.read(lambda connection: list(connection.execute(text(statement))))


@pytest.fixture
async def ground(installation: Installation) -> Ground:
    tenant = await installation.running.platform.directory.by_id("acme")
    assert tenant is not None
    api, party = await installation.manager("acme"), installation.relying_party("acme", "spa")
    client = {"oidc_logout": {"backchannel_logout_urls": [RECEIVER]}}
    await api.patch(f"/clients/{party.client.client_id}", client)
    tokens = await party.sign_in()
    return Ground(installation, tenant, api, party, tokens, str(tokens.claims["sub"]))


async def test_a_session_is_shown_as_auth0_shows_it(ground: Ground) -> None:
    session = await ground.session()
    assert session == await ground.api.get(f"/sessions/{session['id']}")
    assert session["id"] == ground.tokens.id_claims["sid"]
    assert session["user_id"] == ground.user_id
    assert session["clients"] == [{"client_id": ground.party.client.client_id}]
    assert [method["name"] for method in session["authentication"]["methods"]] == ["pwd"]
    assert session["device"]["last_ip"] == "127.0.0.1"
    assert {"created_at", "updated_at", "authenticated_at", "idle_expires_at", "expires_at"} <= session.keys()


async def test_a_refresh_token_is_a_family_that_keeps_its_id_while_it_rotates(ground: Ground) -> None:
    before = await ground.family()
    again = await ground.party.refresh(ground.tokens.refresh_token)
    after = await ground.family()
    assert again.status == 200
    assert (after["id"], after["rotating"]) == (before["id"], True)
    assert (before["last_exchanged_at"], after["session_id"]) == (None, ground.tokens.id_claims["sid"])
    assert after["last_exchanged_at"] is not None
    assert after["resource_servers"][0]["audience"] == ground.party.audience
    assert "offline_access" in after["resource_servers"][0]["scopes"]
    assert await ground.api.get(f"/refresh-tokens/{after['id']}") == after
    listed = await ground.api.get("/refresh-tokens", user_id=ground.user_id)
    assert listed == {"refresh_tokens": [after]}
    nobodys = await ground.api.get("/refresh-tokens", user_id=ground.user_id, client_id="nobody")
    assert nobodys == {"refresh_tokens": []}


async def test_a_deleted_session_is_over_at_once_and_its_clients_are_told(ground: Ground) -> None:
    """Offline access goes on, as at Auth0."""
    session = await ground.session()
    await ground.api.delete(f"/sessions/{session['id']}")
    assert not await ground.is_in()
    assert await ground.refreshes()
    assert await ground.api.status("GET", f"/sessions/{session['id']}") == 404
    assert (await ground.api.get(f"/users/{ground.user_id}/sessions")) == {"sessions": []}
    told = await ground.rows("SELECT recipient FROM deliveries WHERE kind = 'backchannel_logout'")
    assert told == [(ground.party.client.client_id,)]
    assert await ground.api.status("DELETE", f"/sessions/{session['id']}") == 404
    answer = await ground.api._send("DELETE", f"/users/{ground.user_id}/sessions")
    assert (answer.status_code, answer.content) == (202, b"")


async def test_a_revoked_session_takes_its_refresh_and_access_tokens_with_it(ground: Ground) -> None:
    session = await ground.session()
    opaque = await ground.party.sign_in(audience=None)
    assert (await ground.party.userinfo(opaque.access_token)).status_code == 200
    await ground.api.post(f"/sessions/{session['id']}/revoke")
    assert not await ground.is_in()
    assert not await ground.refreshes()
    assert not await ground.refreshes(opaque)
    for tokens in (ground.tokens, opaque):
        assert (await ground.party.userinfo(tokens.access_token)).status_code == 401
    assert await ground.api.get(f"/users/{ground.user_id}/refresh-tokens") == {"tokens": []}


async def test_all_sessions_of_a_user_end_and_nobody_elses(ground: Ground) -> None:
    async with ground.installation.browser() as http, ground.installation.browser() as third:
        second = ground.installation.relying_party("acme", "spa", http=http)
        await second.sign_in()
        other = ground.installation.relying_party("acme", "spa", http=third)
        other.user = ground.installation.tenant("acme").users[1]
        await other.sign_in()
        assert len((await ground.api.get(f"/users/{ground.user_id}/sessions"))["sessions"]) == 2
        await ground.api.delete(f"/users/{ground.user_id}/sessions")
        assert not await ground.is_in()
        assert "error" in await second.silent()
        assert "code" in await other.silent()
    assert await ground.refreshes()


async def test_refresh_tokens_end_alone_by_one_by_choice_and_all(ground: Ground) -> None:
    family = await ground.family()
    await ground.api.delete(f"/refresh-tokens/{family['id']}")
    assert not await ground.refreshes()
    assert (await ground.party.userinfo(ground.tokens.access_token)).status_code == 401
    assert await ground.is_in()
    assert await ground.api.status("GET", f"/refresh-tokens/{family['id']}") == 404

    chosen = await ground.party.sign_in()
    client_id = ground.party.client.client_id
    body = {"user_id": ground.user_id, "client_id": client_id, "audience": "https://other.example"}
    await ground.api.post("/refresh-tokens/revoke", body)
    assert len((await ground.api.get("/refresh-tokens", user_id=ground.user_id))["refresh_tokens"]) == 1
    await ground.api.post("/refresh-tokens/revoke", {**body, "audience": ground.party.audience})
    assert not await ground.refreshes(chosen)

    everything = await ground.party.sign_in()
    await ground.api.delete(f"/users/{ground.user_id}/refresh-tokens")
    assert not await ground.refreshes(everything)
    for wrong in (
        {}, {"client_id": client_id}, {"audience": "x", "user_id": "x"}, {"ids": ["x"], "user_id": "x"}, {"ids": []},
    ):  # fmt: skip
        assert await ground.api.status("POST", "/refresh-tokens/revoke", wrong) == 400


async def test_access_is_revoked_wholly_for_one_session_or_but_for_the_refresh_tokens(ground: Ground) -> None:
    path = f"/users/{ground.user_id}/revoke-access"
    await ground.api.post(path, {"preserve_refresh_tokens": True})
    assert not await ground.is_in()
    assert await ground.refreshes()

    tokens = await ground.party.sign_in()
    session = await ground.session()
    assert await ground.api.status("POST", path, {"session_id": "ses_0000000000000000"}) == 404
    await ground.api.post(path, {"session_id": session["id"]})
    assert not await ground.refreshes(tokens)

    tokens = await ground.party.sign_in()
    await ground.api.post(path, {})
    assert not await ground.is_in()
    assert not await ground.refreshes(tokens)
    assert (await ground.party.userinfo(tokens.access_token)).status_code == 401
    assert await ground.api.get(f"/users/{ground.user_id}/refresh-tokens") == {"tokens": []}
    assert "code" in await _again(ground)


async def _again(ground: Ground) -> dict[str, str]:
    await ground.party.sign_in()
    return await ground.party.silent()


async def test_devices_are_what_installed_applications_hold_and_go_by_themselves(ground: Ground) -> None:
    query = {"user_id": ground.user_id}
    assert await ground.api.get("/device-credentials", **query) == []  # a page in a browser is no device
    await ground.api.patch(f"/clients/{ground.party.client.client_id}", {"app_type": "native"})
    [device] = await ground.api.get("/device-credentials", **query)
    assert (device["type"], device["client_id"]) == (
        "rotating_refresh_token", ground.party.client.client_id,
    )  # fmt: skip
    for type, count in (("refresh_token", 1), ("rotating_refresh_token", 1), ("public_key", 0)):
        assert len(await ground.api.get("/device-credentials", **query, type=type)) == count
    totals = await ground.api.get("/device-credentials", **query, include_totals="true")
    assert (totals["total"], totals["device_credentials"]) == (1, [device])
    await ground.api.delete(f"/device-credentials/{device['id']}")
    assert not await ground.refreshes()
    await ground.api.delete(f"/device-credentials/{device['id']}")
    assert await ground.api.status("GET", "/device-credentials") == 400
    assert await ground.api.status("GET", "/device-credentials?user_id=x&type=x") == 400


async def test_lists_of_sessions_and_tokens_go_on_by_a_signed_place(ground: Ground) -> None:
    """`specs/bad-inputs.md` 129."""
    await ground.party.sign_in()
    path = f"/users/{ground.user_id}/refresh-tokens"
    first = await ground.api.get(path, take=1)
    last = await ground.api.get(path, take=1, **{"from": first["next"]})
    assert len({first["tokens"][0]["id"], last["tokens"][0]["id"]}) == 2
    assert "next" not in last
    sessions = f"/users/{ground.user_id}/sessions"
    for wrong in (f"{path}?take=0", f"{path}?take=101", f"{sessions}?from={first['next']}", f"{path}?from=x"):
        assert await ground.api.status("GET", wrong) == 400


async def test_what_is_over_by_time_is_not_shown(ground: Ground) -> None:
    session, family = await ground.session(), await ground.family()
    ground.installation.clock.advance(31 * 86_400)
    ground.api = await _new_token(ground)
    assert await ground.api.get(f"/users/{ground.user_id}/sessions") == {"sessions": []}
    assert await ground.api.get(f"/users/{ground.user_id}/refresh-tokens") == {"tokens": []}
    assert await ground.api.status("GET", f"/sessions/{session['id']}") == 404
    assert await ground.api.status("GET", f"/refresh-tokens/{family['id']}") == 404


async def _new_token(ground: Ground) -> Api:
    ground.installation._tokens.clear()
    return await ground.installation.manager("acme")


async def test_each_ending_stands_in_the_log_with_what_it_ended(ground: Ground) -> None:
    session = await ground.session()
    await ground.api.post(f"/sessions/{session['id']}/revoke")
    rows = await ground.rows(
        "SELECT description FROM log_events WHERE type = 'sapi' AND description LIKE '%session%'"
    )
    assert rows == [("Revoke session",)]


async def operator(one: Place, holds_by: str) -> str:
    root = one.with_token(one.token(PLATFORM_TOO))
    made = await root.made("/users", {"email": "boss@one.example", "password": "correct horse battery"})
    user_id = str(made["user_id"])
    role = (await root.made("/roles", {"name": "Runs the platform"}))["id"]
    server = one.tenant.management_audience
    held = {"permissions": [{"resource_server_identifier": server, "permission_name": "update:tenants"}]}
    if holds_by == "role":
        assert (await root.post(f"/roles/{role}/permissions", held)).is_success
        assert (await root.post(f"/users/{user_id}/roles", {"roles": [role]})).status_code == 204
    else:
        assert (await root.post(f"/users/{user_id}/permissions", held)).is_success
    return user_id


@pytest.mark.parametrize("holds_by", ["role", "permission"])
async def test_nobody_puts_an_operator_of_the_platform_out_who_is_none(one: Place, holds_by: str) -> None:
    root, weaker = one.with_token(one.token(PLATFORM_TOO)), one.with_token(one.token(EVERYTHING))
    user_id = await operator(one, holds_by)
    path = f"/users/{user_id}"
    for block in (f"/user-blocks/{user_id}", "/user-blocks?identifier=boss@one.example"):
        assert (await weaker.delete(block)).status_code == 403, "they would go on guessing"
        assert (await root.delete(block)).status_code == 204
    for method, end, body in (
        ("DELETE", "/sessions", None), ("DELETE", "/refresh-tokens", None),
        ("DELETE", "/authentication-methods", None), ("POST", "/revoke-access", {}),
        ("PATCH", "", {"blocked": True}), ("DELETE", "", None),
    ):  # fmt: skip
        assert (await weaker(method, path + end, body)).status_code == 403, end
        assert (await root(method, path + end, body)).is_success, end


async def test_nobody_takes_a_platform_permission_away_who_lacks_it(one: Place) -> None:
    root, weaker = one.with_token(one.token(PLATFORM_TOO)), one.with_token(one.token(EVERYTHING))
    path = f"/users/{await operator(one, 'permission')}/permissions"
    server = one.tenant.management_audience
    ordinary, platform = (
        {"permissions": [{"resource_server_identifier": server, "permission_name": name}]}
        for name in ("read:clients", "update:tenants")
    )
    assert (await root.post(path, ordinary)).is_success
    assert (await weaker.delete(path, ordinary)).status_code == 204
    assert (await weaker.delete(path, platform)).status_code == 403
    assert [held["permission_name"] for held in (await root.get(path)).json()] == ["update:tenants"]
    assert (await root.delete(path, platform)).status_code == 204
