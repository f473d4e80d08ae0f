"""`docs/limits.md` and `docs/attack-protection.md` say what the code does."""

import json
from typing import Any

import msgspec

from core.http.allowances import DEFAULTS, kind_of
from tenant_runtime.attack_protection.documents import BREACHED_PASSWORDS, BRUTE_FORCE, SUSPICIOUS_IP
from tests.documents.repository import read, table_rows


def test_the_page_lists_every_kind_with_its_rates_and_paths() -> None:
    rows = {row[0].strip("`"): row[1:] for row in table_rows("docs/limits.md") if len(row) == 6}
    listed = {kind: [float(cell) for cell in row[1:]] for kind, row in rows.items() if kind != "kind"}
    assert listed == {
        kind: [
            shares.tenant.per_second,
            shares.tenant.burst,
            shares.caller.per_second,
            shares.caller.burst,
        ]
        for kind, shares in DEFAULTS.items()
    }
    for kind, row in rows.items():
        paths = [part for part in row[0].split("`") if part.startswith("/") and part not in ("/api/v2", "/u")]
        assert all(kind_of(path) == kind for path in paths), kind


def test_the_page_lists_every_member_with_its_default() -> None:
    listed: dict[str, Any] = {}
    for row in table_rows("docs/attack-protection.md"):
        if len(row) == 3 and row[0].startswith("`") and row[1].startswith("`"):
            listed.setdefault(row[0].strip("`"), []).append(json.loads(row[1].strip("`")))
    expected: dict[str, Any] = {}
    for document in (BRUTE_FORCE, SUSPICIOUS_IP, BREACHED_PASSWORDS):
        for member, value in msgspec.to_builtins(document.type()).items():
            stages = value.items() if member == "stage" else ()
            for stage, said in stages:
                expected.setdefault(f"stage.{stage}", []).append(said)
            if member != "stage":
                expected.setdefault(member, []).append(value)
    assert listed == json.loads(json.dumps(expected))


def test_the_pages_are_linked() -> None:
    assert "(limits.md)" in read("docs/README.md")
    assert "(attack-protection.md)" in read("docs/README.md")
