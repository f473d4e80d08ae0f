"""F27: the release before and this one on the same files. Skipped where the release before is not in the history."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import migrations
from entrypoints.demo_content import Demo
from tests.documents.repository import ROOT
from tests.faults.servers import serving
from tests.migrations.behind import file_of, installation_of_an_earlier_release
from tests.migrations.fleets import People
from tests.migrations.older import version_in
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

HEAD = migrations.head("tenant")
NEWEST = next((Path(migrations.__file__).parent / "tenant/versions").glob(f"{HEAD}_*.py"))


def git(*arguments: str) -> str:
    ended = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else ""


@pytest.fixture(scope="module")
def release_before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The last that the changelog told of when the newest revision was the one before: what lies between two such
    commits need not start."""
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    added = git("log", "--diff-filter=A", "--format=%H", "--", str(NEWEST.relative_to(ROOT))).splitlines()
    commit = git("log", "-1", "--format=%H", f"{added[-1]}^", "--", "CHANGELOG.md") if added else ""
    if not commit:
        pytest.skip("the release before is not in the history")
    folder = tmp_path_factory.mktemp("before") / "keystead"
    git("worktree", "add", "--detach", str(folder), commit)
    if not (folder / "entrypoints").is_dir():
        pytest.skip("the release before cannot be checked out")
    yield folder
    git("worktree", "remove", "--force", str(folder))


@contextmanager
def earlier_server(folder: Path, data: Path) -> Iterator["Earlier"]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environ = {name: value for name, value in os.environ.items() if not name.startswith("KEYSTEAD_")}
    environ |= {
        "PYTHONPATH": os.pathsep.join((str(folder), str(folder / "sdk"))),
        "KEYSTEAD_DATA_DIR": str(data),
        "KEYSTEAD_LISTEN_PORT": str(port),
        "KEYSTEAD_PASSWORD_MEMORY_KIB": "256",
        "KEYSTEAD_PASSWORD_ITERATIONS": "1",
        "KEYSTEAD_SPARE_KEYS": "0",
    }
    program = [sys.executable, "-m", "entrypoints.cli", "serve"]
    with (data.parent / "earlier.log").open("w") as log:
        process = subprocess.Popen(program, cwd=folder, env=environ, stdout=log, stderr=log)
    try:
        yield Earlier(port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


class Earlier:
    """As `tests.faults.servers.Server`, of another checkout."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]") -> None:
        from tests.faults.servers import _To

        self.port = port
        self.process = process
        self._transport = _To

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self._transport(self.port), timeout=30)

    async def is_ready(self) -> bool:
        assert self.process.poll() is None, "the release before does not start"
        try:
            async with httpx.AsyncClient() as http:
                return (await http.get(f"http://127.0.0.1:{self.port}/ready")).status_code == 200
        except httpx.TransportError:
            return False


async def test_both_serve_the_same_files_before_and_after_the_migration(
    golden: tuple[Path, Demo], tmp_path: Path, release_before: Path
) -> None:
    data = installation_of_an_earlier_release(golden, tmp_path / "data")
    with earlier_server(release_before, data) as earlier:
        await until(earlier.is_ready)
        async with (
            People(earlier, golden[1]) as at_the_earlier,
            serving(data) as server,
            People(server, golden[1]) as at_this,
        ):

            async def are_all_migrated() -> bool:
                found = {version_in(file_of(data, tenant.id)) for tenant in golden[1].tenants}
                return found == {HEAD}

            await until(are_all_migrated)
            before = (at_the_earlier.logins, at_this.logins)

            async def did_both_go_on() -> bool:
                return at_the_earlier.logins > before[0] + 3 and at_this.logins > before[1] + 3

            await until(did_both_go_on)
    assert (at_the_earlier.failures, at_this.failures) == ([], [])
