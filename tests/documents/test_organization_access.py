"""The page about access says what is so, and its example is a hook that works."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import msgspec
import pytest

from entrypoints.installed import installed_hooks
from tenant_runtime.organizations.access import ADMIN, GUEST, MEMBER, OWNER, of_roles, resources
from tenant_runtime.organizations.hooks import ACTIONS, OVERRIDABLE
from tenant_runtime.organizations.options import OrganizationOptions
from tests.conftest import serving, settings_for
from tests.documents.repository import read, table_rows
from tests.organizations.people import signed_in

PAGE = "docs/organization-access.md"
ROWS = table_rows(PAGE)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", read(PAGE), re.DOTALL)


def test_the_page_lists_what_each_built_in_role_permits() -> None:
    options = OrganizationOptions()
    there = resources(options)
    listed = {row[0].strip("`"): row[1:] for row in ROWS if len(row) == 6}
    assert {name: set(re.findall(r"`(\w+)`", cells[0])) for name, cells in listed.items()} == there
    for place, role in enumerate((OWNER, ADMIN, MEMBER, GUEST), start=1):
        (permitted,) = of_roles([role], options, {})
        said = {name: _said(cells[place], there[name]) for name, cells in listed.items()}
        assert {name: actions for name, actions in said.items() if actions} == permitted, role


def _said(cell: str, every: frozenset[str]) -> frozenset[str]:
    return every if cell in ("all", "both") else frozenset(re.findall(r"`(\w+)`", cell))


def test_the_page_lists_every_option_with_its_default() -> None:
    defaults = msgspec.to_builtins(OrganizationOptions())
    begin = read(PAGE).index("## Options")
    rows = re.findall(
        r"^\| `(\w+)` \| `(.*?)` \|", read(PAGE)[begin : read(PAGE).index("## Hooks")], re.MULTILINE
    )
    assert {name: json.loads(default) for name, default in rows} == json.loads(json.dumps(defaults))


def test_the_page_lists_every_hook_and_what_it_may_change() -> None:
    listed = {row[0].strip("`"): row[1] for row in ROWS if row[0].strip("`") in ACTIONS}
    assert list(listed) == list(ACTIONS)
    assert {name for name, values in listed.items() if values} == OVERRIDABLE


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As pip would install it."""
    site = tmp_path / "site"
    info = site / "keystead_plans-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "keystead_plans.py").write_text(blocks("python")[0])
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: keystead-plans\nVersion: 1.0\n")
    points = tomllib.loads(blocks("toml")[0])["project"]["entry-points"]
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in named.items())
            for group, named in points.items()
        )
    )
    monkeypatch.syspath_prepend(str(site))
    invalidate_caches()
    installed_hooks.cache_clear()
    yield
    installed_hooks.cache_clear()
    sys.modules.pop("keystead_plans", None)


async def test_the_example_refuses_adds_and_is_told(
    installed: None, data_dir: Path, golden: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(settings_for(data_dir), golden[1]) as installation:
        person = await signed_in(installation)
        refused = await person.post("/organization/create", name="x", slug="test-1")
        assert (refused.status, refused.code) == (403, "FOR_TESTS_ONLY")
        made = await person.post("/organization/create", name="x", slug="plans-1", metadata={"a": 1})
        assert made.body["metadata"] == {"a": 1, "plan": "free"}
        assert "made plans-1 in acme" in capsys.readouterr().out
