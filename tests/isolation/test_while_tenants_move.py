"""While neighbours move across one another's servers and one is restored, each is answered with its own, and what is
written for one lands at no other."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from entrypoints.network import Api
from tests.backups.keeper import Keeper
from tests.installation import Installation
from tests.isolation.conftest import A, B
from tests.isolation.hunting import Hunt
from tests.isolation.rows import all_rows

pytestmark = [pytest.mark.anyio, pytest.mark.libsql, pytest.mark.postgresql]


@pytest.fixture(scope="module")
def engine() -> str | None:
    """A is a file, B on a libSQL server, tenant one on PostgreSQL."""
    return "mixed"


@dataclass
class Watched:
    """A tenant whose administrator and people look at it all the time."""

    installation: Installation
    tenant_id: str
    manager: Api
    word: str = field(default_factory=lambda: f"canary{secrets.token_hex(8)}")
    foreign: str = ""
    """The word that must not be heard here."""

    written: int = 0
    looked: int = 0

    async def write(self) -> None:
        await self.manager.post("/roles", {"name": f"{self.word} {self.written}"})
        self.written += 1

    async def look(self) -> None:
        for path in ("/roles?per_page=100", "/tenants/settings"):
            self._check(str(await self.manager.get(path)))

    async def sign_in(self) -> None:
        async with self.installation.browser() as http:
            party = self.installation.relying_party(self.tenant_id, http=http)
            page = await party.authorize()
            assert self.foreign not in page.text
            assert self.word in page.text
            tokens = await party.redeem(await party.code())
            assert tokens.status == 200, tokens.body
            answer: httpx.Response = await party.userinfo(tokens.access_token)
            self._check(answer.text + self.word)

    def _check(self, said: str) -> None:
        assert self.word in said
        assert self.foreign not in said
        self.looked += 1


async def watched(installation: Installation, tenant_id: str) -> Watched:
    found = Watched(installation, tenant_id, await installation.manager(tenant_id))
    await found.manager.patch("/tenants/settings", {"friendly_name": found.word})
    await found.write()
    return found


async def again(stopped: asyncio.Event, act: Callable[[], Awaitable[None]]) -> None:
    while not stopped.is_set():
        await act()


@pytest.mark.long
async def test_neighbours_cross_on_their_way(installation: Installation, tmp_path: Path) -> None:
    a, b = await watched(installation, A), await watched(installation, B)
    a.foreign, b.foreign = b.word, a.word
    keeper = Keeper(installation, await installation.operator())
    backup = await keeper.back_up(A)

    async def move(tenant_id: str, backend: str) -> None:
        done = await keeper.ended(await keeper.api.post(f"/tenants/{tenant_id}/move", {"backend": backend}))
        assert done["state"] == "succeeded", done

    stopped = asyncio.Event()
    acts = [act for one in (a, b) for act in (one.write, one.look, one.sign_in)]
    people = [asyncio.create_task(again(stopped, act)) for act in acts]
    for a_goes, b_goes in (("libsql", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "libsql")):
        await asyncio.gather(move(A, a_goes), move(B, b_goes))
    stopped.set()
    await asyncio.gather(*people)
    for one in (a, b):
        assert one.looked > 20
        assert await _roles_of(installation, one) == one.written
        assert await Hunt(installation, "mixed").elsewhere(one.word, one.tenant_id) == []

    stopped.clear()
    before = b.written
    people = [asyncio.create_task(again(stopped, act)) for act in (b.write, b.look, b.sign_in)]
    for backend in ("libsql", "postgresql"):
        done = await keeper.restore(backup, backend=backend)
        assert done["state"] == "succeeded", done
        assert await _roles_of(installation, a) == 1
    stopped.set()
    await asyncio.gather(*people)
    assert await _roles_of(installation, b) == b.written > before
    for one in (a, b):
        assert await Hunt(installation, "mixed").is_at_home(one.word, one.tenant_id)
        assert await Hunt(installation, "mixed").elsewhere(one.word, one.tenant_id) == []


async def _roles_of(installation: Installation, one: Watched) -> int:
    """In the tenant's present database."""
    rows = await all_rows(installation)
    tenant = await installation.running.platform.directory.by_id(one.tenant_id)
    assert tenant is not None
    path = tenant.database.ref.path
    root = installation.app.settings.data_dir
    name = one.tenant_id if path is None else str(path.relative_to(root))
    return sum(one.word in row for row in rows[name]["roles"])
