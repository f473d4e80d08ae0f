import os
import re
import subprocess
import sys
from inspect import signature
from pathlib import Path

from entrypoints.asgi import create_app
from tests.documents.repository import ROOT, read, table_rows

PAGE = "docs/embedding.md"


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
    (program,) = re.findall(r"```python\n(.*?)```", read(PAGE), re.DOTALL)
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
