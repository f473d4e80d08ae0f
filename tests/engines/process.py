"""A foreign server as a child process: it dies with the tests, whatever ends them."""

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

READY_SECONDS = 60
STOP_SECONDS = 30


class NotStarted(RuntimeError):
    """It ended before it was ready; says what it wrote."""


def dying_with_us(arguments: Sequence[str], user: str | None = None) -> list[str]:
    """The command line with which a server ends when the process that started it does (Linux)."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return list(arguments)
    identity = [f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    return [setpriv, *identity, "--pdeathsig=KILL", "--", *arguments]


def start(command: Sequence[str], log: Path, is_ready: Callable[[], bool]) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    until = time.monotonic() + READY_SECONDS
    while not is_ready():
        if process.poll() is not None:
            raise NotStarted(_tail(log))
        if time.monotonic() > until:
            kill(process)
            raise NotStarted(f"not ready after {READY_SECONDS} seconds: {_tail(log)}")
        time.sleep(0.02)
    return process


def end(process: subprocess.Popen[bytes], signal: int) -> None:
    process.send_signal(signal)
    process.wait(STOP_SECONDS)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(STOP_SECONDS)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
