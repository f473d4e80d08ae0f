"""Rows of another organization are out of reach, whatever the statement looks like."""

from collections.abc import Callable, Iterator
from pathlib import Path
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
    create_engine,
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
    union,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import (
    Bundle,
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    column_property,
    configure_mappers,
    join,
    joinedload,
    load_only,
    mapped_column,
    outerjoin,
    query_expression,
    relationship,
    selectinload,
    sessionmaker,
    subqueryload,
    with_expression,
    with_loader_criteria,
)
from sqlalchemy.schema import DropTable

from keystead_sdk import Misused, OrganizationRequired, UnscopedStatement
from keystead_sdk.organizations import OrgScoped, OrgSession

pytestmark = pytest.mark.anyio


class Base(DeclarativeBase):
    pass


class Invoice(OrgScoped, Base):
    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]
    lines: Mapped[list["Line"]] = relationship(back_populates="invoice")


class Line(OrgScoped, Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"))
    invoice: Mapped[Invoice] = relationship(back_populates="lines")


class Note(Base):
    """Of no organization, but pointing at invoices of every one."""

    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id"))
    invoice: Mapped[Invoice] = relationship()
    counted: Mapped[int] = query_expression()


class Oddly(OrgScoped, Base):
    __tablename__ = "oddly-named"
    id: Mapped[int] = mapped_column(primary_key=True)


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    billed: Mapped[int] = column_property(select(func.count(Invoice.id)).scalar_subquery())


class Credit(Invoice):
    """Joined to its parent's table, which holds the organization."""

    __tablename__ = "credits"
    id: Mapped[int] = mapped_column(ForeignKey("invoices.id"), primary_key=True)
    reason: Mapped[str] = mapped_column(default="")


class AroundInvoice(Base):
    __table__ = Invoice.__table__


INVOICES: Any = Invoice.__table__
MINE, THEIRS = 1, 2


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    yield from filled(tmp_path)


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sessionmaker[OrgSession]]:
    for engine in filled(tmp_path_factory.mktemp("read_only")):
        yield sessionmaker(engine, class_=OrgSession)


