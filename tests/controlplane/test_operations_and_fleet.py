"""What was done to tenants, what stands still, how far they follow, and running it now."""

import asyncio
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core import failpoints
from entrypoints.demo_content import DemoClient
from tests.controlplane.conftest import Platform
from tests.faults.checks import query
from tests.operators import Caller, machine_token

pytestmark = pytest.mark.anyio

STEPS = ["database", "schema", "first_rows", "catalogue", "organization", "activation"]


def fresh_id() -> str:
    return f"t{secrets.token_hex(4)}"


async def test_an_operation_tells_its_steps_with_start_and_end(platform: Platform) -> None:
    tenant = await platform.made(fresh_id())
    operations = (await platform("GET", f"/tenants/{tenant['id']}/operations")).json()
    assert len(operations) == 1
    operation = operations[0]
    assert (operation["kind"], operation["state"], operation["error"]) == ("create", "succeeded", None)
    assert [step["name"] for step in operation["steps"]] == STEPS
    assert all(step["started_at"] <= step["ended_at"] for step in operation["steps"])
    assert not {"parameters", "fencing", "lease_owner"} & operation.keys()
    assert (await platform("GET", f"/operations/{operation['id']}")).json() == operation
    assert (await platform("GET", "/operations/op_nothing")).status_code == 404
    assert (await platform("GET", "/tenants/nobody/operations")).status_code == 404


async def test_operations_are_listed_newest_first_in_pages_and_by_state(platform: Platform) -> None:
    tenant = await platform.made(fresh_id())
    for _ in range(3):
        await platform("POST", f"/tenants/{tenant['id']}/converge")
    path = f"/tenants/{tenant['id']}/operations"
    whole = [item["id"] for item in (await platform("GET", path)).json()]
    assert len(whole) == 4
    totals = (await platform("GET", path, include_totals="true", per_page="3")).json()
    assert (totals["total"], totals["length"]) == (4, 3)
    seen: list[str] = []
    query = {"take": "3", "state": "succeeded"}
    while True:
        page = (await platform("GET", path, **query)).json()
        seen += [item["id"] for item in page["operations"]]
        if "next" not in page:
            break
        query["from"] = page["next"]
    assert seen == whole
    assert (await platform("GET", path, take="3", state="failed")).json()["operations"] == []
    assert (await platform("GET", path, state="failed")).json() == []
    assert (await platform("GET", path, state="odd")).status_code == 400
    by_query = (await platform("GET", "/operations", tenant_id=tenant["id"])).json()
    assert [item["id"] for item in by_query] == whole


async def test_what_failed_says_where_and_why_and_is_retried_on_demand(fresh: Platform) -> None:
    failpoints.configure("provision.organization.before=raise@1")
    try:
        made = (await fresh("POST", "/tenants", {"id": "broken"})).json()
    finally:
        failpoints.configure("")
    assert made["state"] == "failed"
    fleet = (await fresh("GET", "/fleet")).json()
    assert fleet["states"]["failed"] == 1
    assert {"id": "broken", "state": "failed", "error": made["error"]} in fleet["attention"]
    operation = (await fresh("GET", "/tenants/broken/operations")).json()[0]
    assert operation["steps"][-1]["state"] == "failed"
    assert operation["next_attempt_at"] is not None
    assert (await fresh.installation.http.get("http://broken.localhost:8000/authorize")).status_code == 404
    assert (await fresh("POST", "/tenants/broken/retry")).json()["state"] == "active"
    assert (await fresh("GET", "/fleet")).json()["attention"] == []


@pytest.mark.parametrize(("reason", "longest"), [("a database that is away", 30_000), ("a fault", 300_000)])
async def test_what_waits_for_a_database_is_tried_again_within_half_a_minute_however_often_it_failed(
    fresh: Platform, data_dir: Path, reason: str, longest: int
) -> None:
    file = next(data_dir.rglob("acme*.db"))
    away = file.with_suffix(".away")
    if reason == "a fault":
        failpoints.configure("provision.organization.before=raise")
    else:
        file.rename(away)
    try:
        await fresh("POST", "/tenants/acme/converge")
        with closing(sqlite3.connect(data_dir / "registry.db")) as registry, registry:
            often = "UPDATE operations SET attempts = 20 WHERE tenant_id = 'acme' AND state = 'failed'"
            assert registry.execute(often).rowcount == 1
        await fresh("POST", "/tenants/acme/retry")
    finally:
        failpoints.configure("")
        if away.exists():
            away.rename(file)
    waits = (
        "SELECT next_attempt_at - updated_at FROM operations WHERE tenant_id = 'acme' AND state = 'failed'"
    )
    assert query(data_dir / "registry.db", waits) == [(longest,)]


