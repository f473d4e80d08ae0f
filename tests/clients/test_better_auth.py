"""`better-auth/client` from npm drives the whole organization API, and finds what its own server would answer.

Every step says what it is answered; where the reference answers otherwise, the step says why, and a step that says
so without need is as wrong as one that does not say it (`organization_api/steps.py`).
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from core.mail import letters_in
from entrypoints.network import Api
from tenant_runtime.organizations.api import BASE, router
from tests.clients.conftest import PACKAGES, Served, node_release
from tests.clients.organization_api.judging import is_alike, is_as_said
from tests.clients.organization_api.script import SCENES, Answers, people_of, played
from tests.clients.organization_api.steps import Scene
from tests.clients.organization_api.walks import Walk

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.npm,
    pytest.mark.skipif(not PACKAGES.exists() or node_release() < 20, reason="needs Node 20 and its packages"),
]
DATABASE = "Username-Password-Authentication"
WALKS = 25
OPTIONS = "/tenants/organizations"
TOKEN = re.compile(r"(?:reset-password/|token=|ticket=)([\w.~-]+)")


@dataclass(frozen=True)
class Played:
    ours: Answers
    reference: Answers


@pytest.fixture(scope="module")
async def both(served: Served) -> Played:
    ours, reference = await asyncio.gather(_at_a_tenant(served), played(None))
    return Played(ours, reference)


async def _at_a_tenant(served: Served, scenes: tuple[Scene, ...] = SCENES) -> Answers:
    async with served.http() as http:
        tenant = served.demo.tenants[1]
        manager = await served.manager(http, tenant)
        place = _Tenant(tenant.issuer.rstrip("/"), manager, served.mail, await manager.get(OPTIONS))
        try:
            return await played(place, scenes, NODE_EXTRA_CA_CERTS=str(served.authority.file))
        finally:
            await manager.patch(OPTIONS, place.options)


@dataclass(frozen=True)
class _Tenant:
    origin: str
    manager: Api
    mail: Path
    options: dict[str, Any]

    async def ready(self, scene: Scene) -> Mapping[str, Any]:
        await self.manager.patch(OPTIONS, {**self.options, **scene.options})
        people = people_of(scene)
        for who in people:
            known = {name: who[name] for name in ("name", "email", "password")}
            about = {"connection": DATABASE, "email_verified": who["verified"], "verify_email": False}
            await self.manager.post("/users", {**known, **about})
        return {"origin": self.origin, "people": people}

    async def token_for(self, email: str) -> str:
        for _ in range(200):
            bodies = [
                letter.get_body(("plain",)) for letter in letters_in(self.mail) if letter["to"] == email
            ]
            texts = [str(body.get_content()) for body in bodies if body is not None]
            if found := [token for text in texts for token in TOKEN.findall(text)]:
                return str(found[-1])
            await asyncio.sleep(0.05)
        raise AssertionError(f"no letter to {email}")


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_every_step_is_answered_as_it_says(both: Played, scene: Scene) -> None:
    taken = zip(scene.steps, both.ours[scene.name], strict=True)
    wrong = [f"{step}: {answer}" for step, answer in taken if not is_as_said(step, answer)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_the_reference_answers_the_same_but_where_a_step_says_why_not(
    both: Played, scene: Scene
) -> None:
    wrong = []
    taken = zip(scene.steps, both.ours[scene.name], both.reference[scene.name], strict=True)
    for step, ours, reference in taken:
        if is_alike(ours, reference) == bool(step.differs):
            wrong.append(f"{step} ({step.differs or 'not said to differ'}):\n  {ours}\n  {reference}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.long
async def test_walks_that_nobody_thought_of_go_as_at_the_reference(served: Served) -> None:
    """Others each day, the same all day long."""
    day = datetime.now(UTC).toordinal() * WALKS
    scenes = tuple(Walk(day + number).scene() for number in range(WALKS))
    ours, reference = await _at_a_tenant(served, scenes), await played(None, scenes)
    wrong = []
    for scene in scenes:
        taken = zip(scene.steps, ours[scene.name], reference[scene.name], strict=True)
        different = (
            f"{scene.name} {step}:\n  {one}\n  {other}"
            for step, one, other in taken
            if not is_alike(one, other)
        )
        wrong += [first for first in [next(different, None)] if first is not None]
    assert not wrong, "\n".join(wrong)


def test_every_path_of_the_api_is_driven() -> None:
    driven = {each.path for scene in SCENES for step in scene.steps for each in step.together or (step,)}
    served = {
        route.path.removeprefix(BASE).replace("{token:str}", "no-such")
        for route in router().routes
        if isinstance(route, HTTPRoute)
    }
    assert not served - driven
