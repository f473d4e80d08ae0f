"""Rows of the caller's organization, in statements that no `OrgSession` looks at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, ForeignKey, create_engine, delete, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column

from keystead_sdk import Misused, NotAccessible, OrganizationRequired, Principal
from keystead_sdk.access import access_filter, assert_access
from keystead_sdk.organizations import OrgScoped


class Base(DeclarativeBase):
    pass


class Report(OrgScoped, Base):
    __tablename__ = "reports"
    id: Mapped[int] = mapped_column(primary_key=True)
    pages: Mapped[int] = mapped_column(default=1)


class Appendix(Report):
    """Its organization stands in the table of reports."""

    __tablename__ = "appendices"
    id: Mapped[int] = mapped_column(ForeignKey("reports.id"), primary_key=True)
    title: Mapped[str] = mapped_column(default="")


class Country(Base):
    __tablename__ = "countries"
    id: Mapped[int] = mapped_column(primary_key=True)


MINE, THEIRS = 1, 2


def caller(org_id: str | None) -> Principal:
    return Principal(
        issuer="https://issuer.test/",
        subject="auth0|1",
        audience="https://api.test",
        client_id=None,
        scopes=frozenset(),
        permissions=frozenset(),
        org_id=org_id,
        org_name=None,
        tenant=None,
        claims={},
    )


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    engine: Engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Report(id=MINE, org_id="org_a"), Report(id=THEIRS, org_id="org_b")])
        session.commit()
        yield session
    engine.dispose()


def test_a_condition_keeps_a_statement_inside(session: Session) -> None:
    me, other = caller("org_a"), aliased(Report)
    assert session.scalars(select(Report.id).where(access_filter(Report, me))).all() == [MINE]
    assert session.scalars(select(other.id).where(access_filter(other, me))).all() == [MINE]
    session.execute(update(Report).where(access_filter(Report, me)).values(pages=2))
    assert session.scalars(select(Report.pages).order_by(Report.id)).all() == [2, 1]
    session.execute(delete(Report).where(access_filter(Report, me)))
    assert session.scalars(select(Report.id)).all() == [THEIRS]


def test_a_condition_keeps_a_statement_on_an_inherited_organization_inside(session: Session) -> None:
    me, other = caller("org_a"), aliased(Appendix)
    session.add_all([Appendix(id=3, org_id="org_a"), Appendix(id=4, org_id="org_b")])
    session.flush()
    assert session.scalars(select(Appendix.id).where(access_filter(Appendix, me))).all() == [3]
    assert session.scalars(select(other.id).where(access_filter(other, me))).all() == [3]
    session.execute(update(Appendix).where(access_filter(Appendix, me)).values(title="mine"))
    assert session.scalars(select(Appendix.title).order_by(Appendix.id)).all() == ["mine", ""]
    session.execute(delete(Appendix).where(access_filter(Appendix, me)))
    assert session.scalars(select(Appendix.id)).all() == [4]


def test_a_row_is_given_to_its_organization_only(session: Session) -> None:
    me = caller("org_a")
    assert assert_access(session.get(Report, MINE), me).id == MINE
    for row in (session.get(Report, THEIRS), None, Report(id=3)):
        with pytest.raises(NotAccessible):
            assert_access(row, me)


@pytest.mark.parametrize("nobody", [None, ""])
def test_without_an_organization_nothing_passes(session: Session, nobody: str | None) -> None:
    for row in (session.get(Report, MINE), Report(id=3), None):
        with pytest.raises(OrganizationRequired):
            assert_access(row, caller(nobody))
    with pytest.raises(OrganizationRequired):
        access_filter(Report, caller(nobody))


@pytest.mark.parametrize(
    "model", [Country, Report.__table__, object(), None], ids=["model", "table", "object", "none"]
)
def test_what_has_no_organization_has_no_condition(model: object) -> None:
    with pytest.raises(Misused):
        access_filter(model, caller("org_a"))
