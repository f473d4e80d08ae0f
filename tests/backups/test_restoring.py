"""Restoring one tenant puts it back as it was, and brings back nothing that has ended since."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from tenant_runtime.models import OrganizationDomain
from tests.backups.keeper import Keeper
from tests.installation import Installation
from tests.organizations.people import signed_in
from tests.organizations.test_joining import at, owning
from tests.provisioning.installations import sql

pytestmark = pytest.mark.anyio

PERSON = {
    "email": "late@example.com",
    "password": "correct horse battery",
    "connection": "Username-Password-Authentication",
}


TWENTY_DAYS_MS = 20 * 86_400_000


async def kids(installation: Installation, tenant_id: str) -> set[str]:
    issuer = installation.tenant(tenant_id).issuer
    keys = (await installation.http.get(f"{issuer}.well-known/jwks.json")).json()["keys"]
    return {key["kid"] for key in keys}


async def run_in(installation: Installation, tenant_id: str, statement: str) -> list[Any]:
    found = await installation.running.platform.directory.by_id(tenant_id)
    assert found is not None
    return await found.database.read(sql(statement))


async def proved_by_record(installation: Installation, organization_id: str, domain: str) -> int:
    """Its record was seen a while ago; answers when it is looked for again."""
    manager = await installation.manager("acme")
    said = {"domain": domain, "status": "verified"}
    made = await manager.post(f"/organizations/{organization_id}/discovery-domains", said)
    found = await installation.running.platform.directory.by_id("acme")
    assert found is not None
    look_at, d = int(installation.clock.now() * 1000) + TWENTY_DAYS_MS, OrganizationDomain.__table__
    seen = update(d).where(d.c.id == made["id"]).values(look_at=look_at)
    await found.database.write(lambda connection: connection.execute(seen) and None)
    return look_at


def events_to(url: str) -> dict[str, Any]:
    destination = {"type": "webhook", "configuration": {"webhook_endpoint": url}}
    return {"subscriptions": [{"event_type": "organization.created"}], "destination": destination}


def logs_to(url: str) -> dict[str, Any]:
    return {"name": "SIEM", "type": "http", "sink": {"httpEndpoint": url}}


async def test_what_was_changed_since_is_as_it_was(keeper: Keeper) -> None:
    manager = await keeper.installation.manager("acme")
    before = await manager.get("/clients")
    backup = await keeper.back_up("acme")
    client = before[0]["client_id"]
    await manager.patch(f"/clients/{client}", {"name": "Changed since"})
    await manager.post("/roles", {"name": "Made since"})
    assert (await keeper.restore(backup))["state"] == "succeeded"
    assert await manager.get("/clients") == before
    assert "Made since" not in {role["name"] for role in await manager.get("/roles")}


async def test_no_sign_in_of_before_goes_on_and_a_new_one_does(keeper: Keeper) -> None:
    party = keeper.installation.relying_party("acme")
    earlier = await party.sign_in()
    opaque = await party.sign_in(audience=None)
    backup = await keeper.back_up("acme")
    later = await party.refresh(earlier.refresh_token)
    assert later.status == 200
    code = await party.code()
    assert (await keeper.restore(backup))["state"] == "succeeded"
    for token in (earlier.refresh_token, later.refresh_token, opaque.refresh_token):
        answer = await party.refresh(token)
        assert (answer.status, answer.error) == (400, "invalid_grant")
    assert (await party.redeem(code)).error == "invalid_grant"
    assert (await party.userinfo(opaque.access_token)).status_code == 401
    assert (await party.silent())["error"] == "login_required"
    again = await party.sign_in()
    assert (await party.refresh(again.refresh_token)).status == 200


async def test_a_session_that_was_revoked_since_stays_dead_although_the_backup_has_it(keeper: Keeper) -> None:
    party = keeper.installation.relying_party("acme")
    await party.sign_in()
    assert "code" in await party.silent()
    backup = await keeper.back_up("acme")
    await party.http.get(f"{party.issuer}v2/logout")
    assert (await keeper.restore(backup))["state"] == "succeeded"
    assert await run_in(keeper.installation, "acme", "SELECT count(*) FROM sessions") == [(0,)]
    assert (await party.silent())["error"] == "login_required"


async def test_an_erased_user_stays_erased_and_one_made_anew_stays(keeper: Keeper) -> None:
    manager = await keeper.installation.manager("acme")
    erased = await manager.post("/users", PERSON)
    kept = await manager.post("/users", {**PERSON, "email": "kept@example.com"})
    backup = await keeper.back_up("acme")
    await manager.delete(f"/users/{erased['user_id']}")
    for _ in range(2):
        assert (await keeper.restore(backup))["state"] == "succeeded"
        assert await manager.status("GET", f"/users/{erased['user_id']}") == 404
        assert (await manager.get(f"/users/{kept['user_id']}"))["email"] == "kept@example.com"
    anew = await manager.post("/users", PERSON)
    second = await keeper.back_up("acme")
    assert (await keeper.restore(second))["state"] == "succeeded"
    assert (await manager.get(f"/users/{anew['user_id']}"))["email"] == PERSON["email"]


async def test_an_invitation_that_the_backup_has_lets_nobody_in(keeper: Keeper) -> None:
    """It may have been taken back since, or accepted by somebody who was put out again."""
    owner = await signed_in(keeper.installation)
    await owner.post("/organization/create", name="Example Ltd", slug="example-ltd")
    invited = await owner.post("/organization/invite-member", email="late@out.example", role="admin")
    assert invited.status == 200, invited
    backup = await keeper.back_up("acme")
    assert (await keeper.restore(backup))["state"] == "succeeded"
    assert await owner.session() is None
    assert await run_in(keeper.installation, "acme", "SELECT status FROM invitations") == [("canceled",)]


async def test_whom_an_organization_put_out_since_comes_in_by_no_address(keeper: Keeper) -> None:
    """The backup knows them as somebody who may join. A domain that is its own by a record is looked for at once."""
    owner, id, domain = await owning(keeper.installation, "put-out-since", "automatic")
    person = await signed_in(keeper.installation, email=at(domain))
    look_at = await proved_by_record(keeper.installation, id, "by-record.example")
    backup = await keeper.back_up("acme")
    assert (await person.post("/organization/join", organizationId=id)).status == 200
    assert (await owner.post("/organization/remove-member", memberIdOrEmail=person.email)).status == 200
    assert (await keeper.restore(backup))["state"] == "succeeded"
    again = await (await person.sign_in()).post("/organization/join", organizationId=id)
    assert (again.status, again.code) == (403, "YOU_ARE_NOT_ALLOWED_TO_JOIN_THIS_ORGANIZATION")
    looked = "SELECT look_at, misses FROM organization_domains WHERE domain = 'by-record.example'"
    [(next_look, misses)] = await run_in(keeper.installation, "acme", looked)
    was_looked_for_and_lost = next_look is None
    assert was_looked_for_and_lost or (next_look < look_at, misses) == (True, 2)


async def test_a_stream_that_was_taken_from_a_receiver_since_tells_them_nothing(keeper: Keeper) -> None:
    manager = await keeper.installation.manager("acme")
    here, there = "https://here.example.com/in", "https://there.example.com/in"
    made = {
        name: await manager.post("/event-streams", events_to(here))
        for name in ("kept", "moved", "off", "gone")
    }
    logs = [await manager.post("/log-streams", logs_to(here)) for _ in range(2)]
    backup = await keeper.back_up("acme")
    await manager.patch(
        f"/event-streams/{made['moved']['id']}", {"destination": events_to(there)["destination"]}
    )
    await manager.patch(f"/event-streams/{made['off']['id']}", {"status": "disabled"})
    await manager.delete(f"/event-streams/{made['gone']['id']}")
    await manager.delete(f"/log-streams/{logs[1]['id']}")
    assert (await keeper.restore(backup))["state"] == "succeeded"
    states = {
        name: (await manager.get(f"/event-streams/{each['id']}"))["status"] for name, each in made.items()
    }
    assert states == {"kept": "enabled", "moved": "disabled", "off": "disabled", "gone": "disabled"}
    assert [(await manager.get(f"/log-streams/{each['id']}"))["status"] for each in logs] == [
        "active",
        "paused",
    ]


async def test_keys_are_as_they_are_now_so_a_revoked_one_stays_revoked(keeper: Keeper) -> None:
    manager = await keeper.installation.manager("acme")
    backup = await keeper.back_up("acme")
    (old,) = await kids(keeper.installation, "acme")
    await manager._call("PUT", f"/keys/signing/{old}/revoke")
    now = await kids(keeper.installation, "acme")
    assert old not in now
    assert (await keeper.restore(backup))["state"] == "succeeded"
    assert await kids(keeper.installation, "acme") == now


def damage(file: Path) -> None:
    file.write_bytes(bytes(4096) + file.read_bytes()[4096:])


@pytest.mark.parametrize("lose", [Path.unlink, damage])
async def test_with_the_present_database_lost_every_key_of_the_backup_is_revoked(
    keeper: Keeper, lose: Callable[[Path], None]
) -> None:
    installation = keeper.installation
    party = installation.relying_party("acme")
    await party.sign_in()
    old = await kids(installation, "acme")
    backup = await keeper.back_up("acme")
    platform = installation.running.platform
    found = await platform.directory.by_id("acme")
    assert found is not None
    await platform.databases.forget(found.database.ref)
    lose(found.database.ref.file)
    assert (await keeper.restore(backup))["state"] == "succeeded"
    new = await kids(installation, "acme")
    assert new
    assert not new & old
    assert (await party.silent())["error"] == "login_required"
    assert (await party.sign_in()).status == 200


async def test_the_catalogue_is_todays_and_not_that_of_the_backup(keeper: Keeper) -> None:
    installation = keeper.installation
    backup = await keeper.back_up("acme")
    await keeper.api.post("/roles?wait=sync", {"name": "Shared since"})
    assert (await keeper.restore(backup))["state"] == "succeeded"
    manager = await installation.manager("acme")
    assert "Shared since" in {role["name"] for role in await manager.get("/roles")}


async def test_others_serve_and_this_one_is_read_while_it_is_restored(keeper: Keeper) -> None:
    installation = keeper.installation
    other, own = installation.tenant("globex"), installation.tenant("acme")
    statuses: set[int] = set()
    done = asyncio.Event()

    async def ask() -> None:
        party = installation.relying_party("globex")
        while not done.is_set():
            assert (await party.sign_in()).status == 200
            for issuer in (other.issuer, own.issuer):
                answer = await installation.http.get(f"{issuer}.well-known/jwks.json")
                statuses.add(answer.status_code)

    asking = asyncio.create_task(ask())
    backup = await keeper.back_up("acme")
    for _ in range(3):
        assert (await keeper.restore(backup))["state"] == "succeeded"
    done.set()
    await asking
    assert statuses == {200}


async def test_a_backup_of_another_tenant_is_unknown_here(keeper: Keeper) -> None:
    backup = await keeper.back_up("globex")
    path = f"/tenants/acme/backups/{backup['id']}"
    assert await keeper.api.status("POST", f"{path}/restore") == 404
    assert await keeper.api.status("DELETE", path) == 404
    assert await keeper.api.status("POST", f"/tenants/nobody/backups/{backup['id']}/restore") == 404
    assert await keeper.api.get("/tenants/acme/backups") == []
