"""The page about back ends says what the file may say, and its example is a back end that works."""

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import invalidate_caches
from pathlib import Path

import pytest

from controlplane.registry.tenants import find_tenant
from core.errors import InvalidInput
from provisioning.backends import Backend, installed_backends, load_backends
from provisioning.backends.configuration import read_backends
from tests.conftest import settings_for
from tests.documents.repository import read
from tests.provisioning.fixtures import data, made
from tests.provisioning.installations import create, opened, settle

__all__ = ["data", "made"]

PAGE = "docs/backends.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", read(PAGE), re.DOTALL)


def test_the_file_of_the_page_is_read_as_it_stands(tmp_path: Path) -> None:
    text = blocks("toml")[0]
    path = tmp_path / "backends.toml"
    path.write_text(text)
    for name in re.findall(r'_file = "(.*?)"', text):
        (tmp_path / name).write_text("a secret")
    file = read_backends(path)
    assert file.libsql is not None
    assert file.turso is not None
    assert file.postgresql is not None
    assert {*file.libsql.regions} == {*file.turso.groups.regions} == {*file.postgresql.regions} == {"eu"}


def test_every_back_end_that_ships_is_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "backends.toml").write_text(blocks("toml")[0])
    for name in re.findall(r'_file = "(.*?)"', blocks("toml")[0]):
        (tmp_path / name).write_text("a secret")
    shipped = load_backends(settings_for(tmp_path, backends_file=tmp_path / "backends.toml"))
    assert re.findall(r"^\| `(\w+)` \|", read(PAGE), re.MULTILINE) == list(shipped)


def test_the_examples_methods_are_those_of_a_back_end() -> None:
    (example,) = blocks("python")
    defined = set(re.findall(r"    def ([a-z]\w*)\(", example))
    assert defined == {
        name for name in vars(Backend) if not name.startswith("_") and callable(vars(Backend)[name])
    }


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As pip would install it."""
    site = tmp_path / "site"
    info = site / "keystead_disks-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "keystead_disks.py").write_text(blocks("python")[0])
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: keystead-disks\nVersion: 1.0\n")
    groups = tomllib.loads(blocks("toml")[1])["project"]["entry-points"]
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
            for group, points in groups.items()
        )
    )
    monkeypatch.syspath_prepend(str(site))
    invalidate_caches()
    installed_backends.cache_clear()
    yield
    installed_backends.cache_clear()
    sys.modules.pop("keystead_disks", None)


async def test_the_example_keeps_tenants_where_it_says(installed: None, data: Path) -> None:
    (data / "disks.toml").write_text('fast = "disk-1"\nlarge = "disk-2"\n')
    settings = settings_for(data, deletion_grace_days=0.0)
    async with opened(settings) as platform:
        await create(platform, "acme", backend="disks", region="fast")
        await create(platform, "globex", backend="disks", region="large")
        registered = await platform.registry.read(find_tenant, "acme")
        assert registered is not None
        assert (registered.state, registered.backend, registered.region) == ("active", "disks", "fast")
        assert (await platform.lifecycle.drift("acme"))["in_sync"]
        assert list((data / "disk-1").rglob("acme.1.db"))
        assert list((data / "disk-2").rglob("globex.1.db"))
        with pytest.raises(InvalidInput, match="no such disk"):
            await create(platform, "initech", backend="disks", region="moon")
        await platform.lifecycle.delete("acme")
        await settle(platform)
        assert not list((data / "disk-1").rglob("*acme*"))
