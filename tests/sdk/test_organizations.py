"""Rows of another organization are out of reach, whatever the statement looks like."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    DDL,
    Engine,
    delete,
    exists,
    func,
    literal,
    select,
    text,
    union,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import (
    Bundle,
    Session,
    aliased,
    join,
    joinedload,
    load_only,
    selectinload,
    sessionmaker,
    subqueryload,
    with_loader_criteria,
)

from keystead_sdk import OrganizationRequired, UnscopedStatement
from keystead_sdk.organizations import OrgSession
from tests.sdk.invoices import INVOICES, MINE, THEIRS, Credit, Customer, Invoice, Line, Note

pytestmark = pytest.mark.anyio

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


def test_a_recursive_expression_stays_inside(session: OrgSession) -> None:
    tree = select(Invoice.id).cte(recursive=True)
    tree = tree.union(select(Invoice.id).join(tree, Invoice.id == tree.c.id + 1))
    assert session.scalars(select(Invoice.id).join(tree, tree.c.id == Invoice.id)).all() == [MINE]


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
        assert dict(every.execute(select(Invoice.id, Invoice.amount)).all()) == {MINE: 12, THEIRS: 20}
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
        lines = select(func.count(Line.id)).select_from(Credit).outerjoin(Credit.lines)
        assert session.scalar(lines) == 0
        assert session.scalars(select(Credit.reason).join(Line, Line.id < Credit.id)).all() == [""]
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
