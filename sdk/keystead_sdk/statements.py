"""Which database statements can be kept inside one organization, and which must be refused.

The session hook in `organizations.py` adds `org_id = ...` wherever a statement names a scoped *model*. What names
the table behind the model instead, or writes SQL as text, is not reached by that, so it is refused here. The parts
of a SELECT are read from its own attributes: should a release of SQLAlchemy rename one, statements fail, they do
not leak.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import Column, Delete, Select, SelectBase, TextClause, Update
from sqlalchemy.orm import FromStatement
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import ColumnClause
from sqlalchemy.sql.lambdas import LambdaElement
from sqlalchemy.sql.operators import custom_op
from sqlalchemy.sql.selectable import AliasedReturnsRows, Join, TableClause
from sqlalchemy.sql.visitors import HasTraverseInternals

from keystead_sdk.errors import UnscopedStatement
from keystead_sdk.filtered import (
    NOT_WALKED,
    check_filtered,
    entity_of,
    holds_organization,
    named_by,
    origin,
    relationship_of,
)
from keystead_sdk.loader_options import Brought, brought_by_options

_harmless_text = frozenset({"*", "1"})
_harmless_operator = re.compile(
    r"(?!.*(--|/\*|\|\|))[^\w\s()'\"`;,\[\]]{1,8}|regexp|rlike|glob|match|div|mod", re.IGNORECASE
)
_hidden_name = re.compile(r"\bu&[\"']", re.IGNORECASE)  # spelled by numbers of characters (PostgreSQL)


def touches(statement: Any, scoped: type, tables: Collection[str]) -> bool:
    """Whether the statement reaches a table of a scoped model; raises when it does so around the model. `tables`: their
    names in small letters, for most databases do not tell them apart by case."""
    if isinstance(statement, ExecutableDDLElement):
        raise UnscopedStatement("Definitions change the rows of every organization.")
    if isinstance(statement, LambdaElement):
        raise UnscopedStatement("Lambda statements cannot be kept inside an organization.")
    walk = _Walk(scoped, tables).walk
    for brought in brought_by_options(statement):
        _check_brought(brought, tables)
        walk(brought.clause, frozenset())
        check_filtered(brought.clause, scoped)
    elements = list(_everything(statement))
    texts = [text for one in elements for text in _texts(one)]
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
    if any(isinstance(one, UpdateBase) for one in elements if one is not statement):
        raise UnscopedStatement("A write inside another statement is not filtered.")
    if isinstance(statement, Update | Delete):
        _check_target(statement)
        _check_sources(statement, tables)
    walk(statement, frozenset())
    check_filtered(statement, scoped)
    return True


def _check_brought(brought: Brought, tables: Collection[str]) -> None:
    if any(True for one in _everything(brought.clause) for _ in _texts(one)):
        raise UnscopedStatement("SQL text in an option of a statement could undo its filter.")
    inside = _outside_of_selects if brought.is_filtered_in_subqueries else _everything
    named = {_table_name(one) for one in (brought.clause, *inside(brought.clause))}
    own = frozenset().union(*(_names_of(one.tables) for one in brought.mappers))
    if named & set(tables) - own:
        raise UnscopedStatement(
            "An option of a statement names a model whose rows belong to organizations: it is not filtered there."
        )


def _check_target(statement: Update | Delete) -> None:
    """Of a model over several tables one is changed; the filter would stand beside it, joined by nothing."""
    entity = entity_of(statement.table)
    if entity is not None and not holds_organization(entity):
        raise UnscopedStatement(
            f"The organization of {entity} stands in the table of the model that it inherits from: change objects."
        )


def _check_sources(statement: Update | Delete, tables: Collection[str]) -> None:
    """The filter of an UPDATE or a DELETE is its target's; what else it names is read as it is, but in a SELECT."""
    target = _table_name(statement.table)
    for element in _outside_of_selects(statement):
        if not isinstance(element, ColumnClause) or element.table is None:
            continue
        name = _table_name(_innermost(element.table))
        is_target = name == target and not isinstance(element.table, AliasedReturnsRows)
        if name in tables and not is_target:
            raise UnscopedStatement(
                "Read other models in a subquery: beside the changed one they are not filtered."
            )


def _outside_of_selects(element: Any) -> Iterator[Any]:
    for child in element.get_children():
        if not isinstance(child, SelectBase):
            yield child
            yield from _outside_of_selects(child)


