"""What no filter keeps inside an organization is refused: statements, ways around the session, definitions."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    DDL,
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    table,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.orm import (
    Bundle,
    DeclarativeBase,
    Mapped,
    aliased,
    column_property,
    configure_mappers,
    join,
    mapped_column,
    outerjoin,
    relationship,
    selectinload,
    sessionmaker,
    with_expression,
    with_loader_criteria,
)
from sqlalchemy.schema import DropTable

from keystead_sdk import Misused, UnscopedStatement
from keystead_sdk.organizations import OrgScoped, OrgSession
from tests.sdk.invoices import INVOICES, THEIRS, AroundInvoice, Credit, Invoice, Line, Note

other = aliased(Invoice)
bare_alias = INVOICES.alias()
bare_subquery = select(INVOICES.c.id).subquery()
REFUSED: dict[str, Any] = {
    "a bare table": select(INVOICES),
    "a bare column": select(INVOICES.c.id),
    "a count of a bare table": select(func.count()).select_from(INVOICES),
    "an aggregate of a bare column": select(func.max(INVOICES.c.id)),
    "an alias of a bare table": select(bare_alias.c.id),
    "a join to a bare table": select(Note.id).join(INVOICES, INVOICES.c.id == Note.invoice_id),
    "a bare column beside a model": select(Note.id, INVOICES.c.id),
    "a bare column in a condition": select(Note.id).where(Note.invoice_id == INVOICES.c.id),
    "a bare subquery": select(Note.id).where(Note.invoice_id.in_(select(INVOICES.c.id))),
    "a bare subquery beside the model": select(Invoice.id).where(Invoice.id.in_(select(INVOICES.c.id))),
    "a bare common table expression": select(select(INVOICES.c.id).cte().c.id),
    "a union with a bare table": union_all(select(Invoice.id), select(INVOICES.c.id)),
    "a table of the same name": select(table("invoices")),
    "another model of the table": select(AroundInvoice),
    "text": text("select * from invoices"),
    "text in capitals": text('SELECT * FROM main."INVOICES"'),
    "a statement of text": select(Invoice).from_statement(text("select * from invoices")),
    "text as a condition": select(Invoice.id).where(text("1=1 or 2=2")),
    "text as a column": select(Invoice.id).where(literal_column("1=1 or 2=2")),
    "text that names the table": select(Note.id).where(text("id in (select id from invoices)")),
    "an insert": insert(Invoice).values(id=9, org_id="org_b", amount=1),
    "an insert from rows": insert(Note).from_select(["id"], select(INVOICES.c.id)),
    "an insert on the table": INVOICES.insert().values(id=9, org_id="org_b", amount=1),
    "an update of the table": update(INVOICES).values(amount=0),
    "a deletion on the table": delete(INVOICES),
    "an insert of scoped rows elsewhere": insert(Note).from_select(
        ["id", "invoice_id"], select(Invoice.id, Invoice.id)
    ),
    "a value from a bare table": update(Note).values(
        invoice_id=select(func.max(INVOICES.c.id)).scalar_subquery()
    ),
    "a value from text": update(Note).values(invoice_id=text("(select max(id) from invoices)")),
    "a bare subquery to join": select(Note.id).join(bare_subquery, bare_subquery.c.id == Note.invoice_id),
    "a column of a bare subquery": select(Note.id).where(Note.invoice_id == bare_subquery.c.id),
    "a column of a bare alias": select(Note.id).where(Note.invoice_id == bare_alias.c.id),
    "a bare subquery to delete by": delete(Note).where(Note.invoice_id == bare_subquery.c.id),
    "a bare alias to update by": update(Note).where(Note.invoice_id == bare_alias.c.id).values(id=1),
    "a bare common table expression beside a model": select(Note.id, select(INVOICES.c.id).cte().c.id),
    "an order by a bare table": select(Note.id).order_by(select(INVOICES.c.amount).scalar_subquery()),
    "a bare table to delete by": delete(Note).where(Note.invoice_id == INVOICES.c.id),
    "a bare window": select(func.sum(INVOICES.c.amount).over(partition_by=INVOICES.c.org_id)),
    "a bare lateral": select(Note.id, select(INVOICES.c.id).lateral().c.id),
    "a table in other letters": select(table("INVOICES", column("id"))),
    "a table of the same name in other letters": select(
        Table("Invoices", MetaData(), Column("id", Integer)).c.id
    ),
    "text at the end": select(Note.id).suffix_with("UNION ALL SELECT id FROM invoices"),
    "text at the beginning": select(Note.id).prefix_with("(SELECT max(id) FROM invoices),"),
    "text at the beginning beside a model": select(Invoice.id).prefix_with("ALL 1 AS one,"),
    "text as a hint": select(Note.id).with_statement_hint("UNION ALL SELECT id FROM invoices"),
    "text as an operator": select(Note.id).where(Note.id.op("IN (SELECT id FROM invoices) OR 1 =")(1)),
    "an operator that undoes a filter": select(Invoice.id).where(Invoice.id.op("OR", precedence=100)(1)),
    "text that spells the table by numbers": text('SELECT * FROM U&"\\0069nvoices"'),
    "a definition": DDL("UPDATE invoices SET amount = 0"),
    "the end of a table": DropTable(INVOICES),
    "a bare column in a subquery beside the model": select(Invoice.id).where(
        exists(select(literal(1)).where(INVOICES.c.amount > 15))
    ),
    "a bare column in a subquery that is correlated with nothing": select(Invoice.id).where(
        exists(select(Note.id).where(INVOICES.c.amount > 15).correlate(None))
    ),
    "an update from another model": update(Note)
    .where(Note.invoice_id == Invoice.id)
    .values(invoice_id=Invoice.amount),
    "an update from an alias": update(Note)
    .where(Note.invoice_id == other.id)
    .values(invoice_id=other.amount),
    "an update from another scoped model": update(Line)
    .where(Line.invoice_id == Invoice.id)
    .values(invoice_id=Invoice.amount),
    "an update from itself": update(Invoice).where(Invoice.id > other.id).values(amount=other.amount),
    "a deletion by another model": delete(Note).where(Note.invoice_id == Invoice.id),
    "an update inside a query": select(update(Invoice).values(amount=0).returning(Invoice.id).cte().c.id),
    "an update beside a query": select(Note.id).add_cte(delete(Invoice).returning(Invoice.id).cte()),
    "a change of organization in order": update(Invoice).ordered_values(("org_id", "org_b")),
    "a change of organization": update(Invoice).values(org_id="org_b"),
    "a change of organization by column": update(Invoice).values({Invoice.org_id: "org_b"}),
    "an update of a model whose organization stands in its parent's table": update(Credit).values(reason="x"),
    "a deletion of a model whose organization stands in its parent's table": delete(Credit),
    "a model that inherits its organization, in a condition alone": select(Note.id).where(
        Note.invoice_id == Credit.id
    ),
    "a model that inherits its organization, in exists": select(Note.id).where(
        exists().where(Note.invoice_id == Credit.id)
    ),
    "columns that take the place of a model after a join": select(Invoice)
    .join(Line, Line.invoice_id == Invoice.id)
    .with_only_columns(func.count()),
    "a model that inherits its organization, beside what is joined": select(func.abs(Credit.id)).join_from(
        Note, Note.invoice
    ),
    "a model that inherits its organization, beside what is selected from": select(Credit).select_from(Note),
    "a model joined to the one that it inherits from": select(Invoice.id).join(
        Credit, Credit.id > Invoice.id
    ),
    "a model joined to itself": select(Credit.id).join(Credit, Credit.id > 0),
    "a bare column beside an alias of the model": select(other.id, INVOICES.c.id),
    "a bare column in a condition on an alias": select(other.id).where(INVOICES.c.amount > 15),
    "a bare column beside a relationship to an alias": select(Note.id, INVOICES.c.id).join(
        Note.invoice.of_type(other)
    ),
    "text that names a table with a hyphen": text('SELECT id FROM "oddly-named"'),
    "a model in a function of a condition": select(Note.id).where(func.coalesce(Invoice.amount, 0) > 15),
    "a model in a function of exists": select(Note.id).where(exists().where(func.abs(Invoice.amount) > 15)),
    "a subquery that begins from no model": select(Note.id).where(
        exists().where(or_(Invoice.amount > 15, Invoice.amount < 0))
    ),
    "an alias that the query around has, too": select(other.id).where(
        exists().where(func.abs(other.id) == 2)
    ),
    "a model of the query two around": select(Invoice.id).where(
        exists(select(Note.id).where(exists(select(Line.id).where(func.abs(Invoice.id) == 2))))
    ),
    "the second model of an expression": select(Note.id + Invoice.amount),
    "the second model of a function": select(func.json_array(Note.id, Invoice.amount)),
    "the second model of an expression in a bundle": select(Bundle("b", Note.id + Invoice.amount)),
    "a member of a join": select(Note.id).select_from(join(Note, Invoice, true())),
    "a member of an outer join": select(func.count()).select_from(outerjoin(Note, Invoice, true())),
    "the far side of a full join": select(Note.id, Invoice.id).join(Invoice, true(), full=True),
    "an expression for a row from a bare table": select(Note).options(
        with_expression(Note.counted, select(func.count(INVOICES.c.id)).scalar_subquery())
    ),
    "an expression for a row from a model": select(Note).options(
        with_expression(Note.counted, select(func.count(Invoice.id)).scalar_subquery())
    ),
    "an expression for a row from text": select(Note).options(
        with_expression(Note.counted, literal_column("(SELECT count(*) FROM invoices)"))
    ),
    "a criterion from a bare table": select(Note).options(
        with_loader_criteria(Note, Note.invoice_id.in_(select(INVOICES.c.id)))
    ),
    "a criterion from another model": select(Note).options(
        with_loader_criteria(Note, lambda note: note.id < Invoice.amount)
    ),
    "a criterion of text": select(Invoice).options(with_loader_criteria(Invoice, text("1=1 OR 1=1"))),
    "a criterion of text along a relationship": select(Note).options(
        selectinload(Note.invoice.and_(text("1=1 OR 1=1")))
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_statement_around_the_model_is_refused(read_only: sessionmaker[OrgSession], name: str) -> None:
    with read_only(organization="org_a") as session, pytest.raises(UnscopedStatement):
        session.execute(REFUSED[name])


def test_a_reflected_table_is_refused_too(session: OrgSession, engine: Engine) -> None:
    with pytest.raises(UnscopedStatement):
        session.execute(select(Table("invoices", MetaData(), autoload_with=engine)))


ROUNDABOUT: dict[str, Callable[[OrgSession], Any]] = {
    "a connection": lambda s: s.connection(),
    "bulk objects": lambda s: s.bulk_save_objects([Invoice(id=9, org_id="org_b", amount=1)]),
    "bulk inserts": lambda s: s.bulk_insert_mappings(Invoice, [{"id": 9, "org_id": "org_b", "amount": 1}]),
    "bulk updates": lambda s: s.bulk_update_mappings(Invoice, [{"id": THEIRS, "amount": 1}]),
    "updates by key": lambda s: s.execute(update(Invoice), [{"id": THEIRS, "amount": 1}]),
    "an organization as a parameter": lambda s: s.execute(update(Invoice), {"org_id": "org_b"}),
    "inserts of many": lambda s: s.execute(insert(Invoice), [{"id": 9, "org_id": "org_b", "amount": 1}]),
}


@pytest.mark.parametrize("name", ROUNDABOUT)
def test_ways_around_the_session_are_closed(session: OrgSession, name: str) -> None:
    with pytest.raises(UnscopedStatement):
        ROUNDABOUT[name](session)


def test_a_relationship_that_no_filter_reaches_is_refused() -> None:
    class Own(DeclarativeBase):
        pass

    class Seat(OrgScoped, Own):
        __tablename__ = "seats"
        person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
        team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"), primary_key=True)

    class Person(Own):
        __tablename__ = "people"
        id: Mapped[int] = mapped_column(primary_key=True)
        teams: Mapped[list["Team"]] = relationship("Team", secondary="seats", viewonly=True)

    class Team(Own):
        __tablename__ = "teams"
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(Misused, match=r"Person\.teams"):
        configure_mappers()
    Own.registry.dispose()


def test_a_relationship_to_the_unscoped_half_of_a_hierarchy_is_refused() -> None:
    class Own(DeclarativeBase):
        pass

    class Paper(Own):
        __tablename__ = "papers"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "paper"}  # noqa: RUF012

    class Bill(OrgScoped, Paper):
        __tablename__ = "bills"
        id: Mapped[int] = mapped_column(ForeignKey("papers.id"), primary_key=True)
        __mapper_args__ = {"polymorphic_identity": "bill"}  # noqa: RUF012

    class Folder(Own):
        __tablename__ = "folders"
        id: Mapped[int] = mapped_column(primary_key=True)
        paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id"))
        paper: Mapped[Paper] = relationship(Paper)

    assert issubclass(Bill, Paper)
    with pytest.raises(Misused, match=r"Folder\.paper"):
        configure_mappers()
    Own.registry.dispose()


def test_a_computed_property_that_no_filter_reaches_is_refused() -> None:
    class Own(DeclarativeBase):
        pass

    class Budget(Own):
        __tablename__ = "budgets"
        id: Mapped[int] = mapped_column(primary_key=True)
        exceeded: Mapped[bool] = column_property(exists().where(func.abs(Invoice.amount) > 15))

    with pytest.raises(UnscopedStatement):
        Budget()
    Own.registry.dispose()
