"""A real server in a process of its own, started as any program would start it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from entrypoints.demo_content import Demo

ROOT = Path(__file__).parents[1]
QUICK = {
    "KEYSTEAD_SPARE_KEYS": "0",
    "KEYSTEAD_LOG_LEVEL": "error",
    "KEYSTEAD_PASSWORD_MEMORY_KIB": "256",
    "KEYSTEAD_PATIENCE_SECONDS": "3",
    "KEYSTEAD_CONVERGE_SECONDS": "60",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(
    *arguments: str, environ: Mapping[str, str] | None = None, stdin: str = "", timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `keystead` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "entrypoints.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        env={**os.environ, **QUICK, **(environ or {})},
        check=False,
        input=stdin,
    )


@contextmanager
def demo_server(data: Path) -> Iterator[Demo]:
    """`keystead demo --json` until the block ends."""
    arguments = ["demo", "--json", "--data", str(data), "--port", str(free_port())]
    with subprocess.Popen(
        [sys.executable, "-m", "entrypoints.cli", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **QUICK},
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("READY "), line
        try:
            yield msgspec.json.decode(line.removeprefix("READY "), type=Demo)
        finally:
            process.terminate()
            process.wait(timeout=20)
        assert process.stdout.read() == "", "one line, and no more"
