"""A real PostgreSQL cluster for the tests, made in a temporary folder; the system's own is not touched.

`initdb` refuses root, so root runs it as the package's user `postgres`, in a folder that this user may write.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.engines import process
from tests.serving import free_port

INSTALLED = Path("/usr/lib/postgresql")
USER = "keystead"
START_ATTEMPTS = 5
# Only a failing machine would show the difference to `on`; killed processes lose nothing of what the kernel was given.
FAST = ("-c", "fsync=off", "-c", "full_page_writes=off")


def binaries() -> Path | None:
    """The folder of the newest version installed that can make clusters."""
    found = [folder for folder in INSTALLED.glob("*/bin") if (folder / "initdb").exists()]
    found.sort(key=lambda folder: float(folder.parent.name))
    if found:
        return found[-1]
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


@dataclass(slots=True)
class Postgres:
    """Loopback TCP with passwords by SCRAM; `user` is its superuser. Ports stay the same across restarts."""

    password: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    settings: tuple[str, ...] = FAST
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="keystead-postgres-")))
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", *, scheme: str = "postgresql") -> str:
        return f"{scheme}://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> "Postgres":
        if not self._data.exists():
            self._make_cluster()
        if self.port:
            self._start()
            return self
        for attempt in range(START_ATTEMPTS):
            self.port = free_port()
            try:
                self._start()
                return self
            except process.NotStarted as error:
                if "Address already in use" not in str(error) or attempt == START_ATTEMPTS - 1:
                    raise
        raise AssertionError("a start either returns or raises")

    def stop(self) -> None:
        """At once, but in order: open transactions are rolled back, nobody is waited for."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        """Nothing is kept, so nothing is written back either."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def run(self, program: str, *arguments: str, database: str = "postgres") -> str:
        """A client program of the package (`psql`, `pg_dump`) as the superuser."""
        environ = {
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGPASSWORD": self.password,
            "PGDATABASE": database,
        }
        done = subprocess.run(
            [str(_folder() / program), *arguments],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def query(self, sql: str, *, database: str = "postgres") -> list[list[str]]:
        lines = self.run("psql", "--no-psqlrc", "-XAtc", sql, database=database).splitlines()
        return [line.split("|") for line in lines]

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _make_cluster(self) -> None:
        passwords = self.folder / "password"
        passwords.write_text(self.password)
        if _is_root():
            shutil.chown(self.folder, "postgres", "postgres")
            shutil.chown(passwords, "postgres", "postgres")
        options = ["--auth=scram-sha-256", f"--pwfile={passwords}", f"--username={USER}", "--no-sync"]
        options += ["--encoding=UTF8", "--locale=C", "--pgdata", str(self._data)]
        made = subprocess.run(
            self._command("initdb", options), capture_output=True, text=True, timeout=120, check=False
        )
        assert made.returncode == 0, made.stderr
        passwords.unlink()

    def _start(self) -> None:
        options = ["-D", str(self._data), "-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}"]
        options += ["-c", "unix_socket_directories=", "-c", "max_connections=200", *self.settings]
        command = self._command("postgres", options)
        self.process = process.start(command, self.folder / "postgres.log", self._is_ready)

    def _command(self, program: str, options: Sequence[str]) -> list[str]:
        user = "postgres" if _is_root() else None
        return process.dying_with_us([str(_folder() / program), *options], user)

    def _is_ready(self) -> bool:
        ask = [str(_folder() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ask, timeout=10, check=False).returncode == 0

    def _end(self, number: int) -> None:
        if self.process is not None:
            process.end(self.process, number)
            self.process = None


def _folder() -> Path:
    folder = binaries()
    assert folder is not None, "PostgreSQL's server programs are missing: make test-packages"
    return folder


def _is_root() -> bool:
    return os.geteuid() == 0