def filled(directory: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{directory}/app.db")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Invoice(id=MINE, org_id="org_a", amount=10, lines=[Line(id=1, org_id="org_a")]))
        session.add(Invoice(id=THEIRS, org_id="org_b", amount=20, lines=[Line(id=2, org_id="org_b")]))
        session.flush()
        session.add_all([Note(id=1, invoice_id=MINE), Note(id=2, invoice_id=THEIRS)])
        session.commit()
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[OrgSession]:
    return sessionmaker(engine, class_=OrgSession)


@pytest.fixture
def session(sessions: sessionmaker[OrgSession]) -> Iterator[OrgSession]:
    with sessions(organization="org_a") as session:
        yield session


other = aliased(Invoice)
subquery = select(Invoice).subquery()
common = select(Invoice.id).cte()
INSIDE: dict[str, tuple[Any, list[Any]]] = {
    "a model": (select(Invoice.id), [1]),
    "an alias": (select(other.id), [1]),
    "a self join": (select(other.id).join(Invoice, other.amount >= Invoice.amount), [1]),
    "a subquery": (select(subquery.c.id), [1]),
    "an alias of a subquery": (select(aliased(Invoice, subquery).id), [1]),
    "a common table expression": (select(common.c.id), [1]),
    "a union": (union(select(Invoice.id), select(Invoice.id)), [1]),
    "a union inside": (select(union_all(select(Invoice.id), select(Invoice.id)).subquery().c.id), [1, 1]),
    "a count": (select(func.count()).select_from(Invoice), [1]),
    "an aggregate": (select(func.max(Invoice.amount)), [10]),
    "a scalar subquery": (select(select(func.max(Invoice.amount)).scalar_subquery()), [10]),
    "exists": (select(exists(select(Invoice.id).where(Invoice.id == THEIRS))), [False]),
    "exists in a condition": (select(Note.id).where(exists().where(Invoice.id == Note.invoice_id)), [1]),
    "in a condition": (select(Note.id).where(Note.invoice_id.in_(select(Invoice.id))), [1]),
    "has": (select(Note.id).where(Note.invoice.has(Invoice.amount > 0)), [1]),
    "any": (select(Invoice.id).where(Invoice.lines.any()), [1]),
    "a relationship join": (select(Note.id).join(Note.invoice), [1]),
    "an explicit join": (select(Note.id).join(Invoice, Invoice.id == Note.invoice_id), [1]),
    "an outer join": (select(Invoice.id).select_from(Note).outerjoin(Invoice).order_by(Note.id), [1, None]),
    "two scoped models": (select(Line.id).join(Line.invoice).where(Invoice.amount > 0), [1]),
    "a bundle": (select(Bundle("b", Invoice.id)), [(1,)]),
    "a condition that says or": (select(Invoice.id).where((Invoice.id == THEIRS) | (literal(1) == 1)), [1]),
    "a window": (select(func.sum(Invoice.amount).over()).select_from(Invoice), [10]),
    "an order by a subquery": (select(Invoice.id).order_by(select(func.max(Line.id)).scalar_subquery()), [1]),
    "the organization by a bare column": (select(Invoice.id).where(INVOICES.c.org_id == "org_b"), []),
    "grouped": (select(func.count(Invoice.id)).group_by(Invoice.org_id).having(func.count() > 0), [1]),
    "a condition between two models": (select(Note.id).where(Note.invoice_id == Invoice.id), [1]),
    "a subquery that is correlated with nothing": (
        select(Note.id).where(Note.invoice_id.in_(select(Invoice.id).correlate(None))),
        [1],
    ),
    "a model over a bare alias": (select(aliased(Invoice, INVOICES.alias()).id), [1]),
    "a model over a bare subquery": (select(aliased(Invoice, select(INVOICES).subquery()).id), [1]),
    "an operator of the database": (select(Invoice.id).where(Invoice.id.op("<<")(1) > 0), [1]),
    "another organization by name": (select(Invoice.id).where(Invoice.org_id == "org_b"), []),
    "a function of the model around": (
        select(Invoice.id).where(exists(select(Line.id).where(Line.invoice_id == func.abs(Invoice.id)))),
        [1],
    ),
    "a function of a joined model": (
        select(Note.id).join(Note.invoice).where(func.abs(Invoice.amount) > 0),
        [1],
    ),
    "one expression of two joined models": (select(Note.id + Invoice.amount).join(Note.invoice), [11]),
    "a join by a joined model": (
        select(Note.id).join_from(Invoice, Note, Note.invoice_id == Invoice.id),
        [1],
    ),
    "a criterion with a subquery": (
        select(Note.id).options(with_loader_criteria(Note, Note.invoice_id.in_(select(Invoice.id)))),
        [1],
    ),
}


@pytest.mark.parametrize("name", INSIDE)
def test_a_statement_on_a_model_stays_inside(read_only: sessionmaker[OrgSession], name: str) -> None:
    statement, expected = INSIDE[name]
    for _ in range(2):
        with read_only(organization="org_b") as theirs:
            theirs.scalars(statement).all()
        with read_only(organization="org_a") as mine:
            assert list(mine.scalars(statement)) == expected


@pytest.mark.parametrize("name", INSIDE)
def test_without_an_organization_there_is_an_error(read_only: sessionmaker[OrgSession], name: str) -> None:
    for nobody in (None, ""):
        with read_only(organization=nobody) as session, pytest.raises(OrganizationRequired):
            session.execute(INSIDE[name][0])


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
    "another model of the table": select(AroundInvoice.id),
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


def test_a_recursive_expression_stays_inside(session: OrgSession) -> None:
    tree = select(Invoice.id).cte(recursive=True)
    tree = tree.union(select(Invoice.id).join(tree, Invoice.id == tree.c.id + 1))
    assert session.scalars(select(Invoice.id).join(tree, tree.c.id == Invoice.id)).all() == [MINE]


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


def test_rows_of_others_cannot_be_fetched_updated_or_deleted(session: OrgSession, engine: Engine) -> None:
    assert session.get(Invoice, THEIRS) is None
    assert session.get(Invoice, MINE) is not None
    assert session.execute(update(Invoice).values(amount=11)).rowcount == 1  # type: ignore[attr-defined]
    assert session.execute(delete(Invoice).where(Invoice.id == THEIRS)).rowcount == 0  # type: ignore[attr-defined]
    assert session.query(Invoice).filter(Invoice.id == THEIRS).update({"amount": 0}) == 0
    assert session.query(Line).delete() == 1
    largest = select(func.max(Invoice.id)).scalar_subquery()
    session.execute(update(Note).values(invoice_id=largest))
    assert session.scalars(select(Note.invoice_id)).all() == [MINE, MINE]
    returned = update(Invoice).values(amount=Invoice.amount + 1).returning(Invoice.id)
    assert session.scalars(returned).all() == [MINE]
    session.commit()
    with Session(engine) as every:
        assert dict(every.execute(select(Invoice.id, Invoice.amount)).all()) == {MINE: 12, THEIRS: 20}  # type: ignore[arg-type]
        assert every.scalars(select(Line.id)).all() == [2]


@pytest.mark.parametrize("load", [None, joinedload, selectinload, subqueryload])
def test_loads_along_relationships_stay_inside(session: OrgSession, load: Any) -> None:
    options = [load(Note.invoice)] if load else []
    notes = session.scalars(select(Note).options(*options).order_by(Note.id)).all()
    assert [note.invoice and note.invoice.id for note in notes] == [MINE, None]


@pytest.mark.parametrize("load", [None, joinedload, selectinload, subqueryload])
def test_loads_along_relationships_need_an_organization(
    sessions: sessionmaker[OrgSession], load: Any
) -> None:
    options = [load(Note.invoice)] if load else []
    with sessions(organization=None) as session, pytest.raises(OrganizationRequired):
        assert [note.invoice for note in session.scalars(select(Note).options(*options))]


def test_new_rows_are_stamped(session: OrgSession, engine: Engine) -> None:
    session.add(Invoice(id=3, amount=30, lines=[Line(id=3)]))
    session.commit()
    with Session(engine) as every:
        assert every.scalar(select(Invoice.org_id).where(Invoice.id == 3)) == "org_a"
        assert every.scalar(select(Line.org_id).where(Line.id == 3)) == "org_a"


def test_rows_cannot_be_given_to_or_taken_from_others(sessions: sessionmaker[OrgSession]) -> None:
    def add(session: OrgSession) -> None:
        session.add(Invoice(id=3, org_id="org_b", amount=1))

    def give_away(session: OrgSession) -> None:
        session.get_one(Invoice, MINE).org_id = "org_b"

    def delete_detached(session: OrgSession) -> None:
        session.delete(theirs)

    with sessions(organization="org_b") as session:
        theirs = session.get_one(Invoice, THEIRS)
    for wrong in (add, give_away, delete_detached):
        with sessions(organization="org_a") as session:
            wrong(session)
            with pytest.raises(UnscopedStatement):
                session.flush()
    with sessions(organization=None) as session:
        session.add(Invoice(id=3, amount=1))
        with pytest.raises(OrganizationRequired):
            session.flush()


def test_a_row_that_came_from_elsewhere_is_not_taken_over(
    sessions: sessionmaker[OrgSession], engine: Engine
) -> None:
    with sessions(organization="org_b", expire_on_commit=False) as session:
        theirs = session.scalars(
            select(Invoice).options(load_only(Invoice.amount)).filter_by(id=THEIRS)
        ).one()
    with sessions(organization="org_a") as session:
        session.add(theirs)
        theirs.org_id = "org_a"
        with pytest.raises(UnscopedStatement):
            session.commit()
    with Session(engine) as every:
        assert every.scalar(select(Invoice.org_id).where(Invoice.id == THEIRS)) == "org_b"


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


def test_what_belongs_to_nobody_needs_no_organization(sessions: sessionmaker[OrgSession]) -> None:
    with sessions(organization=None) as session:
        assert session.scalars(select(Note.id)).all() == [1, 2]
        assert session.scalar(text("select count(*) from notes")) == 2
        session.add(Note(id=3, invoice_id=MINE))
        session.commit()


def test_rows_are_refreshed_and_merged_inside(session: OrgSession) -> None:
    invoice = session.get_one(Invoice, MINE)
    session.expire(invoice)
    assert invoice.amount == 10
    session.merge(Invoice(id=MINE, amount=12))
    session.commit()
    assert invoice.amount == 12


def test_a_row_of_others_is_not_merged_over(session: OrgSession, engine: Engine) -> None:
    session.merge(Invoice(id=THEIRS, amount=0))
    with pytest.raises(IntegrityError):
        session.commit()
    with Session(engine) as every:
        assert every.scalar(select(Invoice.amount).where(Invoice.id == THEIRS)) == 20


def test_a_model_that_inherits_its_organization_stays_inside(sessions: sessionmaker[OrgSession]) -> None:
    for number, organization in ((7, "org_a"), (8, "org_b")):
        with sessions(organization=organization) as session:
            session.add(Credit(id=number, amount=1))
            session.commit()
    with sessions(organization="org_a") as session:
        assert session.scalars(select(Credit.id)).all() == [7]
        assert session.scalars(select(Invoice.id).order_by(Invoice.id)).all() == [MINE, 7]
        assert [row.id for row in session.scalars(select(Invoice).order_by(Invoice.id))] == [MINE, 7]
        assert session.get(Credit, 8) is None
        with pytest.raises(UnscopedStatement):
            session.execute(select(Note.id, Credit.__table__.c.id))
        with pytest.raises(UnscopedStatement):
            session.execute(select(Credit.id).select_from(join(Credit, INVOICES, INVOICES.c.id > Credit.id)))


def test_computed_properties_of_models_stay_inside(sessions: sessionmaker[OrgSession]) -> None:
    with sessions(organization="org_a") as session:
        session.add(Customer(id=1))
        session.commit()
        assert session.get_one(Customer, 1).billed == 1
    with sessions(organization=None) as session, pytest.raises(OrganizationRequired):
        session.get(Customer, 1)


async def test_with_asyncio_it_is_the_same(tmp_path: Path, engine: Engine) -> None:
    assert engine.url.database
    asynchronous = create_async_engine(f"sqlite+aiosqlite:///{engine.url.database}")
    async with AsyncSession(asynchronous, sync_session_class=OrgSession, organization="org_a") as session:
        assert (await session.scalars(select(Invoice.id))).all() == [MINE]
        assert [row.id async for row in await session.stream_scalars(select(Invoice))] == [MINE]
        assert await session.get(Invoice, THEIRS) is None
        invoice = await session.get_one(Invoice, MINE)
        await session.refresh(invoice, ["lines"])
        assert [line.id for line in invoice.lines] == [1]
        for around in (text("select * from invoices"), select(INVOICES), DDL("DROP TABLE invoices")):
            with pytest.raises(UnscopedStatement):
                await session.execute(around)
        for raw in (session.connection, lambda: session.run_sync(lambda inner: inner.connection())):
            with pytest.raises(UnscopedStatement):
                await raw()
    async with AsyncSession(asynchronous, sync_session_class=OrgSession, organization=None) as session:
        with pytest.raises(OrganizationRequired):
            await session.stream(select(Invoice))
    await asynchronous.dispose()
