"""A token for the Management API has no power once its holder, or it itself, was ended."""

import json
from collections.abc import AsyncIterator, Awaitable

from entrypoints.network import Api, client_credentials
from tests.installation import Installation
from tests.relying_party import RelyingParty


async def status(installation: Installation, issuer: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return (await installation.http.get(f"{issuer}api/v2/roles", headers=headers)).status_code


async def slowly(
    installation: Installation, url: str, token: str, body: dict[str, str], meanwhile: Awaitable[object]
) -> int:
    """The status of what is asked while something else happens: after the token was looked at."""

    async def content() -> AsyncIterator[bytes]:
        whole = json.dumps(body).encode()
        yield whole[:1]
        await meanwhile
        yield whole[1:]

    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return (await installation.http.post(url, content=content(), headers=headers)).status_code


async def machine(
    installation: Installation, manager: Api, audience: str, issuer: str
) -> tuple[dict[str, str], str]:
    """A client with a grant of its own, and a token for it."""
    client = await manager.post("/clients", {"name": "Short-lived", "app_type": "non_interactive"})
    grant = {"client_id": client["client_id"], "audience": audience, "scope": ["read:roles", "create:roles"]}
    await manager.post("/client-grants", grant)
    token = await client_credentials(
        installation.http, issuer, client["client_id"], client["client_secret"], audience
    )
    return client, token


async def test_a_revoked_token_is_refused(installation: Installation) -> None:
    acme, manager = installation.tenant("acme"), await installation.manager("acme")
    client, token = await machine(installation, manager, acme.management_audience, acme.issuer)
    assert await status(installation, acme.issuer, token) == 200
    form = {"token": token, "client_id": client["client_id"], "client_secret": client["client_secret"]}
    assert (await installation.http.post(f"{acme.issuer}oauth/revoke", data=form)).status_code == 200
    assert await status(installation, acme.issuer, token) == 401


async def test_a_token_of_a_deleted_client_is_refused(installation: Installation) -> None:
    acme, manager = installation.tenant("acme"), await installation.manager("acme")
    client, token = await machine(installation, manager, acme.management_audience, acme.issuer)
    gone = manager.delete(f"/clients/{client['client_id']}")
    asked = f"{acme.issuer}api/v2/roles", token, {"name": "late"}
    assert await slowly(installation, *asked, gone) == 401, "nor is what was begun before"
    assert await status(installation, acme.issuer, token) == 401
    assert "late" not in [role["name"] for role in await manager.get("/roles")]


async def test_a_blocked_operator_is_refused_at_every_tenant(installation: Installation) -> None:
    plane, operator = installation.demo.control_plane, await installation.operator()
    users = await operator.get("/users-by-email", email=plane.users[0].email)
    issuer = installation.tenant("acme").issuer
    token = await operator_token(installation)
    assert await status(installation, issuer, token) == 200
    person = f"/users/{users[0]['user_id']}"
    asked = f"{issuer}api/v2/roles", token, {"name": "late"}
    blocked = operator.patch(person, {"blocked": True})
    assert await slowly(installation, *asked, blocked) == 401, "nor is what was begun before"
    assert await status(installation, issuer, token) == 401
    assert await status(installation, plane.issuer, token) == 401
    await operator.patch(person, {"blocked": False})
    again = f"{plane.issuer}api/v2/tenants", await operator_token(installation), {"id": "late"}
    assert await slowly(installation, *again, operator.patch(person, {"blocked": True})) == 401
    assert "late" not in [tenant["id"] for tenant in await operator.get("/tenants")]


async def operator_token(installation: Installation) -> str:
    """Of the first operator, a Platform Admin, by the console."""
    plane = installation.demo.control_plane
    async with installation.browser() as http:
        rp = RelyingParty(
            http, plane.issuer, plane.clients["console"], plane.management_audience, plane.users[0]
        )
        answer = await rp.sign_in(scope="openid", organization=None)
    return answer.access_token
