"""F13: a tenant's file is damaged. It alone is away, nothing is written over it, and a restore brings it back."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.backups.test_commands import told
from tests.faults.checks import file_of, query
from tests.faults.test_files import caller_of, health, others_are_well, refused
from tests.installation import Installation
from tests.operators import Caller, machine_token

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

PAGE = 4096


def header(file: Path) -> None:
    overwrite(file, 0, 100)


def middle(file: Path) -> None:
    """Of whatever lies there: tables and indexes from the tenth page to the end."""
    overwrite(file, 10 * PAGE, file.stat().st_size - 10 * PAGE)


def index(file: Path) -> None:
    """The root of an index that every new role has to go into."""
    found = "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'roles'"
    for (page,) in query(file, found):
        overwrite(file, (page - 1) * PAGE, PAGE)


def half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2 + 100)


def nothing(file: Path) -> None:
    os.truncate(file, 0)


def overwrite(file: Path, place: int, length: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(place)
        opened.write(b"\xa5" * length)


@pytest.mark.parametrize("damage", [header, middle, index, half, nothing])
async def test_f13_a_damaged_file_costs_its_tenant_a_503_until_it_is_restored(
    installation: Installation, damage: Callable[[Path], None]
) -> None:
    data = installation.app.settings.data_dir
    caller, url = await caller_of(installation, "acme")
    assert (await caller.call("POST", url, {"name": "of before"})).status_code == 201
    (backup,) = told(data, "tenant", "backup", "acme")
    await closed(installation)
    file = file_of(data, "acme")
    damage(file)
    damaged = file.read_bytes()
    refused(await caller.call("POST", url, {"name": "into a damaged file"}))
    assert await health(installation) == "degraded"
    await others_are_well(installation, 0.3)
    await closed(installation)
    assert file.read_bytes() == damaged
    steps = told(data, "tenant", "restore", "acme", "--backup", backup["id"])
    assert {step["state"] for step in steps} == {"succeeded"}
    acme = installation.tenant("acme")  # keys of a database that is lost are not believed any more
    token = await machine_token(installation.http, acme.issuer, acme.clients["m2m"], acme.management_audience)
    caller = Caller(installation.http, token)
    assert (await caller.call("POST", url, {"name": "of after"})).status_code == 201
    names = {role["name"] for role in (await caller.call("GET", f"{url}?per_page=100")).json()}
    assert {"of before", "of after"} <= names
    assert "into a damaged file" not in names
    assert query(file_of(data, "acme"), "PRAGMA integrity_check") == [("ok",)]


async def closed(installation: Installation) -> None:
    """As at the end of the process: nothing is left in the write-ahead log or in a cache."""
    found = await installation.running.platform.directory.by_id("acme")
    assert found is not None
    ref = found.database.ref
    await installation.running.platform.databases.forget(ref)
    with closing(sqlite3.connect(ref.file)) as outsider:
        try:
            outsider.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.DatabaseError:
            return  # it is damaged: there is no log either
