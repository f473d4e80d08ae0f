"""F10, F12, F15 and F17 through the front door: a tenant's file is locked, gone, another's, or has no room."""

import asyncio
import io
import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.faults.checks import everybody_follows, file_of, is_whole, query, stand_once
from tests.installation import Installation
from tests.operators import Caller
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

DEADLINE = 1.0


@pytest.fixture
async def impatient(data_dir: Path, golden: tuple[Path, Demo]) -> AsyncIterator[Installation]:
    async with serving(settings_for(data_dir, write_deadline_seconds=DEADLINE), golden[1]) as installation:
        yield installation


async def caller_of(installation: Installation, tenant_id: str) -> tuple[Caller, str]:
    api = await installation.manager(tenant_id)
    return Caller(
        installation.http, api._headers["Authorization"][7:]
    ), f"{installation.tenant(tenant_id).issuer}api/v2/roles"


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    assert "sqlite" not in answer.text.lower()


async def others_are_well(installation: Installation, seconds: float = 1.0) -> None:
    """K6: for a while, no error at the neighbour's, and it does not wait as the troubled one's writers do (how long it
    waits beyond that is the machine's affair, too)."""
    caller, url = await caller_of(installation, "globex")
    waits: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(waits) < 5:
        began = time.monotonic()
        answer = await caller.call("POST", url, {"name": f"well {began} {len(waits)}"})
        waits.append(time.monotonic() - began)
        assert answer.status_code == 201, answer.text
    assert min(waits) < DEADLINE / 2, waits


async def health(installation: Installation) -> str:
    return str((await installation.http.get("http://localhost:8000/health")).json()["status"])


@contextmanager
def locked(file: Path) -> Iterator[None]:
    connection = sqlite3.connect(file, isolation_level=None, timeout=5)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.rollback()
        connection.close()


async def test_f10_a_locked_database_is_waited_for_then_503_and_the_others_go_on(
    impatient: Installation,
) -> None:
    caller, url = await caller_of(impatient, "acme")
    assert (await caller.call("POST", url, {"name": "before"})).status_code == 201
    with locked(file_of(impatient.app.settings.data_dir, "acme")):
        began = time.monotonic()
        writes = asyncio.gather(
            *(caller.call("POST", url, {"name": f"locked {number}"}) for number in range(5))
        )
        await others_are_well(impatient)
        for answer in await writes:
            refused(answer)
        assert time.monotonic() - began > DEADLINE * 0.8, "nobody waited"
        assert (
            await impatient.http.get(f"{impatient.tenant('acme').issuer}.well-known/jwks.json")
        ).status_code == 200
        assert await health(impatient) == "degraded"
    assert (await caller.call("POST", url, {"name": "after"})).status_code == 201
    names = [
        row[0] for row in query(file_of(impatient.app.settings.data_dir, "acme"), "SELECT name FROM roles")
    ]
    assert not [name for name in names if name.startswith("locked")], "what was refused is not done later"


async def test_f10_a_lock_that_ends_in_time_is_only_a_wait(impatient: Installation) -> None:
    caller, url = await caller_of(impatient, "acme")
    with locked(file_of(impatient.app.settings.data_dir, "acme")):
        write = asyncio.create_task(caller.call("POST", url, {"name": "patient"}))
        await asyncio.sleep(DEADLINE / 4)
        assert not write.done()
    assert (await write).status_code == 201


async def test_f12_a_missing_file_is_503_never_an_empty_one_and_comes_back(
    installation: Installation, logged: io.BytesIO
) -> None:
    data = installation.app.settings.data_dir
    caller, url = await caller_of(installation, "acme")
    operator = await installation.operator()
    before = (await caller.call("GET", url)).json()
    await operator.post("/roles", {"name": "while it is there"}, wait="sync")
    file = file_of(data, "acme")
    away = list(file.parent.glob(f"{file.name}*"))
    places = {path: path.with_name(f"away-{path.name}") for path in away}
    for path, place in places.items():
        path.rename(place)

    async def missed() -> bool:
        return bool((await caller.call("GET", url)).status_code == 503)

    await until(missed)
    refused(await caller.call("POST", url, {"name": "into nothing"}))
    await operator.post("/roles", {"name": "while it is away"})
    await others_are_well(installation, 0.5)
    assert await health(installation) == "degraded"
    assert not file.exists()

    async def said() -> bool:
        rows = await operator.get("/fleet/sync", only="failing")
        return [row["tenant_id"] for row in rows] == ["acme"] and bool(rows[0]["last_error"])

    await until(said)
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert any(line["event"] == "converge_failed" and line.get("tenant") == "acme" for line in lines)
    for path, place in places.items():
        place.rename(path)

    async def back() -> bool:
        return bool((await caller.call("GET", url)).status_code == 200)

    await until(back)
    assert len((await caller.call("GET", url)).json()) == len(before) + 2
    await operator.post("/fleet/converge")
    assert everybody_follows(data) == []
    is_whole(data)


