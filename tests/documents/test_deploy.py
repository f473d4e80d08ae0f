import os
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from core.settings import OTHER_VARIABLES, Settings
from tenant_runtime.management.jobs.uploads import MAX_UPLOAD
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


@pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed")
def test_the_proxys_configuration_is_one(tmp_path: Path) -> None:
    """But for the module of somebody's DNS provider, which must be built in."""
    file = tmp_path / "Caddyfile"
    file.write_text(read("deploy/Caddyfile").replace("dns example {env.DNS_TOKEN}", "issuer internal"))
    checked = subprocess.run(
        ["caddy", "validate", "--adapter", "caddyfile", "--config", str(file)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("page", ["deploy/Caddyfile", "docs/custom-domains.md"])
def test_a_proxy_lets_a_whole_file_of_users_through(page: str) -> None:
    limit = r"@users path /api/v2/jobs/users-imports\n\trequest_body @users \{\n\t\tmax_size (\d+)MiB\n"
    [mebibytes] = re.findall(limit, read(page))
    assert int(mebibytes) * 1024 * 1024 > MAX_UPLOAD


def test_a_proxy_leaves_out_a_node_that_leaves() -> None:
    assert "\n\t\thealth_uri /ready\n" in read("deploy/Caddyfile")
