"""What the runtime packages import is declared, and what is declared is imported or says why not."""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.documents.repository import PACKAGES, ROOT, project

NOT_IMPORTED_YET = {"authlib"}
"""Its reason in pyproject.toml says who uses it today."""


def imported_modules(folder: str) -> Iterator[str]:
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def imported_distributions(declared: set[str]) -> set[str]:
    """Of several that bring a module (what tests need brings another `multipart`), the one that is declared."""
    apart = {package for package in PACKAGES if "/" in package}  # distributions of their own
    ours, folders = set(PACKAGES) - apart, [package for package in PACKAGES if package not in apart]
    modules = {module for folder in folders for module in imported_modules(folder)}
    known = packages_distributions()  # does not know editable installs: ours are named like their module
    foreign = modules - ours - sys.stdlib_module_names
    found = [{canonicalize_name(name) for name in known.get(module, [module])} for module in foreign]
    return {min(names & declared or names) for names in found}


def test_imports_and_declared_dependencies_are_the_same() -> None:
    extras = project()["optional-dependencies"]
    declared = names(project()["dependencies"])
    optional = names([text for name, texts in extras.items() if name != "dev" for text in texts])
    assert declared - NOT_IMPORTED_YET == imported_distributions(declared) - (optional - declared)


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}
