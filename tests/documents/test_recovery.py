"""`docs/recovery.md`: an operator who copies its commands gets back what was lost."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.repository import ROOT, read
from tests.serving import QUICK, free_port

PAGE = "docs/recovery.md"
# What stands for the reader's own way to stop and start; the registry's backup is taken by the schedule.
OWN_WAY = """
keystead() { "$PY" -m entrypoints.cli "$@"; }
wait_for() { for _ in $(seq 600); do if "$@"; then return; fi; sleep 0.1; done; return 1; }
is_ready() { curl -sf -o /dev/null "$KEYSTEAD_PUBLIC_URL/ready"; }
is_kept() { ls "$KEYSTEAD_BACKUP_FOLDER"/registry/*.backup >/dev/null 2>&1; }
start() { "$PY" -m entrypoints.cli serve >>server.log 2>&1 & server=$!; wait_for is_ready; }
stop() { kill "$server"; wait "$server" || true; }
trap 'kill "$server"' EXIT
KEYSTEAD_BACKUP_EVERY_HOURS=0.0005 \\
  "$PY" -m entrypoints.cli demo --json --data "$KEYSTEAD_DATA_DIR" --port "$PORT" >demo.log 2>&1 & server=$!
wait_for grep -q READY demo.log
rm -f "$KEYSTEAD_BACKUP_FOLDER"/registry/*.backup
wait_for is_kept
"""


def drills() -> dict[str, str]:
    """The commands of each section that a test can run, in the order of the page."""
    found: dict[str, str] = {}
    heading = ""
    for title, block in re.findall(r"^## (.*?)$|```bash\n(.*?)```", read(PAGE), re.MULTILINE | re.DOTALL):
        heading = title or heading
        if block:
            found[heading] = found.get(heading, "") + block
    return found


def script(port: int) -> str:
    sections = drills()
    functions = re.sub(r"^(?:stop|start)\(\).*\n", "", sections.pop(""), flags=re.MULTILINE)
    lines = ["set -euo pipefail", OWN_WAY, functions.replace(":8000/", f":{port}/")]
    for heading, commands in sections.items():
        lines += [
            f"printf '\\n=== %s\\n' {heading!r}" if "'" not in heading else f'printf "\\n=== {heading}\\n"'
        ]
        lines += [commands]
    return "\n".join(lines)


@pytest.mark.long  # eighteen processes, one after the other
@pytest.mark.faults
@pytest.mark.skipif(shutil.which("curl") is None, reason="the page is written with curl")
def test_what_is_lost_comes_back_by_copying_the_page(tmp_path: Path) -> None:
    port = free_port()
    environ = {
        "KEYSTEAD_DATA_DIR": str(tmp_path / "data"),
        "KEYSTEAD_BACKUP_FOLDER": str(tmp_path / "backups"),
        "KEYSTEAD_PUBLIC_URL": f"http://localhost:{port}",
        "KEYSTEAD_LISTEN_PORT": str(port),
    }
    ended = subprocess.run(
        ["bash", "-c", script(port)],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=tmp_path,
        env={
            **os.environ,
            **QUICK,
            **environ,
            "PY": sys.executable,
            "PORT": str(port),
            "PYTHONPATH": str(ROOT),
        },
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:] + ended.stdout[-2000:]
    parts = dict(part.split("\n", 1) for part in ended.stdout.split("\n=== ")[1:])
    assert list(parts) == [heading for heading in drills() if heading]
    answers = {heading: re.findall(r"^[2-5]\d\d$", text, re.MULTILINE) for heading, text in parts.items()}
    assert answers == {
        "The registry is lost": ["200"],
        "The sealing key is lost": ["200"],
        "A tenant's file is lost": ["503", "200", "200"],
        "A tenant's file is damaged": ["503", "200"],
        "It was the wrong backup": [],
        "Nobody can sign in as an operator": [],
    }
    assert "refused, as it must be" in parts["The sealing key is lost"]
    assert parts["It was the wrong backup"].count("flip") == 2
    assert "took Platform Admin" in parts["Nobody can sign in as an operator"]