async def test_the_fleet_is_counted(platform: Platform) -> None:
    tenant = await platform.made(fresh_id())
    await platform("POST", f"/tenants/{tenant['id']}/suspend")
    fleet = (await platform("GET", "/fleet")).json()
    assert fleet["states"]["suspended"] >= 1
    assert sum(fleet["states"].values()) == sum(fleet["schema_versions"].values())
    assert fleet["sync"]["lagging"] == 0
    assert fleet["worst_lag_seconds"] == 0


async def test_the_ledger_shows_each_tenants_place(platform: Platform) -> None:
    await platform("POST", "/roles?wait=sync", {"name": fresh_id()})
    rows = (await platform("GET", "/fleet/sync", include_totals="true", per_page="100")).json()
    assert rows["total"] == rows["length"] == len(rows["tenants"])
    assert all(row["converged"] and row["lag"] == 0 for row in rows["tenants"]), rows
    assert "control_plane" not in {row["tenant_id"] for row in rows["tenants"]}
    for only in ("lagging", "failing", "conflicts"):
        assert (await platform("GET", "/fleet/sync", only=only)).json() == []
    assert (await platform("GET", "/fleet/sync", only="odd")).status_code == 400


async def test_a_conflict_is_listed_and_is_no_lag(fresh: Platform) -> None:
    own = await fresh.machine.call("POST", "http://acme.localhost:8000/api/v2/roles", {"name": "Auditor"})
    assert own.status_code == 201
    await fresh("POST", "/roles?wait=sync", {"name": "Auditor"})
    rows = (await fresh("GET", "/fleet/sync", only="conflicts")).json()
    assert [row["tenant_id"] for row in rows] == ["acme"]
    assert rows[0]["converged"]
    assert "Auditor" in str(rows[0]["conflicts"])
    drift = (await fresh("GET", "/tenants/acme/drift")).json()
    assert drift["conflicts"]
    assert (await fresh("GET", "/tenants/globex/drift")).json()["in_sync"]


async def test_drift_tells_what_differs_and_converge_mends_it(platform: Platform) -> None:
    tenant = await platform.made(fresh_id())
    role = (await platform("POST", "/roles?wait=sync", {"name": fresh_id(), "description": "wanted"})).json()
    extra = (await platform("POST", "/roles?wait=sync", {"name": fresh_id()})).json()
    database = (await platform.installation.running.platform.directory.by_id(tenant["id"])).database  # type: ignore[union-attr]

    def damage(connection: Any) -> None:
        connection.exec_driver_sql("UPDATE roles SET description = 'odd' WHERE id = ?", (role["id"],))
        connection.exec_driver_sql("DELETE FROM roles WHERE id = ?", (extra["id"],))

    await database.alone(damage, converge=True)
    path = f"/tenants/{tenant['id']}"
    drift = (await platform("GET", f"{path}/drift")).json()
    assert not drift["in_sync"]
    assert role["id"] in str(drift["changed"])
    assert extra["id"] in str(drift["missing"])
    dry = (await platform("POST", f"{path}/converge", {"dry_run": True})).json()
    assert dry == {"dry_run": True, **drift}
    assert not (await platform("GET", f"{path}/drift")).json()["in_sync"]
    done = (await platform("POST", f"{path}/converge")).json()
    assert done["sync"]["converged"]
    assert (await platform("GET", f"/operations/{done['operation_id']}")).json()["state"] == "succeeded"
    assert (await platform("GET", f"{path}/drift")).json()["in_sync"]


async def test_who_does_not_serve_has_no_drift(platform: Platform) -> None:
    tenant = await platform.made(fresh_id())
    path = f"/tenants/{tenant['id']}"
    await platform("DELETE", path)
    for method, below in (("GET", "drift"), ("POST", "converge")):
        answer = await platform(method, f"{path}/{below}")
        assert (answer.status_code, answer.json()["errorCode"]) == (409, "invalid_tenant_state")
        assert (await platform(method, f"/tenants/nobody/{below}")).status_code == 404


