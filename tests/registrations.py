"""Clients that come on their own: they register, and sign people in with what they were told."""

from typing import Any

import httpx

from entrypoints.demo_content import CALLBACK, DemoClient
from tests.installation import Installation
from tests.relying_party import RelyingParty


async def let_register(installation: Installation, tenant_id: str, **values: Any) -> None:
    manager = await installation.manager(tenant_id)
    await manager.patch("/tenants/settings", {"client_registration": values})


async def ask_to_register(
    installation: Installation, tenant_id: str, body: Any = None, *, token: str | None = None, **members: Any
) -> httpx.Response:
    """What a client says of itself, unless `body` brings everything."""
    said = {"redirect_uris": [CALLBACK], **members} if body is None else body
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"{installation.tenant(tenant_id).issuer}oidc/register"
    return await installation.http.post(url, json=said, headers=headers)


async def registered(
    installation: Installation, tenant_id: str, *, token: str | None = None, **members: Any
) -> dict[str, Any]:
    answer = await ask_to_register(installation, tenant_id, token=token, **members)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def stranger(
    installation: Installation, tenant_id: str, client: dict[str, Any], *, http: httpx.AsyncClient
) -> RelyingParty:
    """The registered client as a relying party, in front of the tenant's first user."""
    tenant = installation.tenant(tenant_id)
    known = DemoClient(client["client_id"], client.get("client_secret"))
    return RelyingParty(
        http, tenant.issuer, known, tenant.api_audience, tenant.users[0], client["redirect_uris"][0]
    )


async def consented_code(party: RelyingParty, **changes: str | None) -> str:
    """Sign in if asked, consent if asked."""
    await party.authorize(**changes)
    if party.browser.landed is None and any("email" in form.fields for form in party.browser.forms()):
        await party.log_in()
    if party.browser.landed is None:
        await party.browser.submit(button=("decision", "allow"))
    assert "code" in party.landed, party.landed
    return party.landed["code"]
