import re

from tenant_runtime.management.permissions import PLATFORM, TENANT
from tests.documents.repository import table_rows

ROWS = [row for row in table_rows("docs/permissions.md") if "`" in "".join(row)]


def test_the_page_lists_every_permission_of_a_tenant_and_no_other() -> None:
    cells = [row[1] for row in ROWS if not row[0].startswith("`")]
    listed = re.findall(r"`([a-z]+:[a-z_]+)`", " ".join(cells))
    assert sorted(listed) == sorted(TENANT)


def test_the_page_lists_every_platform_permission_with_what_it_allows() -> None:
    listed = {row[0].strip("`"): row[1] for row in ROWS if row[0].startswith("`")}
    assert listed == dict(PLATFORM)
