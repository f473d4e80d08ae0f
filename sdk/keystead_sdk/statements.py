"""Which database statements can be kept inside one organization, and which must be refused.

The session hook in `organizations.py` adds `org_id = ...` wherever a statement names a scoped *model*. What names
the table behind the model instead, or writes SQL as text, is not reached by that, so it is refused here. The parts
of a SELECT are read from its own attributes: should a release of SQLAlchemy rename one, statements fail, they do
not leak.
"""

import re
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Column, Select, TextClause, Update
from sqlalchemy.orm import FromStatement, RelationshipProperty
from sqlalchemy.sql.elements import ColumnClause
from sqlalchemy.sql.lambdas import LambdaElement
from sqlalchemy.sql.selectable import AliasedReturnsRows, Join, TableClause
from sqlalchemy.sql.visitors import HasTraverseInternals

from keystead_sdk.errors import UnscopedStatement

_harmless_text = frozenset({"*", "1"})
_parts_of_select = ("_raw_columns", "_from_obj", "_setup_joins", "_memoized_select_entities")
_not_walked = (*_parts_of_select, "_correlate", "_correlate_except")


def touches(statement: Any, scoped: type, tables: Collection[str]) -> bool:
    """Whether the statement reaches a table of a scoped model; raises when it does so around the model."""
    if isinstance(statement, LambdaElement):
        raise UnscopedStatement("Lambda statements cannot be kept inside an organization.")
    elements = list(_everything(statement))
    texts = [text for one in elements if (text := _text(one)) is not None]
    if any(_names_a_table(text, tables) for text in texts):
        raise UnscopedStatement("SQL text names a table whose rows belong to organizations.")
    if not any(_table_name(one) in tables for one in elements):
        return False
    if texts:
        raise UnscopedStatement(
            "SQL text beside a model whose rows belong to organizations could undo its filter."
        )
    if isinstance(statement, FromStatement):
        raise UnscopedStatement("from_statement() goes around the filter of organizations.")
    _Walk(scoped, tables).walk(statement, frozenset())
    return True


def sets_column(statement: Update, name: str) -> bool:
    return any(getattr(column, "key", column) == name for column in statement._values or ())


class _Walk:
    """Every reference to a scoped table must come from its model; a bare column may only refer to a table that the
    model has already brought in, here or in an enclosing SELECT."""

    def __init__(self, scoped: type, tables: Collection[str]) -> None:
        self._scoped = scoped
        self._tables = tables

    def walk(self, element: Any, covered: frozenset[str]) -> None:
        if _relationship(element) is not None:
            return
        if isinstance(element, Select):
            self._walk_select(element, covered)
            return
        name = _table_name(element)
        known = self._is_model(element) or (isinstance(element, Column) and name in covered)
        if name in self._tables and not known:
            raise UnscopedStatement(f"Use the model, not the table {name}: its rows belong to organizations.")
        for child in self._children(element):
            self.walk(child, covered | self._covers(element))

    def _walk_select(self, select: Select[Any], covered: frozenset[str]) -> None:
        named = list(_named_by(select))
        own: frozenset[str] = frozenset().union(
            *(self._covers(one) for part in named for one in _shallow(part))
        )
        for part in named:
            self.walk(part, own)
        for part in HasTraverseInternals.get_children(select, omit_attrs=_not_walked):
            self.walk(part, own | covered)

    def _children(self, element: Any) -> Iterator[Any]:
        """The table inside an alias of a model is the model's own business; a column of a subquery leads to it."""
        if isinstance(element, ColumnClause):
            return iter(()) if self._is_model(element) else _origin(element)
        if isinstance(element, AliasedReturnsRows) and isinstance(element.element, TableClause):
            return iter(()) if self._is_model(element) else iter((element.element,))
        if isinstance(element, TableClause) or self._is_inheritance(element):
            return iter(())
        return iter(element.get_children())

    def _covers(self, element: Any) -> frozenset[str]:
        relationship = _relationship(element)
        if relationship is not None and issubclass(relationship.mapper.class_, self._scoped):
            return frozenset(table.name for table in relationship.mapper.tables)
        entity = _entity(element)
        if entity is None or not self._is_model(element):
            return frozenset()
        return frozenset(table.name for table in entity.mapper.tables)

    def _is_inheritance(self, element: Any) -> bool:
        """A model over several tables stands in a statement as their join, whole."""
        if not isinstance(element, Join) or not self._is_model(element):
            return False
        return bool(_entity(element).selectable.compare(element))

    def _is_model(self, element: Any) -> bool:
        entity = _entity(element)
        return entity is not None and issubclass(entity.mapper.class_, self._scoped)


def _everything(statement: Any) -> Iterator[Any]:
    """Unlike SQLAlchemy's own iteration also from a column to the subquery it is of."""
    waiting, seen = [statement], set()
    while waiting:
        element = waiting.pop()
        if id(element) not in seen:
            seen.add(id(element))
            yield element
            waiting.extend(element.get_children())
            waiting.extend(_origin(element))


def _origin(element: Any) -> Iterator[Any]:
    table = element.table if isinstance(element, ColumnClause) else None
    return iter((table,)) if isinstance(table, AliasedReturnsRows) else iter(())


def _named_by(select: Select[Any]) -> Iterator[Any]:
    yield from select._raw_columns
    yield from select._from_obj
    for holder in (select, *select._memoized_select_entities):
        for target, on_clause, left, _ in holder._setup_joins:
            yield from (one for one in (target, left, on_clause) if one is not None)
    for earlier in select._memoized_select_entities:
        yield from earlier._raw_columns


def _shallow(part: Any) -> Iterator[Any]:
    """A part and what it is made of, without entering another SELECT."""
    yield part
    if not isinstance(part, Select | AliasedReturnsRows) and _relationship(part) is None:
        for child in part.get_children():
            if not isinstance(child, Select):
                yield from _shallow(child)


def _entity(element: Any) -> Any:
    notes = getattr(element, "_annotations", {})
    return notes.get("parententity") or notes.get("parentmapper")


def _relationship(element: Any) -> RelationshipProperty[Any] | None:
    found = getattr(element, "property", None)
    return found if isinstance(found, RelationshipProperty) else None


def _table_name(element: Any) -> str | None:
    table = element.table if isinstance(element, Column) else element
    return table.name if isinstance(table, TableClause) else None


def _text(element: Any) -> str | None:
    if isinstance(element, TextClause):
        return element.text
    if isinstance(element, ColumnClause) and element.is_literal and element.name not in _harmless_text:
        return element.name
    return None


def _names_a_table(text: str, tables: Collection[str]) -> bool:
    words = {word.lower() for word in re.findall(r"\w+", text)}
    return any(table.lower() in words for table in tables)
