"""SQLAlchemy over the driver: schema, types, ORM, savepoints, reflection and migrations, by HTTP and by WebSocket."""

import datetime
import decimal
import enum
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import (
    JSON,
    URL,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    Enum,
    ForeignKey,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    create_engine,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload
from sqlalchemy.pool import NullPool

import keystead_hrana
from tests.engines.proxy import Fault, Kind, Proxy
from tests.engines.sqld import Sqld

pytestmark = pytest.mark.libsql


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Base(DeclarativeBase):
    pass


class Owner(Base):
    __tablename__ = "owners"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    pets: Mapped[list["Pet"]] = relationship(back_populates="owner", cascade="all, delete-orphan")


class Pet(Base):
    __tablename__ = "pets"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id", ondelete="CASCADE"), index=True)
    owner: Mapped[Owner] = relationship(back_populates="pets")


KINDS = Table(
    "kinds",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("big", BigInteger),
    Column("flag", Boolean),
    Column("at", DateTime),
    Column("data", LargeBinary),
    Column("document", JSON),
    Column("uuid", Uuid),
    Column("colour", Enum(Colour)),
    Column("price", Numeric(10, 2)),
    Column("took", Interval),
)


@pytest.fixture(params=["http", "libsql-client"])
def engine(sqld: Sqld, namespace: str, request: pytest.FixtureRequest) -> Iterator[Engine]:
    query = {"namespace": namespace, "transport": request.param}
    url = URL.create("sqlite+hrana", host="127.0.0.1", port=sqld.port, query=query)
    engine = create_engine(url, connect_args={"token": sqld.token})
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session


def test_every_type_comes_back_as_it_was(engine: Engine) -> None:
    KINDS.metadata.create_all(engine)
    row = {
        "id": 1,
        "big": 2**63 - 1,
        "flag": True,
        "at": datetime.datetime(2026, 2, 28, 23, 59, 59, 999_999),  # noqa: DTZ001 - SQLite has no zones
        "data": bytes(range(256)),
        "document": {"a": [1, None, "é"], "b": 2**53 + 1},
        "uuid": uuid.UUID(int=2**128 - 1),
        "colour": Colour.BLUE,
        "price": decimal.Decimal("12.34"),
        "took": datetime.timedelta(days=1, microseconds=1),
    }
    with engine.begin() as connection:
        connection.execute(insert(KINDS), [row])
        assert dict(connection.execute(select(KINDS)).mappings().one()) == row
        assert connection.execute(select(KINDS.c.document["a"][2].as_string())).scalar_one() == "é"


def test_objects_are_kept_loaded_changed_and_deleted_with_what_is_theirs(session: Session) -> None:
    session.add_all(
        [Owner(name=f"owner {i}", pets=[Pet(name=f"pet {i}-{j}") for j in range(3)]) for i in range(50)]
    )
    session.commit()
    owners = session.scalars(select(Owner).options(selectinload(Owner.pets)).order_by(Owner.id)).all()
    assert [len(owner.pets) for owner in owners] == [3] * 50
    owners[0].pets.pop()
    owners[1].name = "another"
    session.delete(owners[2])
    session.commit()
    assert session.scalar(select(func.count()).select_from(Pet)) == 50 * 3 - 1 - 3
    assert session.scalar(select(Owner.name).where(Owner.id == owners[1].id)) == "another"


def test_a_savepoint_survives_a_broken_constraint(session: Session) -> None:
    session.add(Owner(name="Ada"))
    session.flush()
    for _ in range(2):
        with pytest.raises(IntegrityError, match="UNIQUE constraint failed"), session.begin_nested():
            session.add(Owner(name="Ada"))
    with session.begin_nested():
        session.add(Owner(name="Bo"))
    session.commit()
    assert session.scalars(select(Owner.name).order_by(Owner.name)).all() == ["Ada", "Bo"]


def test_what_is_rolled_back_was_never_there(engine: Engine, session: Session) -> None:
    session.add(Owner(name="Ada"))
    session.flush()
    session.rollback()
    with engine.connect() as connection:
        connection.execute(insert(Owner.__table__), {"name": "Bo"})  # type: ignore[arg-type]
    assert session.scalars(select(Owner.name)).all() == []


def test_rows_are_upserted_and_returned(session: Session) -> None:
    statement = upsert(Owner).values([{"name": "Ada"}, {"name": "Bo"}])
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_={"name": statement.excluded.name + "!"}
    )
    returned = statement.returning(Owner.name)
    assert session.scalars(returned).all() == ["Ada", "Bo"]
    assert session.scalars(returned).all() == ["Ada!", "Bo!"]
    changed = session.execute(update(Owner).where(Owner.name == "Ada!").values(name="Cy").returning(Owner.id))
    assert changed.all() == [(1,)]
    assert session.execute(delete(Owner).where(Owner.id > 0)).rowcount == 2  # type: ignore[attr-defined]