async def test_the_whole_fleet_is_converged_on_demand(platform: Platform) -> None:
    await platform("POST", "/roles", {"name": fresh_id()})
    dry = await platform("POST", "/fleet/converge", {"dry_run": True})
    assert dry.status_code == 202
    done = (await platform("POST", "/fleet/converge")).json()
    assert done == {"dry_run": False, "lagging": 0}
    assert (await platform("POST", "/fleet/converge", {"dry_run": "no"})).status_code == 400
    assert (await platform("POST", "/fleet/converge", {"dryrun": True})).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/operations", "read:operations"),
        ("GET", "/operations/op_x", "read:operations"),
        ("GET", "/tenants/acme/operations", "read:operations"),
        ("POST", "/tenants/acme/retry", "update:operations"),
        ("GET", "/fleet", "read:tenants"),
        ("GET", "/fleet/sync", "read:sync"),
        ("GET", "/tenants/acme/drift", "read:sync"),
        ("POST", "/tenants/acme/converge", "update:sync"),
        ("POST", "/fleet/converge", "update:sync"),
        ("POST", "/tenants", "create:tenants"),
        ("PATCH", "/tenants/acme", "update:tenants"),
        ("DELETE", "/tenants/acme", "delete:tenants"),
        ("POST", "/tenants/acme/suspend", "update:tenants"),
        ("POST", "/tenants/acme/resume", "update:tenants"),
        ("POST", "/tenants/acme/restore", "delete:tenants"),
    ],
)
async def test_each_route_asks_for_its_own_permission(
    platform: Platform, all_but: "AllBut", method: str, path: str, permission: str
) -> None:
    caller = await all_but.caller(permission)
    answer = await platform(method, path, {"id": "x"} if method == "POST" else {}, caller=caller)
    assert answer.status_code == 403, answer.text
    assert answer.json()["errorCode"] == "insufficient_scope"
    assert permission in answer.headers["WWW-Authenticate"]


class AllBut:
    """Machine clients of tenant one that hold every platform permission but one."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._callers: dict[str, Caller] = {}
        self._lock = asyncio.Lock()

    async def caller(self, permission: str) -> Caller:
        async with self._lock:
            if permission not in self._callers:
                self._callers[permission] = await self._make(permission)
            return self._callers[permission]

    async def _make(self, permission: str) -> Caller:
        platform = self._platform
        body = {
            "name": f"no {permission}",
            "app_type": "non_interactive",
            "grant_types": ["client_credentials"],
        }
        client = (await platform("POST", "/clients", body)).json()
        plane = platform.installation.demo.control_plane
        servers = (await platform("GET", "/resource-servers", per_page="100")).json()
        management = next(item for item in servers if item["identifier"] == plane.management_audience)
        scope = [item["value"] for item in management["scopes"] if item["value"] != permission]
        grant = {"client_id": client["client_id"], "audience": plane.management_audience, "scope": scope}
        made = await platform("POST", "/client-grants", grant)
        assert made.status_code == 201, made.text
        credentials = DemoClient(client["client_id"], client["client_secret"])
        http = platform.installation.http
        return Caller(http, await machine_token(http, plane.issuer, credentials, plane.management_audience))


@pytest.fixture(scope="module")
async def all_but(platform: Platform) -> AllBut:
    return AllBut(platform)


async def test_what_was_done_stands_in_tenant_ones_log(platform: Platform) -> None:
    tenant = await platform.made(fresh_id())
    await platform("DELETE", f"/tenants/{tenant['id']}")
    await platform.installation.running.services.audit.flush()
    events = (await platform("GET", "/logs", per_page="100", sort="date:-1")).json()
    described = [event.get("description") for event in events]
    assert f"Create tenant {tenant['id']}" in described
    assert f"Delete tenant {tenant['id']}" in described


async def test_the_openapi_document_lists_every_route_with_its_permission(platform: Platform) -> None:
    answer = await platform.installation.http.get(f"{platform.issuer}api/v2/fleet/openapi.json")
    document = answer.json()
    routes = {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert all(operation["security"] for operation in routes.values())
    assert routes["DELETE", "/api/v2/tenants/{tenant_id}"]["security"] == [{"bearer": ["delete:tenants"]}]
