"""An organization with one of everything, and the people of it, each signed in at `/api/auth`."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, update

from core.ids import new_id, new_secret
from tenant_runtime.models import OrganizationDomain
from tests.installation import Installation
from tests.organizations.people import AuthClient, member, new_address, signed_in


@dataclass(frozen=True, slots=True)
class Standing:
    ids: dict[str, str]
    owner: AuthClient
    guest: AuthClient


async def standing(installation: Installation, tenant_id: str, slug: str) -> Standing:
    owner = await signed_in(installation, tenant_id)
    organization = await made(owner, "/organization/create", name=slug, slug=slug)
    about = {"organizationId": organization["id"]}
    plain = await member(installation, organization["id"], tenant_id)
    guest = await member(installation, organization["id"], tenant_id)
    members = (await owner.get("/organization/list-members", **about)).body["members"]
    of = {each["userId"]: each["id"] for each in members}
    await made(owner, "/organization/update-member-role", memberId=of[guest.user_id], role="guest", **about)
    team = await made(owner, "/organization/create-team", name="Red", **about)
    for person in (owner, plain):
        await made(owner, "/organization/add-team-member", teamId=team["id"], userId=person.user_id, **about)
    invited = {"email": new_address(tenant_id), "role": "member"}
    invitation = await made(owner, "/organization/invite-member", **invited, **about)
    role = await made(owner, "/organization/create-role", role="clerk", permission={"ac": ["read"]}, **about)
    name = f"{slug}.{tenant_id}.example"
    domain = await made(owner, "/organization/add-domain", domain=name, **about)
    await _prove(installation, tenant_id, domain["id"])
    await made(owner, "/organization/update-settings", data={"domainJoining": "request"}, **about)
    asking = await signed_in(installation, tenant_id, f"asks@{name}")
    request = await made(asking, "/organization/request-to-join", **about)
    session = await plain.session()
    assert session is not None
    ids = {
        "organization": organization["id"],
        "slug": slug,
        "member": of[plain.user_id],
        "user": plain.user_id,
        "email": plain.email,
        "token": session["token"],
        "team": team["id"],
        "invitation": invitation["id"],
        "role": role["roleData"]["id"],
        "domain": domain["id"],
        "request": request["id"],
        "secret": new_secret(),
    }
    return Standing(ids, owner, guest)


async def _prove(installation: Installation, tenant_id: str, domain_id: str) -> None:
    """As a look at its record would."""
    tenant = await installation.running.platform.directory.by_id(tenant_id)
    assert tenant is not None
    await tenant.database.write(_proved, domain_id)


def _proved(connection: Connection, domain_id: str) -> None:
    table = OrganizationDomain.__table__
    values = {"status": "verified", "verified_at": 1, "checked_at": 1}
    connection.execute(update(table).where(table.c.id == domain_id).values(values))


async def made(person: AuthClient, path: str, **body: Any) -> Any:
    answer = await person.post(path, **body)
    assert answer.status == 200, (path, answer)
    return answer.body


def unknown(ids: dict[str, str]) -> dict[str, str]:
    """Ids of nothing, alike in shape."""
    return {**{name: new_id(name[:3]) for name in ids}, "slug": "no-such", "email": "no@such.example"}