async def test_f15_the_file_of_another_tenant_in_its_place_is_never_served(
    data_dir: Path, golden: tuple[Path, Demo]
) -> None:
    own, others = file_of(data_dir, "acme"), file_of(data_dir, "globex")
    kept = own.with_name("kept")
    own.rename(kept)
    shutil.copy(others, own)
    async with serving(settings_for(data_dir), golden[1]) as installation:
        acme, globex = installation.tenant("acme"), installation.tenant("globex")
        for path in ("authorize?client_id=x", ".well-known/jwks.json", "login"):
            answer = await installation.http.get(f"{acme.issuer}{path}")
            assert answer.status_code in (404, 503), (path, answer.status_code)
        for path in (".well-known/openid-configuration", "userinfo", "api/v2/roles"):
            answer = await installation.http.get(f"{acme.issuer}{path}")
            assert globex.issuer not in answer.text, path
        client = globex.clients["m2m"]
        form = {
            "grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret,
            "audience": globex.management_audience,
        }  # fmt: skip
        refused(await installation.http.post(f"{acme.issuer}oauth/token", data=form))
        assert await health(installation) == "degraded"
        await others_are_well(installation, 0.3)
        operator = await installation.operator()
        await operator.post("/roles", {"name": "shared"})
        await operator.post("/fleet/converge")
        rows = await operator.get("/fleet/sync", only="failing")
        assert [row["tenant_id"] for row in rows] == ["acme"]
        assert query(own, "SELECT id FROM tenant") == [("globex",)]
        assert query(own, "SELECT count(*) FROM roles WHERE name = 'shared'") == [(0,)]


# --- F17 -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(golden: tuple[Path, Demo], tmp_path: Path) -> Iterator[Path]:
    """The demo on a disk of its own with a few megabytes of room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(path.stat().st_size for path in golden[0].rglob("*") if path.is_file())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size + 8 * 2**20}", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("no disk can be mounted here")
    try:
        shutil.copytree(golden[0], disk / "data", ignore=shutil.ignore_patterns("generations", "workers"))
        yield disk / "data"
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Not a byte of room."""
    ballast = folder.parent / "ballast"
    with ballast.open("wb", buffering=0) as file:
        block = b"\0" * 65536
        try:
            while True:
                file.write(block)
        except OSError:
            pass
        try:
            while True:
                file.write(b"\0" * 512)
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()


async def test_f17_without_room_nothing_is_half_done_and_with_room_again_all_goes_on(
    small_disk: Path, golden: tuple[Path, Demo]
) -> None:
    settings = settings_for(small_disk, write_deadline_seconds=DEADLINE, converge_seconds=3.0)
    async with serving(settings, golden[1]) as installation:
        caller, url = await caller_of(installation, "acme")
        operator = await installation.operator()
        rp = installation.relying_party("acme")
        tokens = await rp.sign_in()
        done: list[str] = []
        with full(small_disk):
            refusals = await _until_refused(caller, url, done)
            assert refusals, "a full disk is noticed"
            refresh = await rp.refresh(tokens.refresh_token)
            assert refresh.status in (503, 507), refresh.body
            async with installation.browser() as browser:
                other = installation.relying_party("acme", http=browser)
                await other.authorize()
                page = await other.log_in() if other.browser.forms() else other.browser.response
                assert page is not None
                assert "code" not in (other.browser.landed or ""), "nobody is signed in without a row"
            made = await Caller(installation.http, operator._headers["Authorization"][7:]).call(
                "POST", "http://localhost:8000/api/v2/tenants", {"id": "nomatter"}
            )
            assert made.status_code in (201, 503, 507), made.text
            assert made.status_code != 201 or made.json()["state"] != "active"
            keys = await installation.http.get(f"{installation.tenant('acme').issuer}.well-known/jwks.json")
            assert keys.status_code == 200
        answer = await caller.call("POST", url, {"name": "room again"})
        assert answer.status_code == 201, answer.text
        stand_once(small_disk, "acme", "roles", "name", [*done, "room again"])
        again = await rp.refresh(tokens.refresh_token)
        assert again.status == 200, "the rotation that failed did not eat the old token"
        if made.status_code == 201:
            await operator.post("/tenants/nomatter/retry")
            assert (await operator.get("/tenants/nomatter"))["state"] == "active"
        await operator.post("/fleet/converge")
    assert everybody_follows(small_disk) == []
    is_whole(small_disk)


async def _until_refused(caller: Caller, url: str, done: list[str]) -> int:
    """The write-ahead log may have room of its own for a while."""
    refusals = 0
    for number in range(400):
        name = f"full {number} {'x' * 150}"
        answer = await caller.call("POST", url, {"name": name})
        if answer.status_code == 201:
            done.append(name)
            continue
        assert answer.status_code in (503, 507), answer.text
        refusals += 1
        if refusals == 3:
            break
    return refusals
