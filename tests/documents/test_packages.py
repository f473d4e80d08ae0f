import ast
from pathlib import Path

import pytest

from tests.documents.repository import PACKAGES, ROOT

ALL_PACKAGES = sorted(
    str(init.parent.relative_to(ROOT))
    for package in PACKAGES
    for init in (ROOT / package).rglob("__init__.py")
)


def test_every_top_level_folder_of_code_is_a_package() -> None:
    assert set(PACKAGES) <= set(ALL_PACKAGES)


@pytest.mark.parametrize("package", ALL_PACKAGES)
def test_every_package_opens_with_three_to_eight_lines_on_what_it_owns(package: str) -> None:
    source = Path(ROOT, package, "__init__.py").read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(source)) or ""
    lines = [line for line in docstring.splitlines() if line.strip()]
    assert 3 <= len(lines) <= 8, f"{package}: {len(lines)} lines"
