"""One row of a table as a resource: found, made, changed, removed. Every resource does it by these.

Units of work; the caller hands in ids and times. Whether a row may be changed at all is the database's to say
(`models.triggers`): a change that changes nothing never gets there, and is a success on a system entity too.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Row,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from core.database.rules import broken_rule
from core.errors import Conflict, NotFound
from tenant_runtime.management.calls import Written

Shape = Callable[[Row[Any]], dict[str, Any]]
NAMED = 5


@dataclass(frozen=True, slots=True)
class Entity:
    """`noun` stands in errors: `inexistent_role`, "A role with this name already exists."."""

    noun: str
    table: Table
    key: str
    shape: Shape

    @property
    def column(self) -> Column[Any]:
        return self.table.c[self.key]

    @property
    def _select(self) -> Select[Any]:
        return select(self.table).where(self.column == bindparam("of"))

    @property
    def _update(self) -> Update:
        return update(self.table).where(self.column == bindparam("of"))

    @property
    def _delete(self) -> Delete:
        return delete(self.table).where(self.column == bindparam("of"))

    def find(self, connection: Connection, key: str) -> Row[Any] | None:
        return connection.execute(self._select, {"of": key}).one_or_none()

    def load(self, connection: Connection, key: str) -> Row[Any]:
        row = self.find(connection, key)
        if row is None:
            raise NotFound(self.noun)
        return row

    def create(self, connection: Connection, values: Mapping[str, Any]) -> Row[Any]:
        try:
            connection.execute(insert(self.table), dict(values))
        except IntegrityError as error:
            raise self._taken(error) or error from error
        return self.load(connection, values[self.key])

    def change(self, connection: Connection, row: Row[Any], values: Mapping[str, Any], now: int) -> Row[Any]:
        """The row as it is afterwards; the same row when nothing differs, and then nothing was written."""
        different = {name: value for name, value in values.items() if row._mapping[name] != value}
        if not different:
            return row
        if "updated_at" in self.table.c:
            different["updated_at"] = now
        key = row._mapping[self.key]
        try:
            connection.execute(self._update.values(different), {"of": key})
        except IntegrityError as error:
            raise self._taken(error) or error from error
        return self.load(connection, different.get(self.key, key))

    def remove(self, connection: Connection, key: str) -> Written:
        """What is not there any more is not an error: Auth0 answers 204 each time."""
        row = self.find(connection, key)
        if row is None:
            return Written()
        connection.execute(self._delete, {"of": key})
        return Written(before=self.shape(row))

    def made(self, row: Row[Any]) -> Written:
        shown = self.shape(row)
        return Written(answer=shown, after=shown)

    def changed(self, before: Row[Any], after: Row[Any]) -> Written:
        shown = self.shape(after)
        return Written(answer=shown, before=self.shape(before), after=shown)

    def _taken(self, error: IntegrityError) -> Conflict | None:
        if broken_rule(error) != "unique":
            return None
        noun = self.noun.replace("_", " ")
        article = "An" if noun[0] in "aeio" else "A"
        return Conflict(f"{article} {noun} with this name or identifier already exists.")


def check_all_known(resource: str, asked: Iterable[str], known: Iterable[str]) -> None:
    """Some of those that are not there are named: a body may ask for a hundred."""
    missing = sorted(set(asked) - set(known))
    if missing:
        rest = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise NotFound(resource, f"There is no {resource} {', '.join(missing[:NAMED])}{rest}.")
