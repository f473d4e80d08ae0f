"""Whether SQLAlchemy filters every scoped model that a SELECT reads: its loader criteria reach fewer than it names.

They reach what stands in the list of columns by itself or first in an expression, what `select_from()` names, what
`join()` leads to, and what the conditions compare directly. Not what is an argument of a function in a condition, the
second model of an expression, a member of a `join()` given to `select_from()`, the far side of a full join, or
anything in a SELECT that begins from no model (`select(func.count()).where(or_(...))`). Those are refused.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import CompoundSelect, Select, SelectBase
from sqlalchemy.orm import Mapper, RelationshipProperty
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import ColumnClause
from sqlalchemy.sql.selectable import AliasedReturnsRows, Join, TableClause
from sqlalchemy.sql.util import extract_first_column_annotation, surface_expressions
from sqlalchemy.sql.visitors import HasTraverseInternals

from keystead_sdk.errors import UnscopedStatement

NOT_WALKED = (
    "_raw_columns",
    "_from_obj",
    "_setup_joins",
    "_memoized_select_entities",
    "_correlate",
    "_correlate_except",
)
Entities = frozenset[Any]
_nothing: Entities = frozenset()


def check_filtered(statement: Any, scoped: type) -> None:
    outer = frozenset({entity_of(statement.table)}) if isinstance(statement, UpdateBase) else _nothing
    _Check(scoped).visit(statement, outer)


def entity_of(element: Any) -> Any:
    notes = getattr(element, "_annotations", {})
    return notes.get("parententity") or notes.get("parentmapper")


def relationship_of(element: Any) -> RelationshipProperty[Any] | None:
    found = getattr(element, "property", None)
    return found if isinstance(found, RelationshipProperty) else None


def origin(element: Any) -> Iterator[Any]:
    """The subquery that a column is of."""
    table = element.table if isinstance(element, ColumnClause) else None
    return iter((table,)) if isinstance(table, AliasedReturnsRows) else iter(())


def named_by(select: Select[Any]) -> Iterator[Any]:
    yield from select._raw_columns
    yield from select._from_obj
    for target, on_clause, left, _ in joins_of(select):
        yield from (one for one in (target, left, on_clause) if one is not None)
    for earlier in select._memoized_select_entities:
        yield from earlier._raw_columns


def joins_of(select: Select[Any]) -> Iterator[Any]:
    for holder in (select, *select._memoized_select_entities):
        yield from holder._setup_joins


class _Check:
    def __init__(self, scoped: type) -> None:
        self._scoped = scoped
        self._seen: set[tuple[int, Entities]] = set()

    def visit(self, element: Any, outer: Entities) -> None:
        """`outer`: the models of the SELECT around this, which stand for themselves there and are filtered there."""
        if (id(element), outer) in self._seen or relationship_of(element) is not None:
            return
        self._seen.add((id(element), outer))
        if isinstance(element, Select):
            self._visit_select(element, outer)
            return
        inside = _nothing if isinstance(element, AliasedReturnsRows | CompoundSelect) else outer
        for child in (*element.get_children(), *origin(element)):
            self.visit(child, inside)

    def _visit_select(self, select: Select[Any], outer: Entities) -> None:
        parts = [*named_by(select), *HasTraverseInternals.get_children(select, omit_attrs=NOT_WALKED)]
        filtered = _filtered(select)
        read = {entity for part in parts for entity in self._read_by(part)}
        read |= {entity for entity in _in_full_joins(select) if self._is_scoped(entity)}
        for entity in read:
            if not _is_among(entity, filtered) and not (entity in outer and _correlates(select, entity)):
                raise UnscopedStatement(
                    f"{entity} is not filtered where this stands: name the model in the columns of its SELECT, in"
                    " select_from() or in join()."
                )
        for part in parts:
            self.visit(part, filtered - outer)

    def _read_by(self, element: Any) -> Iterator[Any]:
        """Scoped models, without entering another SELECT."""
        if isinstance(element, SelectBase) or relationship_of(element) is not None:
            return
        if isinstance(element, ColumnClause | TableClause | AliasedReturnsRows | Join):
            yield from (one for one in (entity_of(element),) if self._is_scoped(one))
        if not isinstance(element, AliasedReturnsRows | ColumnClause):
            for child in element.get_children():
                yield from self._read_by(child)

    def _is_scoped(self, entity: Any) -> bool:
        return entity is not None and issubclass(entity.mapper.class_, self._scoped)


def _filtered(select: Select[Any]) -> Entities:
    if select._propagate_attrs.get("compile_state_plugin") != "orm":
        return _nothing
    reached = frozenset(_reached(select)) - _in_full_joins(select) - {None}
    return reached - _overlapping(select, reached)


def _in_full_joins(select: Select[Any]) -> Entities:
    return frozenset(_joined(target) for target, _, _, flags in joins_of(select) if flags["full"])


def _overlapping(select: Select[Any], reached: Entities) -> Entities:
    """A model that is joined to itself, to one that it inherits from, or the other way round, is renamed by SQLAlchemy,
    and the filters of both with it."""
    joins = list(joins_of(select))
    joined = [_joined(target) for target, *_ in joins]
    sources = {*map(entity_of, select._from_obj), *(entity_of(left) for _, _, left, _ in joins)}
    twice = {one for one in joined if one in sources or joined.count(one) > 1 or _begins_from(select, one)}
    related = {
        one
        for one in reached
        for other in reached
        if one is not other and (one in joined or other in joined) and _are_related(one, other)
    }
    return frozenset(twice | related)


def _are_related(one: Any, other: Any) -> bool:
    return isinstance(one, Mapper) and isinstance(other, Mapper) and (one.isa(other) or other.isa(one))


def _reached(select: Select[Any]) -> Iterator[Any]:
    for entity in _in_columns(select):
        if entity is not None and (holds_organization(entity) or _begins_from(select, entity)):
            yield entity
    yield from (entity_of(one) for one in select._from_obj)
    for target, _, left, _ in joins_of(select):
        yield _joined(target)
        yield entity_of(left)
    for condition in select._where_criteria:
        compared = map(entity_of, surface_expressions(condition))  # type: ignore[no-untyped-call]
        yield from (one for one in compared if one is not None and holds_organization(one))


def _in_columns(select: Select[Any]) -> Iterator[Any]:
    for column in select._raw_columns:
        for one in column.get_children() if "bundle" in column._annotations else (column,):
            yield entity_of(one) or _first_named(one)


def _begins_from(select: Select[Any], entity: Any) -> bool:
    """Whether the model stands among the sources as the join that it is; beside others its own table would alone."""
    if select._from_obj:
        return False
    for target, on_clause, left, _ in joins_of(select):
        along = next((one for one in (target, on_clause) if relationship_of(one) is not None), None)
        if left is not None or along is not None:
            return left is None and along is not None and along.parent is entity
        return set(_in_columns(select)) == {entity}
    return True


def holds_organization(entity: Any) -> bool:
    """Not so a model whose organization stands in the table of the one that it inherits from: named by no more than its
    own columns, it would be filtered by a table that nothing joins to it."""
    organization = entity.mapper.attrs.get("org_id")
    return organization is None or organization.columns[0].table is entity.mapper.local_table


def _first_named(expression: Any) -> Any:
    return extract_first_column_annotation(expression, "parententity")  # type: ignore[no-untyped-call]


def _joined(target: Any) -> Any:
    relationship = relationship_of(target)
    if relationship is None:
        return entity_of(target)
    return getattr(target, "_of_type", None) or relationship.mapper


def _is_among(entity: Any, filtered: Entities) -> bool:
    """A model that inherits from another brings its tables along."""
    heirs = (one for one in filtered if isinstance(one, Mapper))
    return entity in filtered or (isinstance(entity, Mapper) and any(one.isa(entity) for one in heirs))


def _correlates(select: Select[Any], entity: Any) -> bool:
    """Left to itself, a SELECT that reads one thing only does not take it from the SELECT around it."""
    if select._auto_correlate:
        return bool(set(_reached(select)) - {entity, None})
    return entity in {entity_of(one) for one in select._correlate or ()}
