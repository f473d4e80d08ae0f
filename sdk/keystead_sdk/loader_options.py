"""What the options of a statement bring into it: criteria of entities and of relationships, and `with_expression()`.

They are no part of the statement when it is looked at, and where they name a model its filter is not added, but inside
a SELECT of a criterion. So each may name the models it is for, and others in such a SELECT only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm.strategy_options import Load, _LoadElement
from sqlalchemy.orm.util import LoaderCriteriaOption


@dataclass(frozen=True, slots=True)
class Brought:
    clause: Any
    mappers: tuple[Any, ...]
    is_filtered_in_subqueries: bool


def brought_by_options(statement: Any) -> Iterator[Brought]:
    for option in getattr(statement, "_with_options", ()):
        if isinstance(option, LoaderCriteriaOption):
            yield from _criteria_of_entities(option)
        elif isinstance(option, Load):
            for element in option.context:
                yield from _of_load(element)


def _criteria_of_entities(option: LoaderCriteriaOption) -> Iterator[Brought]:
    for mapper in option._all_mappers():
        clause: Any = option.where_criteria
        if option.deferred_where_criteria:
            clause = clause._resolve_with_args(mapper.entity)
        yield Brought(clause, (mapper,), is_filtered_in_subqueries=True)


def _of_load(element: _LoadElement) -> Iterator[Brought]:
    mappers = tuple(one.mapper for one in element.path.path if hasattr(one, "mapper"))
    for clause in element._extra_criteria:
        yield Brought(clause, mappers, is_filtered_in_subqueries=True)
    expression = element.local_opts.get("expression")
    if expression is not None:
        yield Brought(expression, mappers, is_filtered_in_subqueries=False)
