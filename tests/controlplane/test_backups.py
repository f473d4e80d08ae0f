"""`/api/v2/tenants/{id}/backups`: who may take, see, delete and restore them, and that a request sent twice is one."""

from typing import Any

import pytest

from tests.controlplane.conftest import Platform

pytestmark = pytest.mark.anyio

BACKUPS = "/tenants/acme/backups"


async def taken(platform: Platform, tenant_id: str = "acme", **options: Any) -> dict[str, Any]:
    answer = await platform("POST", f"/tenants/{tenant_id}/backups", **options)
    assert answer.status_code == 202, answer.text
    operation: dict[str, Any] = answer.json()
    return operation


async def test_a_backup_is_taken_listed_and_deleted(platform: Platform) -> None:
    operation = await taken(platform)
    assert (operation["kind"], operation["state"], operation["error"]) == ("backup", "succeeded", None)
    assert [step["name"] for step in operation["steps"]] == ["copy"]
    backup = (await platform("GET", BACKUPS)).json()[0]
    assert (backup["tenant_id"], backup["kind"], backup["backend"]) == ("acme", "manual", "sqlite")
    assert backup["taken_at"] <= backup["verified_at"]
    assert 0 < backup["stored_size"] < backup["size"]
    assert not {"location", "node"} & backup.keys()
    path = f"{BACKUPS}/{backup['id']}"
    assert (await platform("DELETE", path)).status_code == 204
    assert (await platform("DELETE", path)).status_code == 404
    assert (await platform("POST", f"{path}/restore")).status_code == 404
    assert backup["id"] not in {each["id"] for each in (await platform("GET", BACKUPS)).json()}


async def test_the_same_request_sent_again_is_one_backup(platform: Platform) -> None:
    key = {"Idempotency-Key": "back-up-globex-once"}
    first = await taken(platform, "globex", headers=key)
    assert await taken(platform, "globex", headers=key) == first
    assert len((await platform("GET", "/tenants/globex/backups")).json()) == 1


async def test_backups_are_listed_newest_first_in_pages(platform: Platform) -> None:
    for _ in range(3):
        await taken(platform, "initech")
    path = "/tenants/initech/backups"
    whole = (await platform("GET", path)).json()
    assert [each["taken_at"] for each in whole] == sorted((each["taken_at"] for each in whole), reverse=True)
    page = (await platform("GET", path, page="1", per_page="2", include_totals="true")).json()
    assert (page["total"], page["backups"]) == (3, whole[2:])


async def test_each_act_needs_its_permission_and_no_organization(platform: Platform) -> None:
    await taken(platform)
    backup = (await platform("GET", BACKUPS)).json()[0]
    acts = (
        ("GET", BACKUPS),
        ("POST", BACKUPS),
        ("DELETE", f"{BACKUPS}/{backup['id']}"),
        ("POST", f"{BACKUPS}/{backup['id']}/restore"),
    )
    nobody = await platform.person()
    for method, path in acts:
        assert (await platform(method, path, caller=nobody)).status_code == 403, path
        anonymous = await platform.installation.http.request(method, f"{platform.issuer}api/v2{path}")
        assert anonymous.status_code == 401, path
    assert backup in (await platform("GET", BACKUPS)).json()


async def test_a_body_that_says_what_is_not_known_is_refused(platform: Platform) -> None:
    await taken(platform)
    backup = (await platform("GET", BACKUPS)).json()[0]
    path = f"{BACKUPS}/{backup['id']}/restore"
    for body in ({"backend": "nothing"}, {"unknown": 1}, {"present_is_lost": "yes"}):
        assert (await platform("POST", path, body)).status_code == 400


async def test_what_was_done_stands_in_tenant_ones_log(platform: Platform) -> None:
    await platform.made("told")
    await taken(platform, "told")
    backup = (await platform("GET", "/tenants/told/backups")).json()[0]
    done = await platform("POST", f"/tenants/told/backups/{backup['id']}/restore")
    assert (done.status_code, done.json()["state"]) == (202, "succeeded")
    events = (await platform("GET", "/logs", per_page="100", sort="date:-1")).json()
    described = {event.get("description") for event in events}
    assert {"Back up tenant told", f"Restore tenant told from backup {backup['id']}"} <= described
