"""Lists: by offset or by checkpoint, one query for the page and one more only for the total.

The order is by creation, then id, and stays while rows are added, so no page skips or repeats one. Statements are
built once; a search or a filter adds to them. A page token holds the last row's place, signed and bound to the
tenant, the path and the query.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import to_builtins
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    asc,
    bindparam,
    desc,
    func,
    literal,
    select,
    tuple_,
)

from core.database import PreparedPage
from core.errors import InvalidQuery
from core.http.paging import (
    DEFAULT_PAGE,
    Checkpoint,
    Fields,
    Offset,
    Position,
    Query,
    Sort,
    checkpoint_answer,
    decode_cursor,
    encode_cursor,
    offset_answer,
    parse_checkpoint,
    parse_fields,
    parse_offset,
    parse_sort,
)
from tenant_runtime.management.calls import Call

Rows = Sequence[Any]
"""SQLAlchemy's, or a prepared page's: attributes are what they have in common."""

Items = list[Any]
"""Mappings, or structs where a list is long and asked for often."""

Criterion = ColumnElement[bool]

MAX_TOTAL = 100_000
"""Counting stops here, and the answer says so: a count may not cost more than the page."""


@dataclass(frozen=True, slots=True)
class Listing:
    """`place` are the columns of the order, all of them selected by the statement. `shape` runs in the unit, with
    the whole page, so that what belongs to its rows is one query. `by_checkpoint`: without a page's number or size it
    is asked for by checkpoint, as Auth0's newer lists are."""

    key: str
    statement: Select[Any]
    place: tuple[ColumnElement[Any], ...]
    shape: Callable[[Connection, Rows], Items]
    sortable: dict[str, ColumnElement[Any]] = field(default_factory=dict)
    newest_first: bool = False
    by_checkpoint: bool = False
    narrow: Select[Any] | None = None
    """The ids of the same rows, where an index has them in this order: the statement then joins those of the page only,
    however far it is, and none to count them. The id is the last column of `place`."""
    page: Select[Any] = field(init=False)
    plain: PreparedPage = field(init=False)
    """The page as most ask for it: in the usual order, unfiltered."""

    def __post_init__(self) -> None:
        page = self._windowed(self.statement)
        plain = page if self.narrow is None else self._looked_up(self.narrow)
        object.__setattr__(self, "page", page)
        object.__setattr__(self, "plain", PreparedPage(plain))

    def order(self) -> list[Any]:
        return [desc(column) if self.newest_first else asc(column) for column in self.place]

    def _windowed(self, statement: Select[Any]) -> Select[Any]:
        return statement.order_by(*self.order()).limit(bindparam("limit_")).offset(bindparam("offset_"))

    def _looked_up(self, narrow: Select[Any]) -> Select[Any]:
        ids = self._windowed(narrow).subquery()
        return self.statement.join(ids, ids.c.id == self.place[-1]).order_by(*self.order())

    def after(self, position: Position) -> Criterion:
        place, there = tuple_(*self.place), tuple_(*map(literal, position))
        return place < there if self.newest_first else place > there


@dataclass(frozen=True, slots=True)
class _Asked:
    window: Offset | Checkpoint
    after: Position | None
    sort: Sort | None
    fields: Fields
    criteria: tuple[Criterion, ...]
    values: dict[str, Any]


async def answer(
    call: Call, listing: Listing, *criteria: Criterion, after: Position | None = None, **values: Any
) -> Any:
    """The page that the request asks for. `values` are the bind parameters of the listing's statement; `after`
    is a place that is known by other means than a page token."""
    query = call.request.query_params
    window = parse_checkpoint(query) or _usual_window(query, listing)
    asked = _Asked(
        window,
        after or _position(call, window),
        parse_sort(query, listing.sortable),
        parse_fields(query),
        criteria,
        values,
    )
    if isinstance(window, Checkpoint):
        if asked.sort is not None:
            raise InvalidQuery("The parameter 'sort' is for pages by offset only.")
        items, last = await call.read(_checkpoint_page, listing, asked, window.take)
        following = None if last is None else _cursor(call, last)
        return checkpoint_answer(items, listing.key, following)
    items, total = await call.read(_offset_page, listing, asked, window)
    page = offset_answer(items, listing.key, window, total)
    if isinstance(page, dict) and total == MAX_TOTAL:
        page["total_is_capped"] = True
    return page


def _usual_window(query: Query, listing: Listing) -> Offset | Checkpoint:
    if listing.by_checkpoint and "page" not in query and "per_page" not in query:
        return Checkpoint(DEFAULT_PAGE, None)
    return parse_offset(query)


def _offset_page(
    connection: Connection, listing: Listing, asked: _Asked, window: Offset
) -> tuple[Items, int | None]:
    values = {**asked.values, "limit_": window.limit, "offset_": window.offset}
    if asked.sort is None and not asked.criteria:
        rows: Rows = listing.plain.rows(connection, values)
    else:
        rows = connection.execute(_chosen(listing, asked), values).all()
    total = _total(connection, listing, asked) if window.include_totals else None
    return _shown(connection, listing, asked, rows), total


def _chosen(listing: Listing, asked: _Asked) -> Select[Any]:
    statement = listing.page.where(*asked.criteria)
    if asked.sort is None:
        return statement
    column = listing.sortable[asked.sort.field]
    way = desc if asked.sort.descending else asc  # all the same way, so that an index can be read backwards
    others = (place for place in listing.place if place is not column)
    return statement.order_by(None).order_by(way(column), *(way(place) for place in others))


def _total(connection: Connection, listing: Listing, asked: _Asked) -> int:
    every = listing.statement if listing.narrow is None or asked.criteria else listing.narrow
    counted = every.where(*asked.criteria).limit(MAX_TOTAL).subquery()
    return int(connection.execute(select(func.count()).select_from(counted), asked.values).scalar_one())


def _checkpoint_page(
    connection: Connection, listing: Listing, asked: _Asked, take: int
) -> tuple[Items, Position | None]:
    """One row more than asked for says whether there is a next page."""
    statement = listing.page.where(*asked.criteria)
    if asked.after is not None:
        statement = statement.where(listing.after(asked.after))
    rows = connection.execute(statement, {**asked.values, "limit_": take + 1, "offset_": 0}).all()
    shown = rows[:take]
    last = tuple(shown[-1]._mapping[column] for column in listing.place) if len(rows) > take else None
    return _shown(connection, listing, asked, shown), last


def _shown(connection: Connection, listing: Listing, asked: _Asked, rows: Rows) -> Items:
    items = listing.shape(connection, rows)
    return [asked.fields.apply(to_builtins(item)) for item in items] if asked.fields.names else items


def _position(call: Call, window: Offset | Checkpoint) -> Position | None:
    if isinstance(window, Offset) or window.after is None:
        return None
    return decode_cursor(_key(call), call.tenant.id, _list_name(call), window.after)


def _cursor(call: Call, position: Position) -> str:
    return encode_cursor(_key(call), call.tenant.id, _list_name(call), position)


def _key(call: Call) -> bytes:
    return call.tenant.data_key.derive("page tokens")


def _list_name(call: Call) -> str:
    """The path, and what was asked beside the window: a token continues the same question only."""
    rest = sorted(item for item in call.request.query_params.multi_items() if item[0] not in ("from", "take"))
    return f"{call.request.scope['path']} {hashlib.sha256(repr(rest).encode()).hexdigest()}"
