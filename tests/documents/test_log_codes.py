"""The types of log events: one table, what is recorded, what the page says, and what tests look at."""

import re
from pathlib import Path
from typing import get_args

import pytest

from tenant_runtime.audit import Event
from tenant_runtime.audit.codes import CATEGORIES, CODES, Category, types_of
from tests.documents.repository import ROOT, read, table_rows

PAGE = "docs/logs.md"
TABLE = ROOT / "tenant_runtime/audit/codes.py"
SOURCES = ("tenant_runtime", "controlplane", "provisioning", "sync", "entrypoints")


def text_of(*folders: str) -> str:
    """The code of these folders, but for the table and for this file."""
    files = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return "".join(file.read_text() for file in files if file not in (TABLE, Path(__file__)))


def test_every_type_is_recorded_somewhere() -> None:
    code = text_of(*SOURCES)
    assert [type for type in CODES if f'"{type}"' not in code] == []


def test_every_type_is_looked_at_by_a_test() -> None:
    words = set(re.findall(r"[a-z_]+", text_of("tests")))
    assert CODES.keys() <= words


def test_no_event_of_another_type_can_be_made() -> None:
    assert Event(type="s", created_at=1).type == "s"
    with pytest.raises(ValueError, match="'sx' is not in"):
        Event(type="sx", created_at=1)


def test_the_page_lists_every_type_with_what_it_means_and_its_category() -> None:
    listed = {row[0].strip("`"): (row[1], row[2].strip("`")) for row in table_rows(PAGE) if len(row) == 3}
    assert listed == {type: (code.description, code.category) for type, code in CODES.items()}


def test_categories_are_auth0_s() -> None:
    assert get_args(Category) == CATEGORIES
    assert types_of(["auth.signup.fail"]) == [
        t for t, code in CODES.items() if code.category == "auth.signup.fail"
    ]
    assert "`management.success`" in read(PAGE)