def _innermost(table: Any) -> Any:
    while isinstance(table, AliasedReturnsRows):
        table = table.element
    return table


def tables_in(*parts: Any) -> set[str]:
    """Names of the tables that these are, or are made of."""
    elements = (element for part in parts if part is not None for element in _everything(part))
    return {name for name in map(_table_name, elements) if name is not None}


def sets_column(statement: Update, name: str) -> bool:
    return any(getattr(column, "key", column) == name for column in statement._values or ())


class _Walk:
    """Every reference to a scoped table must come from its model; a bare column may only refer to a table that the
    model has already brought in, in the same SELECT."""

    def __init__(self, scoped: type, tables: Collection[str]) -> None:
        self._scoped = scoped
        self._tables = tables

    def walk(self, element: Any, covered: frozenset[str]) -> None:
        if relationship_of(element) is not None:
            return
        if isinstance(element, Select):
            self._walk_select(element)
            return
        name = _table_name(element)
        known = self._is_model(element) or (isinstance(element, Column) and name in covered)
        if name in self._tables and not known:
            raise UnscopedStatement(f"Use the model, not the table {name}: its rows belong to organizations.")
        for child in self._children(element):
            self.walk(child, covered | self._covers(element))

    def _walk_select(self, select: Select[Any]) -> None:
        """By itself: what it takes from the SELECT around it, it names by the model."""
        named = list(named_by(select))
        own: frozenset[str] = frozenset().union(
            *(self._covers(one) for part in named for one in _shallow(part))
        )
        for part in (*named, *HasTraverseInternals.get_children(select, omit_attrs=NOT_WALKED)):
            self.walk(part, own)

    def _children(self, element: Any) -> Iterator[Any]:
        """The table inside an alias of a model is the model's own business; a column of a subquery leads to it."""
        if isinstance(element, ColumnClause):
            return iter(()) if self._is_model(element) else origin(element)
        if isinstance(element, AliasedReturnsRows) and isinstance(element.element, TableClause):
            return iter(()) if self._is_model(element) else iter((element.element,))
        if isinstance(element, TableClause) or self._is_inheritance(element):
            return iter(())
        return iter(element.get_children())

    def _covers(self, element: Any) -> frozenset[str]:
        entity = entity_of(element)
        if entity is None or entity.is_aliased_class or not self._is_model(element):
            return frozenset()
        return _names_of(entity.mapper.tables)

    def _is_inheritance(self, element: Any) -> bool:
        """A model over several tables stands in a statement as their join, whole."""
        if not isinstance(element, Join) or not self._is_model(element):
            return False
        return bool(entity_of(element).selectable.compare(element))

    def _is_model(self, element: Any) -> bool:
        entity = entity_of(element)
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
            waiting.extend(origin(element))


def _shallow(part: Any) -> Iterator[Any]:
    """A part and what it is made of, without entering another SELECT."""
    yield part
    if not isinstance(part, Select | AliasedReturnsRows) and relationship_of(part) is None:
        for child in part.get_children():
            if not isinstance(child, Select):
                yield from _shallow(child)


def _names_of(tables: Iterable[Any]) -> frozenset[str]:
    return frozenset(table.name.lower() for table in tables)


def _table_name(element: Any) -> str | None:
    table = element.table if isinstance(element, Column) else element
    return table.name.lower() if isinstance(table, TableClause) else None


def _texts(element: Any) -> Iterator[str]:
    """What of an element goes into the statement as it is."""
    if isinstance(element, TextClause):
        yield element.text
    if isinstance(element, ColumnClause) and element.is_literal and element.name not in _harmless_text:
        yield element.name
    for part in ("operator", "modifier"):
        operator = getattr(element, part, None)
        if isinstance(operator, custom_op) and not _harmless_operator.fullmatch(operator.opstring):
            yield operator.opstring
    for part in ("_prefixes", "_suffixes"):
        for clause, _ in getattr(element, part, ()):
            yield from _texts(clause)
    yield from (hint for _, hint in getattr(element, "_statement_hints", ()))
    yield from getattr(element, "_hints", {}).values()


def _names_a_table(text: str, tables: Collection[str]) -> bool:
    small = text.lower()
    words = set(re.findall(r"\w+", small))
    odd = (name for name in tables if not re.fullmatch(r"\w+", name))
    return (
        not words.isdisjoint(tables)
        or any(name in small for name in odd)
        or _hidden_name.search(text) is not None
    )
