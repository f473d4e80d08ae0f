import json
import re
from typing import Any

import msgspec

from core.settings import Settings
from sync.catalogue import NEVER_INHERITED
from tenant_runtime.tenant_settings import DEFAULTS, Flags
from tests.documents.repository import read, table_rows

ROWS = table_rows("docs/tenant-settings.md")


def value(cell: str) -> Any:
    return json.loads(cell.strip("`")) if cell.startswith("`") else cell


def test_the_page_lists_every_key_with_its_default_and_whether_it_is_inherited() -> None:
    inherited = Settings().inherited_keys
    expected = {
        key: [default, "never" if key in NEVER_INHERITED else "yes" if key in inherited else "no"]
        for key, default in ({**DEFAULTS, "flags": "below"}).items()
    }
    listed = {row[0].strip("`"): [value(row[1]), row[2]] for row in ROWS if len(row) == 4}
    assert listed == json.loads(json.dumps(expected))


def test_the_page_lists_every_flag_with_its_default() -> None:
    listed = {row[0].strip("`"): value(row[1]) for row in ROWS if len(row) == 3}
    assert listed == msgspec.to_builtins(Flags())


def test_every_variable_that_the_page_names_is_a_setting() -> None:
    named = re.findall(r"`KEYSTEAD_([A-Z_]+)`", read("docs/tenant-settings.md"))
    assert all(name.lower() in Settings.__dataclass_fields__ for name in named)
