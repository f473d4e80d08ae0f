"""Connections to identity providers follow the control plane like roles; where people live is each tenant's own."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from controlplane.registry.ledger import sync_record
from controlplane.registry.tenants import get_tenant
from core.errors import ManagedByControlPlane
from core.tenants import Tenant
from provisioning.platform import Platform
from sync.apply import apply
from sync.catalogue import Desired, load_catalogue
from sync.fleet import registered_follower
from tests.provisioning.installations import create, opened, settings_for, sql
from tests.sync.catalogues import on_tenant_one, rows, tenant_of

pytestmark = pytest.mark.anyio

COPIES = (
    "SELECT id, name, options, secrets, is_system, enabled_for_all_clients FROM connections WHERE is_system"
)
RENAME = "UPDATE connections SET name = :name WHERE id = :id"


async def add_connection(
    platform: Platform, id: str, name: str, *, strategy: str = "oidc", metadata: Any = None, own_of: str = ""
) -> str:
    values = {
        "id": id,
        "name": name,
        "strategy": strategy,
        "options": json.dumps({"client_id": id, "scope": "openid é"}),
        "secrets": b"\x00sealed \xff" + id.encode(),
        "metadata": json.dumps(metadata or {}),
    }

    def unit(connection: Connection) -> None:
        connection.execute(
            text(
                "INSERT INTO connections (id, name, strategy, options, secrets, metadata, is_domain_connection,"
                " enabled_for_all_clients, is_system, created_at, updated_at)"
                " VALUES (:id, :name, :strategy, :options, :secrets, :metadata, 0, 1, 0, 1, 1)"
            ),
            values,
        )

    where = await tenant_of(platform, own_of) if own_of else await platform.directory.control_plane()
    await where.database.write(unit)
    return id


async def synced(platform: Platform) -> None:
    assert await platform.lifecycle.wait_synced() == 0


async def names_of(tenant: Tenant) -> dict[str, str]:
    return {row[0]: row[1] for row in await rows(tenant, COPIES)}


async def test_a_connection_arrives_as_it_stands_and_follows_every_change(platform: Platform) -> None:
    await create(platform, "acme")
    await add_connection(platform, "con_a", "google")
    await add_connection(platform, "con_b", "okta")
    await synced(platform)
    await create(platform, "globex")  # by the template
    wanted = (
        "con_a", "google", '{"client_id":"con_a","scope":"openid é"}', b"\x00sealed \xffcon_a", 1, 0,
    )  # fmt: skip
    tenants = [await tenant_of(platform, name) for name in ("acme", "globex")]
    for tenant in tenants:
        found = {row[0]: row for row in await rows(tenant, COPIES)}
        assert (*found["con_a"][:2], json.loads(found["con_a"][2]), *found["con_a"][3:]) == (
            *wanted[:2], json.loads(wanted[2]), *wanted[3:],
        )  # fmt: skip
        assert found.keys() == {"con_a", "con_b"}
    for name, id in (("tmp", "con_a"), ("google", "con_b"), ("okta", "con_a")):
        await on_tenant_one(platform, RENAME, name=name, id=id)
    await on_tenant_one(platform, "UPDATE connections SET secrets = NULL WHERE id = 'con_b'")
    await synced(platform)
    for tenant in tenants:
        assert await names_of(tenant) == {"con_a": "okta", "con_b": "google"}
        assert await rows(tenant, "SELECT secrets FROM connections WHERE id = 'con_b'") == [(None,)]
        assert (await platform.lifecycle.drift(tenant.id))["in_sync"]
    await on_tenant_one(platform, "DELETE FROM connections WHERE id = 'con_a'")
    await synced(platform)
    for tenant in tenants:
        assert await names_of(tenant) == {"con_b": "google"}
        assert len(await rows(tenant, "SELECT id FROM connections")) == 3  # its own two beside it


async def test_databases_codes_and_what_says_so_stay_and_labels_choose(platform: Platform) -> None:
    await create(platform, "acme", labels=frozenset({"gold"}))
    await create(platform, "globex")
    for strategy in ("auth0", "email", "sms"):
        await add_connection(platform, f"con_{strategy}", f"of-{strategy}", strategy=strategy)
    await add_connection(platform, "con_in", "inner", metadata={"sync": "false"})
    await add_connection(platform, "con_gold", "gold", metadata={"labels": "platinum, gold"})
    await add_connection(platform, "con_all", "all", strategy="samlp")
    await synced(platform)
    assert set(await names_of(await tenant_of(platform))) == {"con_gold", "con_all"}
    assert set(await names_of(await tenant_of(platform, "globex"))) == {"con_all"}


async def test_a_name_the_tenant_has_holds_the_shared_one_back_there_only(platform: Platform) -> None:
    await create(platform, "acme")
    await create(platform, "globex")
    await add_connection(platform, "con_own", "google", own_of="acme")
    await add_connection(platform, "con_a", "google")
    await synced(platform)
    acme = await tenant_of(platform)
    assert await names_of(acme) == {}
    assert await names_of(await tenant_of(platform, "globex")) == {"con_a": "google"}
    record = await platform.registry.read(sync_record, "acme")
    assert record is not None
    assert record.conflicts == (
        {"kind": "connection", "id": "con_a", "field": "name", "value": "google", "own_id": "con_own"},
    )
    await acme.database.write(sql("UPDATE connections SET name = 'ours' WHERE id = 'con_own'"))
    assert not (await platform.lifecycle.converge("acme"))["sync"]["conflicts"]
    assert await names_of(acme) == {"con_a": "google"}


async def test_closed_tenants_follow_and_meet_their_own_names(platform: Platform) -> None:
    for name in ("acme", "globex"):
        await create(platform, name)
    await add_connection(platform, "con_own", "google", own_of="acme")
    await platform.worker.catch_up()
    for name in ("acme", "globex"):
        await platform.databases.forget(platform.parts.ref(await platform.registry.read(get_tenant, name)))
    await add_connection(platform, "con_a", "google")
    await platform.worker.catch_up()
    acme, globex = [await platform.lifecycle.drift(name) for name in ("acme", "globex")]
    assert ([each["id"] for each in acme["conflicts"]], acme["in_sync"]) == (["con_a"], True)
    assert (list(globex["conflicts"]), globex["in_sync"]) == ([], True)
    assert await names_of(await tenant_of(platform, "globex")) == {"con_a": "google"}


async def test_a_copy_is_read_only_but_the_tenants_clients_may_use_it(platform: Platform) -> None:
    await add_connection(platform, "con_a", "google")
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    for statement in (
        "UPDATE connections SET options = '{}' WHERE id = 'con_a'",
        "UPDATE connections SET enabled_for_all_clients = 1 WHERE id = 'con_a'",
        "UPDATE connections SET is_system = 1 WHERE NOT is_system",
        "DELETE FROM connections WHERE id = 'con_a'",
    ):
        with pytest.raises(ManagedByControlPlane):
            await tenant.database.write(sql(statement))
    enable = "INSERT INTO connection_clients SELECT 'con_a', client_id FROM clients"
    await tenant.database.write(sql(enable))
    await on_tenant_one(platform, "UPDATE connections SET display_name = 'Changed'")
    await synced(platform)
    assert len(await rows(tenant, "SELECT * FROM connection_clients")) == 2


async def test_drift_of_a_connection_is_shown_and_repaired(platform: Platform) -> None:
    await add_connection(platform, "con_a", "google")
    await add_connection(platform, "con_b", "okta")
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    await tenant.database.alone(_damage, converge=True)
    drift = await platform.lifecycle.drift("acme")
    kinds = {
        name: [(each["kind"], each["id"]) for each in drift[name]] for name in ("missing", "extra", "changed")
    }
    assert kinds == {
        "missing": [("connection", "con_b")],
        "extra": [("connection", "con_x")],
        "changed": [("connection", "con_a")],
    }
    assert list(drift["changed"][0]["fields"]) == ["secrets"]
    assert "sealed" not in json.dumps(drift)
    await platform.lifecycle.converge("acme")
    assert set(await names_of(tenant)) == {"con_a", "con_b"}


def _damage(connection: Connection) -> None:
    connection.execute(text("UPDATE connections SET id = 'con_x', name = 'x' WHERE id = 'con_b'"))
    connection.execute(text("UPDATE connections SET secrets = x'00' WHERE id = 'con_a'"))


async def test_a_kind_that_is_no_longer_shared_becomes_the_tenants_own_and_comes_back(data: Path) -> None:
    async with opened(settings_for(data)) as platform:
        await add_connection(platform, "con_a", "google")
        await create(platform, "acme")
        await platform.worker.take_over_rules()
    async with opened(settings_for(data, sync_connections=False)) as platform:
        assert await platform.worker.take_over_rules()
        await synced(platform)
        tenant = await tenant_of(platform)
        assert await rows(tenant, "SELECT is_system FROM connections WHERE id = 'con_a'") == [(0,)]
        await tenant.database.write(sql(RENAME, name="ours", id="con_a"))
        await on_tenant_one(platform, "UPDATE connections SET display_name = 'Changed'")
        await synced(platform)
        assert await names_of(tenant) == {}
    async with opened(settings_for(data)) as platform:
        assert await platform.worker.take_over_rules()
        await synced(platform)
        assert await names_of(await tenant_of(platform)) == {"con_a": "google"}


async def test_who_has_no_shared_connections_is_asked_for_none(platform: Platform) -> None:
    """Statements of one converge that looks at the rows: as many as before there were shared connections."""
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    one = await platform.directory.control_plane()
    registered = await platform.registry.read(get_tenant, "acme")
    desired = platform.parts.desired.for_tenant(
        await one.database.read(load_catalogue), registered_follower(registered)
    )
    asked = await tenant.database.alone(_counted, desired, converge=True)
    assert len(asked) == 6, asked
    assert not any("FROM connections" in statement for statement in asked[1:])
    await add_connection(platform, "con_a", "google")
    desired = platform.parts.desired.for_tenant(
        await one.database.read(load_catalogue), registered_follower(registered)
    )
    assert (
        sum(
            "FROM connections" in each
            for each in await tenant.database.alone(_counted, desired, converge=True)
        )
        == 2
    )


def _counted(connection: Connection, desired: Desired) -> list[str]:
    asked: list[str] = []
    event.listen(
        connection.engine, "before_cursor_execute", lambda _c, _k, statement, *_: asked.append(statement)
    )
    apply(connection, desired, now=1, compare_rows=True)
    return [statement for statement in asked if statement.startswith("SELECT")]
