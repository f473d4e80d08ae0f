"""Organizations at `/api/auth`, and what their tenant says of all of them."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.installation import Installation
from tests.organizations.people import AuthClient, new_address


async def organization_of(owner: AuthClient, *, keep: bool = False, **members: Any) -> dict[str, Any]:
    """Made by the person, who is in it from then on, unless they keep the one that they are in."""
    slug = f"o-{secrets.token_hex(6)}"
    named = {"name": slug, "slug": slug, "keepCurrentActiveOrganization": keep, **members}
    made = await owner.post("/organization/create", **named)
    assert made.status == 200, made
    return dict(made.body)


async def invited(owner: AuthClient, role: str = "member", **members: Any) -> str:
    """Somebody, by whom who may invite; the id."""
    made = await owner.post("/organization/invite-member", email=new_address(), role=role, **members)
    assert made.status == 200, made
    return str(made.body["id"])


async def taken_back(installation: Installation, inviter_id: str) -> list[tuple[str, str, str]]:
    """As the log tells of invitations that nobody took back by themselves: to whom, as what, why."""
    manager = await installation.manager("acme")
    events = await manager.get("/logs", q=f"user_id:{inviter_id}", per_page=100)
    told = [event["details"] for event in events if event["type"] == "organization_invitation_canceled"]
    return [(each["email"], each["role"], each["reason"]) for each in told]


async def suspend(installation: Installation, organization_id: str) -> None:
    manager = await installation.manager("acme")
    await manager.patch(f"/organizations/{organization_id}", {"suspended": True})


@asynccontextmanager
async def telling(installation: Installation, tenant_id: str = "acme", **options: Any) -> AsyncIterator[None]:
    """The tenant's options for a while; then what is inherited."""
    manager = await installation.manager(tenant_id)
    await manager.patch("/tenants/organizations", options)
    try:
        yield
    finally:
        await manager.patch("/tenants/organizations", dict.fromkeys(options))
