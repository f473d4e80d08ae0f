"""`keystead init` with a registry that nodes share: one makes it, the others find it; tenant one is no node's file."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
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
            **{name: value for name, value in os.environ.items() if not name.startswith("KEYSTEAD_")},
            "KEYSTEAD_REGISTRY_URL": postgres.url(self.database),
            "KEYSTEAD_BACKENDS_FILE": str(backends_file(folder, sqld, postgres)),
            "KEYSTEAD_SPARE_KEYS": "0",
            "KEYSTEAD_PASSWORD_MEMORY_KIB": "256",
            "KEYSTEAD_OPERATOR_PASSWORD": "correct horse battery staple",
        }
        self._sealing_key = folder / "sealing.key"

    def begin(self, name: str, *words: str, backend: str = "libsql") -> "subprocess.Popen[str]":
        environment = {**self._environment, "KEYSTEAD_NODE": name, "KEYSTEAD_DEFAULT_BACKEND": backend}
        environment["KEYSTEAD_SEALING_KEY_FILE"] = str(self._sealing_key)
        data = self._folder / name
        command = [sys.executable, "-m", "entrypoints.cli", "init", "--data", str(data), *words]
        return subprocess.Popen(
            [*command, "--operator-email", EMAIL],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self, sql: str) -> list[list[str]]:
        return self.postgres.query(sql, database=self.database)


@pytest.fixture
def machines(tmp_path: Path, postgres: Postgres, sqld: Sqld) -> Machines:
    return Machines(tmp_path, postgres, sqld)


def test_of_two_that_set_up_at_once_one_does_and_the_other_says_that_it_is_done(machines: Machines) -> None:
    both = [machines.begin(name) for name in ("a", "b")]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    said = sorted(answer[0] for answer in answers)
    assert said[0].startswith("Made: registry, tenant control_plane")
    assert said[1].startswith("Nothing to do")
    assert machines.rows("SELECT count(*) FROM installation") == [["1"]]
    assert machines.rows("SELECT id, backend, node FROM tenants") == [["control_plane", "libsql", ""]]


def test_tenant_one_is_a_file_of_one_machine_only_if_the_operator_says_so(machines: Machines) -> None:
    refused = machines.begin("a", backend="sqlite")
    assert "--one-node" in refused.communicate(timeout=120)[1]
    assert refused.returncode == 2
    assert machines.rows("SELECT count(*) FROM tenants") == [["0"]]
    agreed = machines.begin("a", "--one-node", backend="sqlite")
    assert agreed.communicate(timeout=120)[0].startswith("Made: tenant control_plane")
    assert machines.rows("SELECT id, backend, node FROM tenants") == [["control_plane", "sqlite", "a"]]


def test_a_machine_with_another_sealing_key_is_refused(machines: Machines) -> None:
    first = machines.begin("a")
    assert first.communicate(timeout=120)[0].startswith("Made: registry")
    machines._sealing_key = machines._sealing_key.with_name("other.key")
    missing = machines.begin("b")
    assert "sealing key is missing" in missing.communicate(timeout=120)[1]
    assert missing.returncode == 2
    assert not machines._sealing_key.exists()
