"""`docs/errors.md` lists every code with its status: the classes' own, and those given where one is raised.

The codes of `/api/auth` are its client's (`specs/organization-api.md`).
"""

import ast
import importlib
import pkgutil
from collections.abc import Iterator

from core.errors import IdentityError, NotFound
from tenant_runtime.organizations.wire.errors import ApiError
from tests.documents.repository import PACKAGES, ROOT, table_rows

Pair = tuple[str, int]
PARTS = [part for part in PACKAGES if part not in ("migrations", "sdk/keystead_sdk", "hrana/keystead_hrana")]


def every_class() -> list[type[IdentityError]]:
    for part in PARTS:
        package = importlib.import_module(part)
        for module in pkgutil.walk_packages(package.__path__, f"{part}."):
            importlib.import_module(module.name)
    found, waiting = [], [IdentityError]
    while waiting:
        found.append(waiting.pop())
        waiting += found[-1].__subclasses__()
    return [kind for kind in found if not issubclass(kind, ApiError)]


def made(kind: type[IdentityError]) -> IdentityError:
    """One of a kind of entity, or one that says for itself whether to log in again, is made with more."""
    for given in ((), ("role",)):
        try:
            return kind(*given)
        except TypeError:
            continue
    return kind.__new__(kind)


def given_where_raised(kinds: dict[str, type[IdentityError]]) -> Iterator[Pair]:
    """`Conflict("...", code="tenant_exists")`: a literal code, a literal status, or both."""
    calls = (
        node
        for part in PARTS
        for path in (ROOT / part).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    for call in calls:
        kind = kinds.get(call.func.id) if isinstance(call.func, ast.Name) else None
        words = {word.arg: word.value for word in call.keywords}
        if kind is None or not {"code", "status"} & words.keys():
            continue
        code, status = words.get("code"), words.get("status")
        yield (
            code.value if isinstance(code, ast.Constant) else kind.code,
            status.value if isinstance(status, ast.Constant) else kind.status,
        )


def documented() -> set[Pair]:
    rows = table_rows("docs/errors.md")
    return {(row[0].strip("`"), int(row[1])) for row in rows if len(row) == 4 and row[1].isdigit()}


def test_the_page_of_errors_lists_every_code_with_its_status_and_no_other() -> None:
    classes = every_class()
    raised = {(error.code, error.status) for error in map(made, classes)}
    raised |= set(given_where_raised({kind.__name__: kind for kind in classes}))
    raised.add((NotFound("<resource>").code, 404))
    assert documented() == raised
