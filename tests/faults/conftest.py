"""What the tests of faults share: the operator's hands on a server that may die under them."""

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import structlog

from core.logs import configure_logs
from entrypoints.demo_content import Demo
from tests.operators import Caller, machine_token


@dataclass(frozen=True)
class Ground:
    """A data folder with the demo in it. Nobody serves it until a test says so."""

    data: Path
    demo: Demo

    @property
    def plane(self) -> str:
        return f"{self.demo.control_plane.issuer}api/v2"

    async def operator(self, http: httpx.AsyncClient) -> Caller:
        plane = self.demo.control_plane
        token = await machine_token(http, plane.issuer, plane.clients["m2m"], plane.management_audience)
        return Caller(http, token)

    async def made(self, operator: Caller, tenant_id: str, **headers: str) -> httpx.Response:
        return await operator.call("POST", f"{self.plane}/tenants", {"id": tenant_id}, headers=headers)


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.BytesIO]:
    """Lines as a server writes them."""
    stream, settings = io.BytesIO(), structlog.get_config()
    configure_logs("info", stream)
    yield stream
    structlog.configure(**settings)


@pytest.fixture
def ground(golden: tuple[Path, Demo], tmp_path: Path) -> Ground:
    """Without what processes leave behind for each other: the golden one's process is this one."""
    data = tmp_path / "data"
    shutil.copytree(golden[0], data, ignore=shutil.ignore_patterns("generations", "workers"))
    return Ground(data, golden[1])
