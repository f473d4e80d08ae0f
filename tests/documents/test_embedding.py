import os
import re
import subprocess
import sys
from inspect import signature
from pathlib import Path
from typing import Any

from entrypoints.asgi import create_app
from tests.documents.repository import ROOT, read, table_rows
from tests.installation import Installation
from tests.organizations.people import signed_in

PAGE = "docs/embedding.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", read(PAGE), re.DOTALL)


def test_the_table_lists_every_argument() -> None:
    assert [row[0].strip("`") for row in table_rows(PAGE)] == list(signature(create_app).parameters)


def test_the_groups_of_entry_points_are_those_that_are_looked_for() -> None:
    groups = {row[1].strip("`") for row in table_rows(PAGE)} - {""}
    places = ("entrypoints/asgi.py", "entrypoints/installed.py", "provisioning/backends/__init__.py")
    found = re.findall(
        r"\"(keystead\.(?:resolvers|settings|backends|organization_hooks))\"", "".join(map(read, places))
    )
    assert set(found) == groups


def test_the_program_runs(tmp_path: Path) -> None:
    program = blocks()[0]
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk'}:{ROOT / 'hrana'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    answers = [line for line in ended.stdout.splitlines() if not line.startswith("{")]
    assert "201 http://acme.localhost:8000/" in ended.stdout
    assert answers[-1] == "200"


async def test_an_embedding_application_opens_an_account(installation: Installation) -> None:
    owner, names = await signed_in(installation), dict[str, Any]()
    exec(compile(blocks()[1], PAGE, "exec"), names)
    organization_id, teams = await names["open_account"](installation.running, "acme", owner.user_id, "adas")
    [(address, link)] = names["LETTERS"]
    assert address == "bob@example.com"
    assert link.startswith(owner.issuer)
    await owner.post("/organization/set-active", organizationId=organization_id)
    listed = {team["id"] for team in (await owner.get("/organization/list-teams")).body}
    assert listed > set(teams)
