"""`keystead migrate`, as a person at a terminal or a script meets it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import migrations
from entrypoints.demo_content import Demo
from tests.forks import command
from tests.migrations.behind import BEFORE, demo_of_an_earlier_release, file_of
from tests.migrations.older import mend, poison

HEAD = migrations.head("tenant")
Said = subprocess.CompletedProcess[str]


@pytest.fixture
def data(golden: tuple[Path, Demo], tmp_path: Path) -> Path:
    return demo_of_an_earlier_release(golden, tmp_path / "data")


@pytest.fixture
def migrate(data: Path) -> Callable[..., Said]:
    return lambda *arguments: command("migrate", "--data", str(data), *arguments)


def test_it_says_what_it_would_do_does_it_and_finds_nothing_left(migrate: Callable[..., Said]) -> None:
    planned = migrate("--dry-run")
    assert planned.returncode == 0
    assert "to do: 3 tenants, in waves of 1, 2" in planned.stdout
    assert f"{BEFORE}           3" in planned.stdout
    done = migrate()
    assert done.returncode == 0, done.stderr
    assert f"{HEAD}           4  (this release)" in done.stdout
    assert "succeeded; 3 done" in done.stdout
    again = migrate("--dry-run")
    assert "to do: 0 tenants, in waves of none" in again.stdout
    assert "There is no migration that could go on." in migrate("--resume").stderr


def test_a_stop_is_told_by_the_exit_status_and_names_who_failed(
    migrate: Callable[..., Said], data: Path
) -> None:
    for tenant_id in ("acme", "globex", "initech"):
        poison(file_of(data, tenant_id))
    stopped = migrate()
    assert stopped.returncode == 3
    assert "stopped (One tenant of wave 1 failed.); 2 pending, 1 failed" in stopped.stdout
    assert stopped.stdout.count("  failed  ") == 1
    assert migrate("--status").returncode == 3
    refused = migrate()
    assert (refused.returncode, "--retry or --resume" in refused.stderr) == (1, True)
    for tenant_id in ("acme", "globex", "initech"):
        mend(file_of(data, tenant_id))
    assert migrate("--retry").returncode == 0


def test_a_tenant_is_held_back_with_a_reason_and_rolled_back(migrate: Callable[..., Said]) -> None:
    assert migrate("--hold", "acme").returncode == 2
    assert migrate("--hold", "nobody", "--reason", "x").stderr == "keystead: The tenant does not exist.\n"
    held = migrate("--hold", "acme", "--reason", "a demonstration")
    assert "  held    acme: a demonstration" in held.stdout
    assert migrate().returncode == 0
    assert f"{BEFORE}           1" in migrate("--status").stdout
    assert "held    acme" not in migrate("--release", "acme").stdout
    back = migrate("--rollback", "globex")
    assert (back.returncode, "  held    globex: rolled back" in back.stdout) == (0, True), back.stderr
    assert "no snapshot" in migrate("--rollback", "acme").stderr
