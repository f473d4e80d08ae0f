"""What an engine must bring along to be a kind of remote database: how a transaction goes, and what errors mean."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from core.database.engine import UnitConnection
from core.database.faults import UnitBroken
from core.database.plain import Plain
from core.database.refs import DatabaseRef
from core.errors import DatabaseUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What an error of the network or the server means for the transaction; rules of the schema are none."""

    error: DatabaseUnavailable
    """What the caller is told when nothing else helps."""

    again: bool = False
    """Nothing was kept, so the whole unit may be run again."""

    unknown: bool = False
    """COMMIT was sent and not answered."""

    unanswered: bool = False
    """The server was not reached or said nothing in time: what the circuit breaker counts."""


class Session(Protocol):
    """One connection to one database, used by one thread at a time: one transaction after the other.

    Where the engine can, `begin` sends nothing by itself: what it asks travels with the first statement.
    """

    @property
    def units(self) -> UnitConnection:
        """The connection that units are given. It refuses to begin or end a transaction, to attach, and to write in
        a transaction that only reads."""

    @property
    def plain(self) -> Plain | None: ...

    @property
    def version(self) -> int | None:
        """Of the configuration, as this transaction saw it first; None as long as nothing was asked."""

    @property
    def is_lost(self) -> bool:
        """The transaction that was begun is there no more, or can only be undone."""

    @property
    def mark(self) -> str | None:
        """By which this transaction can be found if its COMMIT is not answered; None where there is no way."""

    def begin(self, *, writes: bool, until: float, converge: bool = False, foreign_keys: bool = True) -> None:
        """Start a transaction that must have ended at `until` (`time.monotonic`).

        Before any row of it is seen, identity is checked (`WrongDatabase`, `DatabaseCorrupt`) and `version` read.
        One that writes is the only one of this database, on all nodes, from here to its end. `converge` lifts the
        protection of system entities until COMMIT.
        """

    def reach(self) -> None:
        """Send what `begin` left unsent, so that its refusals come now."""

    def was_committed(self, mark: str) -> bool:
        """In a transaction that writes, so that the one which had the mark has ended: was it kept?"""

    def commit(self) -> int | None:
        """Answers the version that the database has now; None if nothing was ever sent."""

    def rollback(self) -> None:
        """Undo what is open, whatever state it is in. Raises if the session is of no more use."""

    def close(self) -> None:
        """Never raises."""


class Driver(Protocol):
    def open(self, ref: DatabaseRef, *, until: float) -> Session:
        """Blocks: for threads."""

    def fault(self, error: BaseException) -> Fault | None:
        """None for what is no fault of the server or the network: it is the unit's own, and told to its caller."""

    def raised(self, error: Exception) -> Exception:
        """A driver's own exception as SQLAlchemy's; anything else as it is."""

    def close(self) -> None: ...


def call(session: Session, unit: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a unit in the transaction that is open, and leave SQLAlchemy's idea of it as it was."""
    try:
        value = unit(session.units.connection, *args, **kwargs)
    finally:
        tidy = session.units.tidy()
    if not tidy:
        raise UnitBroken
    if session.is_lost:
        raise UnitBroken("a unit of work lost its transaction and went on")
    return value
