"""The declarative base of a tenant's database, and the column types its models share."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from sqlalchemy import JSON, BigInteger, ForeignKey, MetaData, Table
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Millis = Annotated[int, mapped_column(BigInteger)]
JsonList = Annotated[list[Any], mapped_column(JSON, default=list)]
JsonObject = Annotated[dict[str, Any], mapped_column(JSON, default=dict)]


def owned_by(target: str) -> ForeignKey:
    """A reference to the row that this one goes away with."""
    return ForeignKey(target, ondelete="CASCADE")


class TenantBase(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)

    if TYPE_CHECKING:
        __table__: ClassVar[Table]  # SQLAlchemy says only FromClause, which nothing can be inserted into