def test_the_schema_is_read_back(engine: Engine, session: Session) -> None:
    found = inspect(engine)
    assert found.get_table_names() == ["owners", "pets"]
    assert [column["name"] for column in found.get_columns("pets")] == ["id", "name", "owner_id"]
    (key,) = found.get_foreign_keys("pets")
    assert (key["referred_table"], key["options"]) == ("owners", {"ondelete": "CASCADE"})
    assert [index["name"] for index in found.get_indexes("pets")] == ["ix_pets_owner_id"]
    assert [unique["column_names"] for unique in found.get_unique_constraints("owners")] == [["name"]]
    read = MetaData()
    read.reflect(engine)
    assert set(read.tables) == {"owners", "pets"}


def _migrate(connection: Connection) -> None:
    operations = Operations(MigrationContext.configure(connection, opts={"transactional_ddl": True}))
    operations.add_column("owners", Column("note", Text))
    operations.create_index("ix_owners_note", "owners", ["note"])
    operations.create_table(
        "cages", Column("id", Integer, primary_key=True), UniqueConstraint("id", name="one")
    )
    operations.bulk_insert(Table("cages", MetaData(), Column("id", Integer)), [{"id": 1}, {"id": 2}])


def test_a_migration_is_compared_applied_and_undone(engine: Engine, session: Session) -> None:
    def differences() -> list[Any]:
        with engine.connect() as connection:
            return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))

    assert differences() == []
    with engine.connect() as connection:
        _migrate(connection)
        connection.rollback()
    assert differences() == []
    with engine.begin() as connection:
        _migrate(connection)
    assert {difference[0] for difference in differences()} == {
        "remove_table",
        "remove_column",
        "remove_index",
    }


def test_a_table_is_rebuilt_without_losing_what_refers_to_it(
    sqld: Sqld, namespace: str, engine: Engine, session: Session
) -> None:
    """SQLite deletes the children of a table that is dropped, unless foreign keys are off before the transaction."""
    session.add(Owner(name="Ada", pets=[Pet(name="Rex")]))
    session.commit()
    unguarded = create_engine(engine.url, connect_args={"token": sqld.token, "foreign_keys": False})
    with unguarded.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("owners", recreate="always") as batch:
            batch.alter_column("name", existing_type=Text(), nullable=True)
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
    assert sqld.query(namespace, "SELECT name FROM pets") == [("Rex",)]
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(Pet.__table__), {"name": "Stray", "owner_id": 77})  # type: ignore[arg-type]


def test_autocommit_keeps_each_statement(engine: Engine, session: Session) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(insert(Owner.__table__), {"name": "Ada"})  # type: ignore[arg-type]
        assert connection.get_isolation_level() == "AUTOCOMMIT"
    assert session.scalars(select(Owner.name)).all() == ["Ada"]
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "SERIALIZABLE"


def test_a_lost_connection_is_known_as_lost(sqld: Sqld, namespace: str, proxy: Proxy) -> None:
    engine = create_engine(
        f"sqlite+hrana://127.0.0.1:{proxy.port}/?namespace={namespace}&mode=immediate&timeout=5",
        connect_args={"token": sqld.token()},
    )
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        assert b"BEGIN IMMEDIATE" in proxy.seen[-1].body
        proxy.inject(Fault(Kind.CUT_AFTER_ANSWER))
        with pytest.raises(DBAPIError) as raised:
            connection.execute(text("SELECT 2"))
        assert raised.value.connection_invalidated
        assert isinstance(raised.value.orig, keystead_hrana.StreamLost)


def test_the_url_says_where_and_how() -> None:
    engine = create_engine(
        "sqlite+hrana://:secret@db.example:8080/prefix?namespace=acme&tls=1&connect_timeout=1.5"
    )
    (url,), options = engine.dialect.create_connect_args(engine.url)
    assert url == "https://db.example:8080/prefix"
    assert options == {"namespace": "acme", "connect_timeout": 1.5, "token": "secret"}
    assert "secret" not in repr(engine.url)
    assert engine.pool.__class__ is NullPool
    (local,), _ = engine.dialect.create_connect_args(create_engine("sqlite+hrana://[::1]:8080/").url)
    assert local == "http://[::1]:8080/"


@pytest.mark.parametrize(
    "query", ["tls=yes", "unknown=1", "namespace=a&namespace=b", "foreign_keys=2", "timeout=soon"]
)
def test_a_url_with_an_option_that_is_none_is_refused(query: str) -> None:
    with pytest.raises(ArgumentError):
        create_engine(f"sqlite+hrana://127.0.0.1:1/?{query}")


def test_a_url_names_a_host() -> None:
    with pytest.raises(ArgumentError, match="names its host"):
        create_engine("sqlite+hrana:///file")
