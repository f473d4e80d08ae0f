"""Fixtures of those who test below the web: an installation made once, copied for each test, and opened."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from core import failpoints
from core.settings import Settings
from provisioning.platform import Platform
from tests.provisioning.installations import (
    MovableClock,
    copy_installation,
    made_once,
    opened,
    settings_for,
)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory)


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    return copy_installation(made, tmp_path / "data")


@pytest.fixture
def settings(data: Path) -> Settings:
    return settings_for(data)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def platform(settings: Settings, clock: MovableClock) -> AsyncGenerator[Platform, None]:
    async with opened(settings, clock=clock) as platform:
        yield platform


@pytest.fixture(autouse=True)
def no_failpoints() -> Generator[None, None, None]:
    yield
    failpoints.configure("")
