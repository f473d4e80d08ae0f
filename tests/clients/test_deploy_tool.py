"""Auth0's deploy tool (`auth0-deploy-cli` from npm) carries a tenant into an empty one.

What a tenant's files do not hold: ids, secrets, and what belongs to the client that the tool itself signs in with.
Beyond that, and the proof that each tenant asks for a domain, nothing differs: the files of the second tenant are those
of the first, byte for byte.
"""

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from entrypoints.demo_content import DemoClient
from tests.clients.conftest import PACKAGES, Served, node
from tests.clients.deploy_tool import deploy_tool, domain_of, export, files_of, new_tenant
from tests.clients.rich_tenant import API, CLIENTS, fill
from tests.serving import command

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.npm,
    pytest.mark.skipif(not PACKAGES.exists() or node() is None, reason="needs Node and its packages"),
]


async def test_a_tenant_in_one_file_becomes_another_tenant(served: Served, tmp_path: Path) -> None:
    first = served.demo.tenants[1]
    source = (domain_of(first.issuer), first.clients["m2m"])
    async with served.http() as http:
        await fill(await served.manager(http, first))
        empty = await new_tenant(served, http, "empty")
    one = await export(served, *source, tmp_path / "one")
    whole = yaml.safe_load((one / "tenant.yaml").read_text())
    assert {client["name"] for client in CLIENTS} <= {client["name"] for client in whole["clients"]}
    assert API in {server["identifier"] for server in whole["resourceServers"]}
    assert "client_secret:" not in (one / "tenant.yaml").read_text()
    await deploy_tool(served, *empty, "import", "--input_file", str(one / "tenant.yaml"))
    two = await export(served, *empty, tmp_path / "two")
    assert files_of(two) == files_of(one)
    for form, place in (("one", source), ("two", empty)):
        await export(served, *place, tmp_path / f"{form}-folder", "directory")
    assert files_of(tmp_path / "two-folder") == files_of(tmp_path / "one-folder")
    for file in (one / "tenant.yaml", tmp_path / "one-folder"):
        assert await from_afar("plan", file, *empty) == 0


async def from_afar(action: str, path: Path, domain: str, machine: DemoClient) -> int:
    """`keystead config` reads what the tool wrote, over the network as the tool does."""
    proof = ["--client-id", machine.client_id, "--client-secret", machine.client_secret or ""]
    ended = await asyncio.to_thread(
        command, "config", action, str(path), "--domain", domain, *proof, timeout=300
    )
    print(ended.stdout, ended.stderr)
    return ended.returncode


@pytest.mark.long
async def test_the_tool_reads_what_keystead_has_written_into_a_folder(served: Served, tmp_path: Path) -> None:
    """With all that the tool knows of prompts, as it comes from its registry."""
    second = served.demo.tenants[2]
    source = (domain_of(second.issuer), second.clients["m2m"])
    async with served.http() as http:
        await fill(await served.manager(http, second))
        empty = await new_tenant(served, http, "folder")
    assert await from_afar("export", tmp_path / "one", *source) == 0
    keywords = json.dumps({"TENANT_ISSUER": f"https://{empty[0]}/"})
    await deploy_tool(
        served, *empty, "import", "--input_file", str(tmp_path / "one"),
        KEYSTEAD_WHOLE_SCHEMA="yes", AUTH0_KEYWORD_REPLACE_MAPPINGS=keywords,
    )  # fmt: skip
    assert await from_afar("export", tmp_path / "two", *empty) == 0
    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")
