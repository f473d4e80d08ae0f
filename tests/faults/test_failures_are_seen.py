"""K7: whatever fails on one tenant is told by its operation, a metric, the log, the fleet's list and `/health`."""

import io
import json
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.faults.checks import file_of
from tests.faults.test_files import health, others_are_well
from tests.installation import Installation
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

METRIC = "keystead_failing_operations"


@pytest.fixture
async def installation(data_dir: Path, golden: tuple[Path, Demo]) -> AsyncIterator[Installation]:
    """With a libSQL server in its backends file at whose address nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    servers = data_dir / "backends.toml"
    servers.write_text(f'[libsql]\nurl = "{address}"\nadmin_url = "{address}"\nadmin_key = "nobody"\n')
    async with serving(settings_for(data_dir, backends_file=servers), golden[1]) as installation:
        assert await health(installation) == "ok"
        yield installation


async def test_a_move_to_a_server_that_is_away(installation: Installation, logged: io.BytesIO) -> None:
    operator = await installation.operator()
    begun = await operator.post("/tenants/acme/move", {"backend": "libsql"})
    await is_seen(installation, logged, begun["id"], "move")
    await others_are_well(installation, 0.3)
    assert (await operator.get("/tenants/acme"))["state"] == "active"


async def test_a_backup_of_a_damaged_database(installation: Installation, logged: io.BytesIO) -> None:
    change(installation, "INSERT INTO role_permissions VALUES ('rol_gone', 'api_gone', 'read:nothing')")
    operator = await installation.operator()
    begun = await operator.post("/tenants/acme/backups")
    await is_seen(installation, logged, begun["id"], "backup")
    change(installation, "DELETE FROM role_permissions WHERE role_id = 'rol_gone'")


async def test_a_restore_whose_backup_is_gone(installation: Installation, logged: io.BytesIO) -> None:
    operator = await installation.operator()
    taken = await operator.post("/tenants/acme/backups")
    await until(lambda: has_state(installation, taken["id"], "succeeded"))
    (backup,) = await operator.get("/tenants/acme/backups")
    (file,) = installation.app.settings.backup_folder.rglob(f"{backup['id']}*")
    file.unlink()
    begun = await operator.post(f"/tenants/acme/backups/{backup['id']}/restore")
    await is_seen(installation, logged, begun["id"], "restore_backup")
    await others_are_well(installation, 0.3)


async def test_a_tenant_that_cannot_be_made(installation: Installation, logged: io.BytesIO) -> None:
    operator = await installation.operator()
    made = await operator.post("/tenants", {"id": "nowhere", "backend": "libsql"})
    assert made["state"] == "failed"
    (begun,) = await operator.get("/tenants/nowhere/operations")
    await is_seen(installation, logged, begun["id"], "create", listed="failed")


async def is_seen(
    installation: Installation, logged: io.BytesIO, operation_id: str, kind: str, *, listed: str = ""
) -> None:
    """Everywhere, with tenant, step, attempt and cause where there is room for them."""
    await until(lambda: has_failed(installation, operation_id))
    operator = await installation.operator()
    operation = await operator.get(f"/operations/{operation_id}")
    assert operation["kind"] == kind
    step = operation["steps"][-1]["name"]
    assert operation["error"].startswith(f"{step}: ")
    assert operation["attempts"] >= 1
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    (first, *_) = [line for line in lines if line.get("operation") == operation_id and "reason" in line]
    assert first["event"] in ("operation_failed", "operation_given_up")
    assert (first["tenant"], first["kind"], first["step"]) == (operation["tenant_id"], kind, step)
    assert first["attempt"] == 1
    assert first["reason"]

    async def is_degraded() -> bool:
        return await health(installation) == "degraded" and metric(installation) == 1

    await until(is_degraded)
    attention = (await operator.get("/fleet"))["attention"]
    assert (operation["tenant_id"], listed or f"{kind}_failed") in [
        (each["id"], each["state"]) for each in attention
    ]
    assert all(each["error"] for each in attention)


def change(installation: Installation, statement: str) -> None:
    """By somebody who does not look whether references lead anywhere."""
    with closing(sqlite3.connect(file_of(installation.app.settings.data_dir, "acme"))) as outsider:
        outsider.execute(statement)
        outsider.commit()


async def has_failed(installation: Installation, operation_id: str) -> bool:
    operation = await (await installation.operator()).get(f"/operations/{operation_id}")
    assert operation["state"] != "succeeded", operation
    return operation["state"] in ("failed", "cancelled")


async def has_state(installation: Installation, operation_id: str, state: str) -> bool:
    operation = await (await installation.operator()).get(f"/operations/{operation_id}")
    return bool(operation["state"] == state)


def metric(installation: Installation) -> Any:
    return installation.app.metrics.registry.get_sample_value(METRIC)
