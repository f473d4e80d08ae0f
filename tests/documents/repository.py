"""What the document tests read: the tracked files of this repository."""

import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "core",
    "tenant_runtime",
    "controlplane",
    "provisioning",
    "sync",
    "migrations",
    "entrypoints",
    "sdk/keystead_sdk",
    "hrana/keystead_hrana",
)


def tracked_files() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            yield ROOT / name


def tracked_texts() -> Iterator[tuple[str, str]]:
    for path in tracked_files():
        try:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def project() -> dict[str, Any]:
    return tomllib.loads(read("pyproject.toml"))["project"]


def table_rows(page: str) -> list[list[str]]:
    """The cells of every table of a page, without head and rule."""
    rows: list[list[str]] = []
    lines = read(page).splitlines()
    for number, line in enumerate(lines):
        is_head = number + 1 < len(lines) and lines[number + 1].startswith("|--")
        if line.startswith("|") and not line.startswith("|--") and not is_head:
            rows.append([cell.strip() for cell in line[1:-1].split("|")])
    return rows
