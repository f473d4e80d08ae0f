"""F11, F19 through the front door: one tenant's database on a server is dead, silent or slow; nobody else notices."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator

import pytest

from entrypoints.asgi import create_app
from entrypoints.commands import make_control_plane
from entrypoints.demo import make
from tests.conftest import settings_for
from tests.engines.proxy import Fault, Kind, Proxy, Request
from tests.engines.sqld import Sqld
from tests.faults.test_files import caller_of, health, others_are_well, refused
from tests.installation import Installation, MovableClock
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.libsql]

SICK = [
    Fault(Kind.BLACK_HOLE),
    pytest.param(Fault(Kind.CUT_BEFORE), marks=pytest.mark.long),
    Fault(Kind.REFUSED, status=503),
    pytest.param(Fault(Kind.DELAYED, seconds=2), marks=pytest.mark.long),
]


def of_acme(request: Request) -> bool:
    return request.headers["host"].startswith("acme-")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sqld]:
    server = Sqld(tmp_path_factory.mktemp("server")).start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def front(server: Sqld) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
async def installation(
    server: Sqld, front: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """Every tenant, and tenant one, has a namespace of the one server."""
    folder = tmp_path_factory.mktemp("installation")
    file = folder / "backends.toml"
    file.write_text(
        f'[libsql]\nurl = "{front.url}"\nadmin_url = "{server.admin_url}"\nadmin_key = "{server.admin_key}"\n'
    )
    settings = settings_for(
        folder / "data", default_backend="libsql", backends_file=file, write_deadline_seconds=1.0
    )
    plane = await make_control_plane(settings)
    clock = MovableClock()
    app = create_app(settings, clock=clock)
    async with app.lifespan() as running:
        demo = await make(app, settings, plane)
        async with Installation.over(app, running, demo, clock) as opened:
            yield opened


@pytest.mark.parametrize("fault", SICK, ids=lambda fault: str(fault.kind.name))
async def test_a_tenant_whose_database_does_not_answer_is_503_alone(
    installation: Installation, front: Proxy, fault: Fault, logged: io.BytesIO
) -> None:
    before = failures(installation)
    caller, url = await caller_of(installation, "acme")
    assert (await caller.call("GET", url)).status_code == 200
    front.inject(fault, times=None, when=of_acme)
    asked = asyncio.gather(
        *(caller.call("POST", url, {"name": f"{fault.kind.name} {n}"}) for n in range(10)),
        *(caller.call("GET", url) for _ in range(30)),
    )
    await others_are_well(installation, 3.0)
    for answer in await asked:
        refused(answer)
    assert await health(installation) == "degraded"  # K7
    assert failures(installation) > before
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    told = [line for line in lines if line["event"] == "unavailable"]
    assert {line["tenant"] for line in told} == {"acme"}
    front.heal()

    async def well_again() -> bool:
        return bool((await caller.call("POST", url, {"name": f"after {fault.kind.name}"})).status_code == 201)

    await until(well_again)
    roles = (await caller.call("GET", f"{url}?per_page=100")).json()
    names = [role["name"] for role in roles]
    assert len(names) == len(set(names))
    assert not [name for name in names if name.startswith(fault.kind.name)], (
        "what was refused is not done later"
    )


def failures(installation: Installation) -> float:
    """What the metrics say of units of work that were ended by a fault, or never begun."""
    sample = installation.app.metrics.registry.get_sample_value
    refused = (
        sample("keystead_database_refused_total", {"kind": "libsql", "reason": reason}) or 0
        for reason in ("queue", "circuit", "deadline")
    )
    return (sample("keystead_database_failed_total", {"kind": "libsql"}) or 0) + sum(refused)
