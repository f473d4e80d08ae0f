"""Programs under measurement: started, asked what they have used, stopped."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Program:
    """A running process and all that it started."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, arguments: Sequence[str], environ: Mapping[str, str], log: Path) -> "Program":
        with log.open("ab") as output:
            process = subprocess.Popen(
                arguments, env=dict(environ), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        return cls(process, log)

    def cpu_ns(self) -> int:
        """User and system time of the process tree, from the kernel's clock of each process: nanoseconds, where
        /proc/<pid>/stat counts hundredths of a second."""
        return sum(_cpu_clock(pid) for pid in self._tree())

    def cpu_of_threads(self) -> dict[int, int]:
        used = {}
        for path in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                used[int(path.name)] = int((path / "schedstat").read_text().split()[0])
            except OSError:
                continue
        return used

    def memory_mb(self) -> float:
        """Resident memory of the largest process: the one that serves."""
        return max(_resident_kib(pid) for pid in self._tree()) / 1024

    def descriptors(self) -> int:
        """Of the process that has most: files and connections."""
        return max(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self._tree())

    def check_alive(self) -> None:
        if self.process.poll() is not None:
            raise RuntimeError(f"the program ended with {self.process.returncode}:\n{self.last_words()}")

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _tree(self) -> list[int]:
        pids, found = [self.process.pid], []
        while pids:
            pid = pids.pop()
            found.append(pid)
            pids += _children(pid)
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(**more: str) -> dict[str, str]:
    """Ours without settings of a developer's shell."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEYSTEAD_")}
    return {**kept, **more}


def keep_bytecode(folder: Path) -> None:
    """Programs start from compiled files, as installed ones do, whatever this shell or its installer says."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)


def until_idle(program: Program, *, limit: float = 30.0) -> None:
    """Wait until the program does nothing much for 0.3 s: what it had put off is done."""
    deadline, before, quiet = time.monotonic() + limit, program.cpu_ns(), 0
    while quiet < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
        now = program.cpu_ns()
        quiet = quiet + 1 if now - before < 3_000_000 else 0
        before = now


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for path in Path(f"/proc/{pid}/task").iterdir():
            children += [int(word) for word in (path / "children").read_text().split()]
    except OSError:
        return children
    return children


def _cpu_clock(pid: int) -> int:
    """clock_getcpuclockid(3): the clock's number is made from the process's."""
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return 0


def _resident_kib(pid: int) -> int:
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0
