"""Runs a flow of `openid_client_flows.mjs` and is the person in front of it."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.clients.conftest import Served, node, node_release

HERE = Path(__file__).parent
SECONDS = 60
WITH_WEB_CRYPTO = 20
"""The release before has the Web Crypto API only where it is asked for."""

Person = Callable[[str], Awaitable[str]]


async def run(served: Served, flow: str, person: Person, **given: Any) -> dict[str, Any]:
    program = node()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program,
        "--no-warnings",
        *(["--experimental-global-webcrypto"] if node_release() < WITH_WEB_CRYPTO else []),
        f"--import={HERE / 'localhost.mjs'}",
        str(HERE / "openid_client_flows.mjs"),
        flow,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(served.authority.file)},
    )
    try:
        async with asyncio.timeout(SECONDS):
            return await _talk(process, person, given)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _talk(process: asyncio.subprocess.Process, person: Person, given: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(msgspec.json.encode(given) + b"\n")
    while line := await process.stdout.readline():
        said = msgspec.json.decode(line)
        if "result" in said:
            result: dict[str, Any] = said["result"]
            return result
        process.stdin.write(msgspec.json.encode({"landed": await person(said["open"])}) + b"\n")
    raise AssertionError((await process.stderr.read()).decode())


def signs_in(served: Served, redirect_uri: str, user: int = 0) -> Person:
    """Somebody who signs in, and is sent back to the application."""

    async def person(address: str) -> str:
        landed = await served.sign_in(address, stops=(redirect_uri,), user=user)
        return f"{redirect_uri}?{httpx.QueryParams(landed)}"

    return person
