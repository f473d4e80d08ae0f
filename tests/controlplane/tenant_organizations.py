"""People of the control plane, and the organizations that they make there."""

import secrets
from typing import Any

import httpx

from entrypoints.demo_content import CALLBACK
from tests.controlplane.conftest import Platform
from tests.operators import Caller
from tests.organizations.people import AuthClient
from tests.relying_party import RelyingParty

CREATE, DELETE = "/organization/create", "/organization/delete"


def new_id() -> str:
    return f"t{secrets.token_hex(5)}"


async def somebody(platform: Platform, *roles: str, **values: Any) -> AuthClient:
    """A person of tenant one, signed in at its organization API."""
    caller = await platform.person(*roles, **values)
    known = caller.user
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=platform.installation.app), timeout=60)
    return await AuthClient(http, platform.issuer, known.email, known.password).sign_in()


async def made(person: AuthClient, **members: Any) -> dict[str, Any]:
    answer = await person.post(CREATE, **{"name": "Mine", "slug": new_id(), **members})
    assert answer.status == 200, answer
    return dict(answer.body)


async def tenant(platform: Platform, tenant_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await platform("GET", f"/tenants/{tenant_id}")).json()
    return found


async def administrator(platform: Platform, person: AuthClient, organization_id: str) -> Caller:
    """By silent authorization in the browser that is signed in already, as an application changes organizations."""
    console = platform.installation.demo.control_plane.clients["console"]
    audience = platform.installation.demo.control_plane.management_audience
    party = RelyingParty(person.http, platform.issuer, console, audience, None, CALLBACK)  # type: ignore[arg-type]
    asked = {"organization": organization_id, "scope": "openid"}
    landed = await party.silent(**asked)
    assert "code" in landed, landed
    answer = await party.redeem(landed["code"])
    assert answer.claims["org_id"] == organization_id
    return Caller(person.http, answer.access_token)
