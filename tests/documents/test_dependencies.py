"""What the runtime packages import is declared, and what is declared is imported or says why not."""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import chain

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from controlplane.app import platform_app
from tenant_runtime.app import tenant_app
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


def test_what_agents_need_is_imported_at_their_first_call() -> None:
    """The library of their protocol by one module, and that one by nobody's start."""
    speaks, starts = set(), set()
    for path in chain.from_iterable((ROOT / package).rglob("*.py") for package in PACKAGES):
        source = path.read_text(encoding="utf-8")
        if "mcp" not in source and "agents.protocol" not in source:
            continue
        for node in ast.parse(source).body:
            module = node.module if isinstance(node, ast.ImportFrom) else None
            if module is not None and module.partition(".")[0] == "mcp":
                speaks.add(str(path.relative_to(ROOT)))
            if module == "tenant_runtime.agents.protocol":
                starts.add(str(path.relative_to(ROOT)))
    assert (speaks, starts) == ({"tenant_runtime/agents/protocol.py"}, set())


def test_no_library_that_happens_to_be_installed_joins_in() -> None:
    """Litestar would import pydantic and attrs, which the protocol's library brings along, at every start."""
    plugins = [type(plugin).__module__ for app in (tenant_app(), platform_app()) for plugin in app.plugins]
    assert plugins
    assert not [
        name for name in plugins if name.startswith(("litestar.plugins.pydantic", "litestar.plugins.attrs"))
    ]


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}
