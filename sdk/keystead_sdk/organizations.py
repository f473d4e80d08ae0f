"""Rows that belong to organizations, for SQLAlchemy.

    class Invoice(OrgScoped, Base): ...

    Sessions = sessionmaker(engine, class_=OrgSession)
    with Sessions(organization=principal.org_id) as session: ...

Every ORM statement of such a session on a scoped model gains `org_id = <the organization>`: selects, lazy and eager
loads, refreshes, updates, deletes, wherever in the statement the model stands. New rows are stamped. Without an
organization a scoped model raises `OrganizationRequired`; it does not look empty. What cannot be kept inside is
refused with `UnscopedStatement`: bare tables, SQL text, bulk methods, raw connections. With asyncio, pass
`sync_session_class=OrgSession` to `async_sessionmaker`. Foreign keys set by hand are yours to check.
"""

from typing import Any, NoReturn

from sqlalchemy import String, bindparam, event, inspect
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.orm import (
    Mapped,
    Mapper,
    ORMExecuteState,
    Session,
    UOWTransaction,
    mapped_column,
    with_loader_criteria,
)

from keystead_sdk.errors import Misused, OrganizationRequired, UnscopedStatement
from keystead_sdk.filtered import check_filtered
from keystead_sdk.statements import sets_column, tables_in, touches

_tables: set[str] = set()


class _OrganizationMissing(OrganizationRequired, DontWrapMixin):
    """Raised while a statement is executed, where other exceptions would be wrapped."""


def _refuse() -> NoReturn:
    raise _OrganizationMissing


#: the organization of nobody: has no value. For loads that a statement does not show, such as joined ones
_nobody = bindparam("organization", callable_=_refuse, type_=String())


class OrgScoped:
    """A mixin: put it before the declarative base."""

    org_id: Mapped[str] = mapped_column(String(64), index=True)


class OrgSession(Session):
    """One session serves one organization from its first to its last statement."""

    def __init__(self, *args: Any, organization: str | None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._organization = organization or None

    @property
    def organization(self) -> str:
        if self._organization is None:
            raise OrganizationRequired
        return self._organization

    def connection(self, *_: Any, **__: Any) -> NoReturn:
        raise UnscopedStatement("A raw connection would see the rows of every organization.")

    def bulk_save_objects(self, *_: Any, **__: Any) -> NoReturn:
        raise UnscopedStatement("Bulk methods go around the stamping of rows: add the objects.")

    bulk_insert_mappings = bulk_save_objects
    bulk_update_mappings = bulk_save_objects


@event.listens_for(Mapper, "after_mapper_constructed")
def _remember_tables(mapper: Mapper[Any], class_: type) -> None:
    if issubclass(class_, OrgScoped):
        _tables.update(table.name.lower() for table in mapper.tables)


@event.listens_for(Mapper, "mapper_configured")
def _check_relationships(mapper: Mapper[Any], class_: type) -> None:
    """What a relationship loads is filtered by the models at its ends, not by the tables behind or between them."""
    for relationship in mapper.relationships:
        if issubclass(relationship.mapper.class_, OrgScoped):
            continue
        between = None if issubclass(class_, OrgScoped) else relationship.secondary
        if tables_in(*relationship.mapper.tables, between) & _tables:
            raise Misused(
                f"{relationship} reaches a table whose rows belong to organizations, and neither end is OrgScoped."
            )


@event.listens_for(Mapper, "mapper_configured")
def _check_computed_properties(mapper: Mapper[Any], _: type) -> None:
    for attribute in mapper.column_attrs:
        check_filtered(attribute.expression, OrgScoped)


@event.listens_for(OrgSession, "do_orm_execute")
def _stay_inside(state: ORMExecuteState) -> None:
    session = state.session
    assert isinstance(session, OrgSession)
    made_by_the_orm = state.is_relationship_load or state.is_column_load
    if not made_by_the_orm and touches(state.statement, OrgScoped, _tables):
        _check_kind(state)
        session.organization  # noqa: B018 - raises when there is none
    if state.is_orm_statement:
        state.statement = state.statement.options(_criteria(session._organization))


def _check_kind(state: ORMExecuteState) -> None:
    if not state.is_orm_statement:
        raise UnscopedStatement("This statement does not start from a model: its filter would not apply.")
    if state.is_insert:
        raise UnscopedStatement("Insert statements are not stamped: add objects to the session.")
    if not state.is_update and not state.is_delete:
        return
    given = state.parameters or {}
    if not isinstance(given, dict) or state.execution_options.get("dml_strategy", "auto") not in (
        "auto",
        "orm",
    ):
        raise UnscopedStatement("Bulk statements by primary key go around the filter of organizations.")
    if "org_id" in given or (state.is_update and sets_column(state.statement, "org_id")):  # type: ignore[arg-type]
        raise UnscopedStatement("A row does not change its organization.")


def _criteria(organization: str | None) -> Any:
    if organization is None:
        return with_loader_criteria(OrgScoped, lambda model: model.org_id == _nobody, include_aliases=True)
    return with_loader_criteria(OrgScoped, lambda model: model.org_id == organization, include_aliases=True)


@event.listens_for(OrgSession, "before_flush")
def _stamp(session: Session, _: UOWTransaction, __: Any) -> None:
    assert isinstance(session, OrgSession)
    for row in session.new:
        if isinstance(row, OrgScoped) and row.org_id is None:
            row.org_id = session.organization
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, OrgScoped):
            _check_row(row, session.organization)


def _check_row(row: OrgScoped, organization: str) -> None:
    """A stored row's organization is never set: what it was before may not have been read."""
    state = inspect(row)
    history = state.attrs.org_id.history
    changed = history.deleted if state.key is None else (*history.deleted, *history.added)
    if row.org_id != organization or any(one is not None for one in changed):
        raise UnscopedStatement("The row belongs to another organization.")
