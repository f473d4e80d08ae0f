"""Models of an application, some of whose rows belong to organizations, and a database with rows of two."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Engine,
    ForeignKey,
    create_engine,
    func,
    select,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    column_property,
    mapped_column,
    query_expression,
    relationship,
)

from keystead_sdk.organizations import OrgScoped


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
