"""The `keystead` command, as a person or a program runs it."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from entrypoints.demo import demo_settings, described_for_people
from entrypoints.demo_app import beside
from entrypoints.demo_content import Demo
from tests.forks import command
from tests.serving import command as typed
from tests.serving import demo_server

pytestmark = pytest.mark.slow

PASSWORD = "a long and unrelated sentence"


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture(scope="module")
def served(demo_folder: Path) -> Iterator[Demo]:
    with demo_server(demo_folder) as demo:
        yield demo


def test_the_demo_says_everything_a_program_needs(served: Demo) -> None:
    assert [tenant.id for tenant in served.tenants] == ["acme", "globex", "initech"]
    assert served.control_plane.clients["m2m"].client_secret
    assert served.control_plane.clients["console"].client_secret is None
    for tenant in served.tenants:
        first = tenant.users[0].email
        belongs = [first in organization.members for organization in tenant.organizations]
        assert belongs == [True, True, False]
        assert {name: client.client_secret is None for name, client in tenant.clients.items()} == {
            "web": False,
            "web2": False,
            "spa": True,
            "m2m": False,
        }
    passwords = [user.password for tenant in served.tenants for user in tenant.users]
    assert len(set(passwords)) == len(passwords)


def test_the_main_line_can_be_walked(served: Demo, demo_folder: Path) -> None:
    url = served.control_plane.issuer.rstrip("/")
    ended = command("walk", "--url", url, "--data", str(demo_folder))
    assert ended.returncode == 0, ended.stderr
    assert "switched to" in ended.stdout
    assert "by a token refresh" in ended.stdout
    assert "a token bound to a key (DPoP), and was refused without that key: 401" in ended.stdout
    assert "introspection says that the token from before is good" in ended.stdout
    assert ended.stdout.rstrip().endswith("every step ended as promised")


def test_a_walk_to_nobody_says_so(demo_folder: Path, served: Demo) -> None:
    ended = command("walk", "--url", "http://localhost:1", "--data", str(demo_folder))
    assert ended.returncode == 1
    assert "the credentials at hand are for" in ended.stderr


def test_a_second_start_serves_the_same_demo(tmp_path: Path) -> None:
    with demo_server(tmp_path / "data") as first:
        pass
    again = msgspec.json.decode((tmp_path / "data" / "demo.json").read_bytes(), type=Demo)
    assert again == first
    assert (tmp_path / "data" / "demo.json").stat().st_mode & 0o777 == 0o600


def test_a_demo_is_not_served_at_another_address_than_its_own(served: Demo, demo_folder: Path) -> None:
    ended = command("demo", "--data", str(demo_folder), "--port", "1")
    assert ended.returncode == 2
    assert f"holds the demo of {served.control_plane.issuer}" in ended.stderr


async def test_a_demo_beside_another_says_that_it_has_no_application(served: Demo, tmp_path: Path) -> None:
    settings = demo_settings({}, tmp_path, "127.0.0.1", 8000)
    async with beside(served, None), beside(served, settings.mail_folder) as has_app:
        told = described_for_people(served, settings, has_app=has_app)
    assert "Stop that, and start again" in told
    assert "Open the demo application" not in told
    assert "mailbox" not in told


def test_the_demo_listens_on_loopback_only(tmp_path: Path) -> None:
    ended = command("demo", "--data", str(tmp_path / "data"), "--host", "0.0.0.0")
    assert ended.returncode == 2
    assert "loopback" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_the_demo_refuses_a_folder_that_init_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = typed(
        "init", "--data", str(data), "--operator-email", "a@example.com", "--password-stdin", stdin=PASSWORD
    )
    assert made.returncode == 0, made.stderr
    ended = command("demo", "--data", str(data))
    assert ended.returncode == 2
    assert "empty folder" in ended.stderr


def test_init_again_changes_nothing_and_says_so(tmp_path: Path) -> None:
    data = tmp_path / "data"
    arguments = ("init", "--data", str(data), "--operator-email", "a@example.com")
    first = typed(*arguments)
    assert "with password" in first.stdout
    files = sorted(data.rglob("*.db"))
    before = [_rows(path) for path in files]
    second = command(*arguments)
    assert second.stdout.strip() == "Nothing to do: the installation is complete."
    assert [_rows(path) for path in files] == before


def test_init_without_an_operator_prints_a_link(tmp_path: Path) -> None:
    ended = command("init", "--data", str(tmp_path / "data"))
    assert "http://localhost:8000/u/setup?state=" in ended.stdout


def test_init_shows_the_machine_client_to_whoever_asks_for_it_and_to_nobody_else(tmp_path: Path) -> None:
    arguments = ("init", "--data", str(tmp_path / "data"), "--operator-email", "a@example.com")
    assert "machine client is" not in command(*arguments).stdout
    shown = command(*arguments, "--show-client").stdout
    assert re.search(r"machine client is \w{32} with secret [\w-]{43}\.", shown)


def test_a_misspelt_setting_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    ended = command("init", "--data", str(tmp_path / "data"), environ={"KEYSTEAD_BASE_DOMIAN": "x"})
    assert ended.returncode == 2
    assert "KEYSTEAD_BASE_DOMAIN" in ended.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("change", ["absent", "another"])
def test_data_without_its_sealing_key_is_not_served(tmp_path: Path, change: str) -> None:
    data = tmp_path / "data"
    command("init", "--data", str(data), "--operator-email", "a@example.com")
    key = data / "sealing.key"
    assert key.stat().st_mode & 0o777 == 0o600
    kept = key.read_bytes()
    key.unlink()
    if change == "another":
        command("init", "--data", str(tmp_path / "other"), "--operator-email", "a@example.com")
        key.write_bytes((tmp_path / "other" / "sealing.key").read_bytes())
    ended = command("init", "--data", str(data))
    assert ended.returncode == 2
    assert "sealing key" in ended.stderr
    key.write_bytes(kept)
    assert command("init", "--data", str(data), "--operator-email", "a@example.com").returncode == 0


def _rows(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        rows = [line for line in connection.iterdump() if "INSERT INTO" in line]
    connection.close()
    return rows
