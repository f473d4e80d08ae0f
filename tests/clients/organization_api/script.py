"""All scenes, and what is done with them: sent to the Node program, and judged when they come back."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tests.clients.organization_api.accounts import ACCOUNTS, EDGES, LETTERS, STORES
from tests.clients.organization_api.corners import CORNERS
from tests.clients.organization_api.domains import DOMAINS
from tests.clients.organization_api.invitations import EXPIRED, INVITATIONS, ONCE, REPLACED
from tests.clients.organization_api.limits import CLOSED, FULL, WITHOUT
from tests.clients.organization_api.members import HANDOVER, MEMBERS, OWNERS, PERMISSIONS
from tests.clients.organization_api.options import FIELDS, PROJECTS, TEAMLESS, TWICE
from tests.clients.organization_api.organizations import ACTIVE, LIFE, STRANGERS
from tests.clients.organization_api.steps import PASSWORD, Scene
from tests.clients.organization_api.teams import ROLES, TEAMS

HERE = Path(__file__).parent
SECONDS = 120
SCENES = (
    LIFE, ACTIVE, STRANGERS, MEMBERS, HANDOVER, OWNERS, PERMISSIONS, INVITATIONS, ONCE, EXPIRED, REPLACED, TEAMS, ROLES,
    CORNERS, FIELDS, PROJECTS, TEAMLESS, TWICE, DOMAINS, FULL, CLOSED, WITHOUT, ACCOUNTS, LETTERS, EDGES, STORES,
)  # fmt: skip

Answer = dict[str, Any]
Answers = dict[str, list[Answer]]


class Place(Protocol):
    async def ready(self, scene: Scene) -> Mapping[str, Any]:
        """Its options are set, its people are there; answers origin and people."""

    async def token_for(self, email: str) -> str:
        """In the newest letter."""


def people_of(scene: Scene) -> list[dict[str, Any]]:
    return [
        {"name": who.name, "email": who.email(scene.name), "password": PASSWORD, "verified": who.is_verified}
        for who in scene.people
    ]


async def played(place: Place | None, scenes: tuple[Scene, ...] = SCENES, **environment: str) -> Answers:
    """By the client against a place, or against the reference where there is none."""
    process = await asyncio.create_subprocess_exec(
        "node", "--no-warnings", f"--import={HERE.parent / 'localhost.mjs'}", str(HERE / "driver.mjs"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment}, limit=1 << 24,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SECONDS):
            return await _talked(process, place, scenes)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _talked(
    process: asyncio.subprocess.Process, place: Place | None, scenes: tuple[Scene, ...]
) -> Answers:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    named, answers = {scene.name: scene for scene in scenes}, Answers()
    process.stdin.write(msgspec.json.encode(_program(place is None, scenes)) + b"\n")
    while line := await process.stdout.readline():
        said = msgspec.json.decode(line)
        if "ended" in said:
            answers[said["ended"]] = said["answers"]
        elif place is not None:
            told = await _told(place, named, said)
            process.stdin.write(msgspec.json.encode(told) + b"\n")
    assert len(answers) == len(scenes), (await process.stderr.read()).decode()[-3000:]
    return answers


async def _told(place: Place, named: Mapping[str, Scene], said: Mapping[str, str]) -> Mapping[str, Any]:
    if "opens" in said:
        return {"token": await place.token_for(said["opens"])}
    return await place.ready(named[said["begins"]])


def _program(is_reference: bool, scenes: tuple[Scene, ...]) -> dict[str, Any]:
    return {
        "reference": is_reference,
        "scenes": [
            {
                "name": scene.name,
                "options": scene.options,
                "hasWindow": scene.has_window,
                "people": people_of(scene),
                "steps": [each.sent() for each in scene.steps],
            }
            for scene in scenes
        ],
    }
