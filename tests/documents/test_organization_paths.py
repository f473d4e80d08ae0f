"""`docs/organization-paths.md` lists every path of organizations, with its method and what it takes."""

import re

from litestar.routes import HTTPRoute

from tenant_runtime.organizations.api import BASE, router
from tests.documents.repository import read, table_rows
from tests.isolation.organization_routes import GIVEN

PAGE = "docs/organization-paths.md"


def rows() -> list[list[str]]:
    return [list(row) for row in table_rows(PAGE) if row[0].startswith("`/organization/")]


def test_the_page_lists_every_path_with_its_method() -> None:
    listed = [(row[1], row[0].strip("`")) for row in rows()]
    served = [
        (method, route.path.removeprefix(BASE))
        for route in router().routes
        if isinstance(route, HTTPRoute) and route.path.startswith(f"{BASE}/organization/")
        for method in route.methods - {"OPTIONS", "HEAD"}
    ]
    assert sorted(listed) == sorted(served)


def test_what_a_path_takes_is_what_it_is_sent() -> None:
    """By the tests of isolation, which every path answers without a `VALIDATION_ERROR`."""
    for path, _, takes, _ in rows():
        sent, named = set(GIVEN[path.strip("`")]), set(re.findall(r"\w+", takes))
        assert takes.startswith("the same") or sent <= named, (path, sent - named)


def test_the_page_is_linked() -> None:
    assert "(organization-paths.md)" in read("docs/README.md")
    assert "(organization-paths.md)" in read("docs/organization-api.md")
