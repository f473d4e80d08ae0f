"""What a request costs on a database behind a server: how often somebody asks it and waits for the answer.

The number of questions is what a network multiplies. What runs by itself (the log of events, the second after which
memory is looked at again) is held back, and of several measurements the least counts.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import httpx
import pytest

from core.database import database
from core.settings import Settings
from entrypoints.asgi import create_app
from entrypoints.commands import make_control_plane
from entrypoints.demo import make
from entrypoints.demo_content import DemoTenant
from tenant_runtime.audit import log as audit
from tests.backends.conftest import server_of
from tests.conftest import settings_for
from tests.engines.proxy import Proxy
from tests.engines.tcp_proxy import TcpProxy
from tests.installation import Installation, MovableClock

pytestmark = pytest.mark.anyio

T = TypeVar("T")
ROUNDS = 3

# A transaction that reads: its statements one by one, then its end, of which nobody waits.
# One that writes: its questions one by one; on libSQL what follows the last of them travels with COMMIT.
LEAST = {
    "metadata": (0, 0),
    "key set": (0, 0),
    "client credentials": (2, 3),
    "userinfo": (2, 3),
    "introspection": (2, 3),
    "authorize with a session": (2, 5),
    "redeem": (4, 8),  # by which connection the log-in was is written down beside the family
    "refresh": (6, 8),
    "revoke": (3, 7),
    "authorize without a session": (4, 6),  # and the page that this leads to
    "email": (7, 11),  # whether an organization has its domain
    "password": (16, 33),  # counted, the session and what it is in the middle of; and back through /authorize
    "list users": (6, 8),
    "client credentials after a change": (5, 22),  # a statement for each table of the snapshot
}
"""On libSQL (requests) and PostgreSQL (turns)."""


class Counter(Protocol):
    def count(self) -> int: ...

    def close(self) -> None: ...


class Requests(Proxy):
    def count(self) -> int:
        return len(self.seen)


class Turns(TcpProxy):
    def count(self) -> int:
        return self.turns


@dataclass(slots=True)
class Costs:
    counter: Counter
    of: dict[str, int] = field(default_factory=dict)

    async def measure(self, name: str, request: Awaitable[T]) -> T:
        await asyncio.sleep(0.05)  # what the last one left to be ended
        before = self.counter.count()
        answer = await request
        await asyncio.sleep(0.05)
        cost = self.counter.count() - before
        self.of[name] = min(cost, self.of.get(name, cost))
        return answer


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("libsql", marks=pytest.mark.libsql),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ],
)
def counted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, Counter]]:
    folder, counter = tmp_path_factory.mktemp("counted"), _before(request)
    file = folder / "backends.toml"
    file.write_text(_table(request, counter))
    yield settings_for(folder / "data", default_backend=request.param, backends_file=file), counter
    counter.close()


def _before(request: pytest.FixtureRequest) -> Requests | Turns:
    if request.param == "libsql":
        return Requests(request.getfixturevalue("sqld").port)
    return Turns(request.getfixturevalue("postgres").port)


def _table(request: pytest.FixtureRequest, counter: Requests | Turns) -> str:
    if request.param == "libsql":
        server = server_of(request.getfixturevalue("sqld"))
        key = server.admin_key.reveal()
        address = f"http://127.0.0.1:{counter.port}"
        return f'[libsql]\nurl = "{address}"\nadmin_url = "{server.admin_url}"\nadmin_key = "{key}"\n'
    postgres = request.getfixturevalue("postgres")
    return f'[postgresql]\nurl = "{postgres.url().replace(str(postgres.port), str(counter.port))}"\n'


@pytest.fixture(scope="module")
async def installation(counted: tuple[Settings, Counter]) -> AsyncIterator[Installation]:
    settings, _ = counted
    plane = await make_control_plane(settings)
    clock = MovableClock()
    app = create_app(settings, clock=clock)
    async with app.lifespan() as running:
        demo = await make(app, settings, plane)
        async with Installation.over(app, running, demo, clock) as opened:
            yield opened


async def test_no_request_asks_its_database_more_often_than_it_must(
    installation: Installation, counted: tuple[Settings, Counter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "FLUSH_SECONDS", 600)
    monkeypatch.setattr(database, "RECHECK_SECONDS", 600)
    settings, counter = counted
    costs = Costs(counter)
    for number in range(ROUNDS):
        async with installation.browser() as http:
            await _sign_in_and_use(installation, costs, http)
        await _change(installation, costs, number)
    engine = ("libsql", "postgresql").index(settings.default_backend)
    dearer = {name: cost for name, cost in costs.of.items() if cost > LEAST[name][engine]}
    assert not dearer
    assert costs.of.keys() == LEAST.keys()


async def _sign_in_and_use(installation: Installation, costs: Costs, http: httpx.AsyncClient) -> None:
    party, measure = installation.relying_party("acme", http=http), costs.measure
    issuer, client, tenant = party.issuer, party.client, installation.tenant("acme")
    manager = await installation.manager("acme")
    await measure("metadata", http.get(f"{issuer}.well-known/openid-configuration"))
    await measure("key set", http.get(f"{issuer}.well-known/jwks.json"))
    await measure("authorize without a session", party.authorize())
    await measure("email", party.browser.submit({"email": party.user.email}))
    await measure("password", party.browser.submit({"password": party.user.password}))
    first = await measure("redeem", party.redeem(party.landed["code"]))
    second = await measure("refresh", party.refresh(first.refresh_token))
    assert (await measure("userinfo", party.userinfo(second.access_token))).status_code == 200
    proof = {"client_id": client.client_id, "client_secret": client.client_secret or ""}
    asked = http.post(f"{issuer}oauth/introspect", data={"token": second.access_token, **proof})
    assert (await measure("introspection", asked)).json()["active"]
    await measure("authorize with a session", party.silent())
    left = http.post(f"{issuer}oauth/revoke", data={"token": second.refresh_token, **proof})
    assert (await measure("revoke", left)).status_code == 200
    await _machine(http, costs, "client credentials", tenant)
    await measure("list users", manager.get("/users", per_page=50))


async def _machine(http: httpx.AsyncClient, costs: Costs, name: str, tenant: DemoTenant) -> None:
    machine = tenant.clients["m2m"]
    data = {
        "grant_type": "client_credentials",
        "client_id": machine.client_id,
        "client_secret": machine.client_secret or "",
        "audience": tenant.management_audience,
    }
    answer = await costs.measure(name, http.post(f"{tenant.issuer}oauth/token", data=data))
    assert answer.status_code == 200, answer.text


async def _change(installation: Installation, costs: Costs, number: int) -> None:
    manager, tenant = await installation.manager("acme"), installation.tenant("acme")
    path = f"/clients/{tenant.clients['web'].client_id}"
    await manager.patch(path, {"description": f"Changed {number} times"})
    await _machine(installation.http, costs, "client credentials after a change", tenant)
