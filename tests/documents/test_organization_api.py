"""`docs/organization-api.md` lists every endpoint of accounts and sessions."""

from litestar.handlers import HTTPRouteHandler

from tenant_runtime.organizations.accounts.endpoints import handlers
from tenant_runtime.organizations.api import ok
from tests.documents.repository import read, table_rows

PAGE = "docs/organization-api.md"
REFUSED = ("POST", "/get-session")


def test_the_page_lists_every_endpoint_with_its_method() -> None:
    listed = {
        (row[1], path)
        for row in table_rows(PAGE)
        if len(row) == 3 and row[1] in ("GET", "POST")
        for path in row[0].replace("`", "").split(", ")
    }
    served = {(method, _plain(path)) for handler in (*handlers, ok) for method, path in _of(handler)}
    assert listed == served - {REFUSED}


def test_the_page_is_linked() -> None:
    assert "(organization-api.md)" in read("docs/README.md")


def _of(handler: HTTPRouteHandler) -> list[tuple[str, str]]:
    return [(method, path) for method in handler.http_methods for path in handler.paths]


def _plain(path: str) -> str:
    return path.replace(":str", "")
