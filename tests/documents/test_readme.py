import re
import subprocess
import sys
from types import ModuleType

import pytest

from tests.documents.repository import ROOT, read, tracked_files

PAGES = ["README.md", "CONTRIBUTING.md", "docs/architecture.md"]
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in tracked_files() if path.suffix == ".md")


def code_of(page: str) -> str:
    """What stands in code blocks and between backticks."""
    pieces = re.findall(r"```.*?\n(.*?)```|`([^`\n]+)`", page, re.DOTALL)
    return "\n".join(block or inline for block, inline in pieces)


@pytest.mark.parametrize("page", PAGES)
def test_every_make_command_that_a_page_names_is_a_recipe(page: str) -> None:
    recipes = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", code_of(read(page))))
    assert named <= recipes
    assert page == "docs/architecture.md" or {"test"} <= named


def test_every_recipe_for_people_has_a_line_of_help() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for recipe in ("setup", "run", "test", "lint", "fix", "types", "layers", "tests", "bench", "lock"):
        assert re.search(rf"make {recipe} +\S", shown), recipe


def test_every_keystead_command_that_the_readme_names_is_a_command() -> None:
    named = set(re.findall(r"^(?:\.venv/bin/)?keystead ([a-z]+)", code_of(read("README.md")), re.MULTILINE))
    assert {"init", "serve", "walk"} <= named
    start = "import sys; from entrypoints.cli import main; sys.exit(main())"
    for command in named:
        run = [sys.executable, "-c", start, command, "--help"]
        answer = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr


def test_the_python_in_the_readme_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", read("README.md"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_the_python_in_the_readme_of_the_sdk_runs_from_top_to_bottom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One module, whose tests are run as well."""
    module = ModuleType("readme")
    monkeypatch.setitem(sys.modules, "readme", module)
    for block in re.findall(r"```python\n(.*?)```", read("sdk/README.md"), re.DOTALL):
        exec(compile(block, "sdk/README.md", "exec"), vars(module))
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_into_the_repository_leads_somewhere(document: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", read(document))
    missing = [link for link in links if "://" not in link and not ((ROOT / document).parent / link).exists()]
    assert missing == []


def test_the_index_of_the_documentation_names_every_page() -> None:
    linked = set(re.findall(r"\]\(([a-z0-9-]+\.md)\)", read("docs/README.md")))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
