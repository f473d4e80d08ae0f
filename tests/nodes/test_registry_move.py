"""`keystead registry move`: the registry goes to PostgreSQL and back, whole, and only one of the two counts."""

import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.failpoints import EXIT_STATUS
from tests.engines.postgres import USER, Postgres
from tests.faults.conftest import Ground
from tests.faults.servers import Server, serving
from tests.forks import command
from tests.relying_party import RelyingParty
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.postgresql]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ground(golden: tuple[Path, object], tmp_path: Path) -> Ground:
    data = tmp_path / "data"
    shutil.copytree(golden[0], data, ignore=shutil.ignore_patterns("generations", "workers"))
    return Ground(data, golden[1])  # type: ignore[arg-type]


@pytest.fixture
def database(postgres: Postgres) -> str:
    name = f"registry_{secrets.token_hex(6)}"
    postgres.query(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def keystead(postgres: Postgres, ground: Ground) -> Command:
    """The command as an operator types it, on this machine."""

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environ = {f"KEYSTEAD_{name}": value for name, value in variables.items()}
        environ["PGPASSWORD"] = postgres.password
        return command(*words, "--data", str(ground.data), environ=environ)

    return run


async def test_it_goes_to_postgresql_and_back_with_every_row(
    ground: Ground, postgres: Postgres, database: str, keystead: Command
) -> None:
    address = f"postgresql://{USER}@127.0.0.1:{postgres.port}/{database}"
    before = rows(ground.data)
    moved(keystead("registry", "move", "--to", address, NODE="a"))
    assert postgres.query("SELECT DISTINCT node FROM tenants", database=database) == [["a"]]
    there: dict[str, Any] = {"REGISTRY_URL": postgres.url(database), "NODE": "a"}
    await refused(ground.data)
    async with serving(ground.data, **there) as server:
        await signs_in(ground, server)
        await is_whole(ground, server)
    moved(keystead("registry", "move", "--to", "file", **there))
    after = rows(ground.data)
    assert before.keys() == after.keys()
    assert before["tenants"] == after["tenants"]
    assert before["sync_states"] == after["sync_states"]
    await refused(ground.data, **there)
    async with serving(ground.data) as server:
        await signs_in(ground, server)
    moved(keystead("registry", "move", "--to", address, NODE="b"))  # over what it left there
    assert postgres.query("SELECT DISTINCT node FROM tenants", database=database) == [["b"]]


@pytest.mark.parametrize("place", ["registry.move.copied", "registry.move.brought"])
async def test_killed_anywhere_it_is_done_again_and_nothing_is_there_twice(
    ground: Ground, postgres: Postgres, database: str, keystead: Command, place: str
) -> None:
    address = f"postgresql://{USER}@127.0.0.1:{postgres.port}/{database}"
    killed = keystead("registry", "move", "--to", address, NODE="a", FAILPOINTS=f"{place}=exit")
    assert killed.returncode == EXIT_STATUS, killed.stderr
    async with serving(ground.data) as server, server.client() as http:  # the file counts until the end
        operator = await ground.operator(http)
        assert (await operator.call("POST", f"{ground.plane}/tenants/globex/suspend")).is_success
    again = keystead("registry", "move", "--to", address, NODE="a")
    if place == "registry.move.brought":
        assert "in use" in again.stderr  # both have been whole, and one of them has gone on
        postgres.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public", database=database)
        again = keystead("registry", "move", "--to", address, NODE="a")
    moved(again)
    count = len(rows(ground.data)["tenants"])
    assert postgres.query("SELECT count(*) FROM tenants", database=database) == [[str(count)]]
    await refused(ground.data)


def test_killed_at_the_last_moment_it_is_finished_without_copying_again(
    ground: Ground, postgres: Postgres, database: str, keystead: Command
) -> None:
    address = f"postgresql://{USER}@127.0.0.1:{postgres.port}/{database}"
    words = ("registry", "move", "--to", address)
    assert keystead(*words, NODE="a", FAILPOINTS="registry.move.brought=exit").returncode == EXIT_STATUS
    moved(keystead(*words, NODE="a"))
    count = len(rows(ground.data)["tenants"])
    assert postgres.query("SELECT count(*) FROM tenants", database=database) == [[str(count)]]


async def test_a_file_of_one_machine_is_not_served_by_another(
    ground: Ground, postgres: Postgres, database: str, keystead: Command, tmp_path: Path
) -> None:
    address = f"postgresql://{USER}@127.0.0.1:{postgres.port}/{database}"
    moved(keystead("registry", "move", "--to", address, NODE="a"))
    elsewhere = tmp_path / "b" / "data"
    elsewhere.mkdir(parents=True)
    (elsewhere / "sealing.key").write_bytes((ground.data / "sealing.key").read_bytes())
    server = Server(elsewhere, REGISTRY_URL=postgres.url(database), NODE="b")
    try:
        async with server.client() as http:
            await until(partial(answers, http))
            assert (await http.get("http://localhost:8000/ready")).status_code == 503
            tenant = ground.demo.tenants[0]
            document = await http.get(f"{tenant.issuer}.well-known/openid-configuration")
            assert document.status_code == 503
    finally:
        server.stop()
    assert not (elsewhere / "tenants").exists()


async def test_servers_that_run_keep_the_registry_where_it_is(
    ground: Ground, postgres: Postgres, database: str, keystead: Command
) -> None:
    address = f"postgresql://{USER}@127.0.0.1:{postgres.port}/{database}"
    async with serving(ground.data):
        refusal = keystead("registry", "move", "--to", address)
        assert refusal.returncode == 2
        assert "running" in refusal.stderr
    assert postgres.query("SELECT to_regclass('tenants') IS NULL", database=database) == [["t"]]


def test_a_password_in_the_address_is_refused(postgres: Postgres, database: str, keystead: Command) -> None:
    refusal = keystead("registry", "move", "--to", postgres.url(database))
    assert refusal.returncode == 2
    assert "PGPASSWORD" in refusal.stderr


async def answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("http://localhost:8000/health")).status_code == 200
    except httpx.TransportError:
        return False


def moved(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    assert "Moved and compared" in done.stdout


def rows(data: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that is the installation's, in the order of the keys."""
    names = (
        "tenants", "hosts", "custom_domains", "operations", "sync_states", "idempotency_keys", "spare_keys", "backups",
    )  # fmt: skip
    connection = sqlite3.connect(data / "registry.db")
    try:
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in names}
    finally:
        connection.close()


async def refused(data: Path, **settings: Any) -> None:
    server = Server(data, **settings)
    try:
        await server.ended()
        assert "was moved" in server.said()
    finally:
        server.stop()


async def signs_in(ground: Ground, server: Server) -> None:
    tenant = ground.demo.tenants[0]
    async with server.client() as http:
        rp = RelyingParty(http, tenant.issuer, tenant.clients["web"], tenant.api_audience, tenant.users[0])
        assert (await rp.redeem(await rp.code())).status == 200


async def is_whole(ground: Ground, server: Server) -> None:
    async with server.client() as http:
        operator = await ground.operator(http)
        listed = await operator.call("GET", f"{ground.plane}/tenants", per_page=100)
        assert {tenant["id"] for tenant in listed.json()} >= {tenant.id for tenant in ground.demo.tenants}
