"""A whole installation per test: the demo, made once through its own API, copied for each test that may change it.

`installation` is fresh for a test, `shared` serves a module of tests that only look or clean up after themselves.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from core.logs import configure_logs
from core.settings import Settings
from entrypoints import demo as demos
from entrypoints.asgi import create_app
from entrypoints.commands import make_control_plane
from entrypoints.demo_content import Demo
from tests.authority import new_authority
from tests.engines.carried import ENGINE, carried_installation
from tests.engines.fixtures import own_postgres, own_sqld, postgres, sqld
from tests.engines.registries import registry_of
from tests.installation import Installation, MovableClock

__all__ = ["own_postgres", "own_sqld", "postgres", "sqld"]  # engines, by their one process each


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _logs() -> None:
    """As in production: without it the library draws every traceback with all its locals, which takes seconds.
    A logger must not keep what it is first given, or a test that reads lines would depend on those before it."""
    configure_logs("warning")
    structlog.configure(cache_logger_on_first_use=False)


@pytest.fixture(scope="session", autouse=True)
def _trust(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tests trust nobody out there, and need not read who is: 30 ms for every client that is made."""
    authority = new_authority(tmp_path_factory.mktemp("trust"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority.file))
        yield


TESTS = Path(__file__).parent
SLOW = frozenset(TESTS / folder for folder in (
    "backends", "backups", "browser", "clients", "faults", "moving", "nodes"
))  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is slow begins first: a long test that begins last is waited for by all the other processes."""
    for item in items:
        if not SLOW.isdisjoint(item.path.parents):
            item.add_marker("slow")
    modules = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in modules)


RATES = {"registration": 1000.0, "organizations": 20_000.0, "accounts": 20_000.0, "account_mail": 20_000.0}


def settings_for(data_dir: Path, **changes: object) -> Settings:
    """Cheap passwords and no spare keys: what these cost is measured elsewhere. A module of tests registers more
    clients in a second than a tenant does, and signs in as more people. And the machine may stand still for seconds:
    where how long somebody waits is what is asked, a test says so."""
    options: dict[str, object] = {
        "password_memory_kib": 256, "password_iterations": 1, "spare_keys": 0, "rates": RATES,
        "patience_seconds": 3.0, "converge_seconds": 60.0,
    }  # fmt: skip
    return Settings(data_dir=data_dir, **{**options, **registry_of(data_dir), **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Demo]:
    """The demo installation that others are copies of. Nobody serves it."""
    data_dir = tmp_path_factory.mktemp("golden") / "data"
    return data_dir, asyncio.run(_make_demo(settings_for(data_dir)))


async def _make_demo(settings: Settings) -> Demo:
    plane = await make_control_plane(settings, one_node=True)
    app = create_app(settings)
    async with app.lifespan():
        return await demos.make(app, settings, plane)


@pytest.fixture
def data_dir(golden: tuple[Path, Demo], tmp_path: Path) -> Iterator[Path]:
    copy = tmp_path / "data"
    shutil.copytree(golden[0], copy)
    yield copy
    shutil.rmtree(copy, ignore_errors=True)


@asynccontextmanager
async def serving(settings: Settings, demo: Demo, engine: str | None = ENGINE) -> AsyncIterator[Installation]:
    clock = MovableClock()
    with carried_installation(settings, engine) as carried:
        app = create_app(carried, clock=clock)
        async with app.lifespan() as running, Installation.over(app, running, demo, clock) as installation:
            yield installation


@pytest.fixture(scope="module")
def engine() -> str | None:
    """Where tenants' databases are: files, unless a module or the environment says otherwise (`engines/carried.py`)."""
    return ENGINE


@pytest.fixture
async def installation(
    data_dir: Path, golden: tuple[Path, Demo], engine: str | None
) -> AsyncIterator[Installation]:
    async with serving(settings_for(data_dir), golden[1], engine) as installation:
        yield installation


@pytest.fixture(scope="module")
async def shared(
    golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory, engine: str | None
) -> AsyncIterator[Installation]:
    copy = tmp_path_factory.mktemp("shared") / "data"
    shutil.copytree(golden[0], copy)
    async with serving(settings_for(copy), golden[1], engine) as installation:
        yield installation
