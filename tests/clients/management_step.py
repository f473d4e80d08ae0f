"""One thing that a client for the Management API is made to do.

A step calls a method by its dotted name, `of` these positions and `with_` these members, or with a `whole` body that is
a list or has members of any name; `$name.member` is a result that was kept before. It `gives` these members, `holds` an
entry in a list (which is what is kept of it), or `fails` with a status.
"""

from collections.abc import Iterator
from typing import Any

Step = dict[str, Any]


def step(
    do: str,
    *of: str,
    kept: str = "",
    gives: Any = None,
    holds: Any = None,
    fails: int = 0,
    whole: Any = None,
    **with_: Any,
) -> Step:
    return {
        "do": do,
        "of": list(of),
        "with": (with_ or None) if whole is None else whole,
        "as": kept,
        "gives": gives,
        "holds": holds,
        "fails": fails,
    }


def life(
    resource: str,
    made: dict[str, Any],
    change: dict[str, Any],
    *,
    id: str = "id",
    pagings: Any = ({"per_page": 2},),
) -> Iterator[Step]:
    """Made, read, listed by each paging, changed, refused with what it does not have, and gone."""
    it = f"${resource}.{id}"
    yield step(f"{resource}.create", kept=resource, **made)
    yield step(f"{resource}.get", it, gives={name: made[name] for name in list(made)[:1]})
    for paging in pagings:
        yield step(f"{resource}.list", holds={id: it}, **paging)
    yield step(f"{resource}.update", it, gives=change, **change)
    yield step(f"{resource}.get", it, gives=change)


def end(resource: str, id: str = "id") -> Iterator[Step]:
    it = f"${resource}.{id}"
    yield step(f"{resource}.delete", it)
    yield step(f"{resource}.get", it, fails=404)
