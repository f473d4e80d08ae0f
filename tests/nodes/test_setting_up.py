"""`keystead init` with a registry that nodes share: one makes it, the others find it; tenant one is no node's file."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
from tests.forks import command
from tests.nodes.clusters import backends_file

pytestmark = [pytest.mark.faults, pytest.mark.libsql, pytest.mark.postgresql]

EMAIL = "operator@example.com"


class Machines:
    """Data folders, and the command as an operator types it on each."""

    def __init__(self, folder: Path, postgres: Postgres, sqld: Sqld) -> None:
        self.database = f"registry_{secrets.token_hex(6)}"
        postgres.query(f"CREATE DATABASE {self.database}")
        self.postgres = postgres
        self._folder = folder
        self._environment = {
            "KEYSTEAD_REGISTRY_URL": postgres.url(self.database),
            "KEYSTEAD_BACKENDS_FILE": str(backends_file(folder, sqld, postgres)),
            "KEYSTEAD_OPERATOR_PASSWORD": "correct horse battery staple",
        }
        self._sealing_key = folder / "sealing.key"

    def init(self, name: str, *words: str, backend: str = "libsql") -> CompletedProcess[str]:
        environment = {**self._environment, "KEYSTEAD_NODE": name, "KEYSTEAD_DEFAULT_BACKEND": backend}
        environment["KEYSTEAD_SEALING_KEY_FILE"] = str(self._sealing_key)
        data = str(self._folder / name)
        return command("init", "--data", data, *words, "--operator-email", EMAIL, environ=environment)

    def rows(self, sql: str) -> list[list[str]]:
        return self.postgres.query(sql, database=self.database)


@pytest.fixture
def machines(tmp_path: Path, postgres: Postgres, sqld: Sqld) -> Machines:
    return Machines(tmp_path, postgres, sqld)


def test_of_two_that_set_up_at_once_one_does_and_the_other_says_that_it_is_done(machines: Machines) -> None:
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(machines.init, ("a", "b")))
    assert [answer.returncode for answer in answers] == [0, 0], answers
    said = sorted(answer.stdout for answer in answers)
    assert said[0].startswith("Made: registry, tenant control_plane")
    assert said[1].startswith("Nothing to do")
    assert machines.rows("SELECT count(*) FROM installation") == [["1"]]
    assert machines.rows("SELECT id, backend, node FROM tenants") == [["control_plane", "libsql", ""]]


def test_tenant_one_is_a_file_of_one_machine_only_if_the_operator_says_so(machines: Machines) -> None:
    refused = machines.init("a", backend="sqlite")
    assert "--one-node" in refused.stderr
    assert refused.returncode == 2
    assert machines.rows("SELECT count(*) FROM tenants") == [["0"]]
    agreed = machines.init("a", "--one-node", backend="sqlite")
    assert agreed.stdout.startswith("Made: tenant control_plane")
    assert machines.rows("SELECT id, backend, node FROM tenants") == [["control_plane", "sqlite", "a"]]


def test_a_machine_with_another_sealing_key_is_refused(machines: Machines) -> None:
    first = machines.init("a")
    assert first.stdout.startswith("Made: registry")
    machines._sealing_key = machines._sealing_key.with_name("other.key")
    missing = machines.init("b")
    assert "sealing key is missing" in missing.stderr
    assert missing.returncode == 2
    assert not machines._sealing_key.exists()
