import re
from dataclasses import fields

import pytest

from core.settings import OTHER_VARIABLES, Settings
from tests.documents.repository import ROOT, read

PAGES = ["README.md", "SECURITY.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "deploy").iterdir())
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
VARIABLES = {f"KEYSTEAD_{field.name.upper()}" for field in fields(Settings)} | OTHER_VARIABLES


@pytest.mark.parametrize("page", PAGES)
def test_every_variable_that_a_page_or_a_deployment_names_is_a_setting(page: str) -> None:
    assert set(re.findall(r"KEYSTEAD_[A-Z]\w*", read(page))) <= VARIABLES


def test_the_container_copies_every_package_and_the_lock_but_no_data() -> None:
    container = read("deploy/Containerfile")
    copied = set(re.findall(r"^COPY (?!--)(.+) \S+$", container, re.MULTILINE))
    names = {name for group in copied for name in group.split()}
    packages = {"core", "tenant_runtime", "controlplane", "provisioning", "sync", "migrations", "entrypoints"}
    assert names == packages | {
        "sdk", "hrana", "pyproject.toml", "LICENSE", "README.md", "requirements.lock", "deploy/runtime.lock",
    }  # fmt: skip


def test_the_service_writes_to_its_own_folder_only() -> None:
    unit = read("deploy/keystead.service")
    for line in ("ProtectSystem=strict", "StateDirectory=keystead", "NoNewPrivileges=yes", "User=keystead"):
        assert f"\n{line}\n" in unit
