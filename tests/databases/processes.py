"""Other processes on the same files."""

import asyncio
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Other:
    """A running Python process that is spoken to in lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self.pid = process.pid
        self._stdin, self._stdout = process.stdin, process.stdout
        self.wait = process.wait

    async def says(self) -> str:
        return (await self._stdout.readline()).decode().strip()

    def tell(self, line: str = "") -> None:
        self._stdin.write(f"{line}\n".encode())


async def start(script: str, *arguments: str) -> Other:
    return Other(
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, *arguments,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
    )  # fmt: skip


async def run(script: str, *arguments: str) -> list[str]:
    """What it says until it ends well."""
    process = await start(script, *arguments)
    lines = []
    while line := await process.says():
        lines.append(line)
    assert await process.wait() == 0
    return lines
