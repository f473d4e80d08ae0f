"""Transactions for threads of the fleet, which run what cannot be run again: migrations, copies, what converge does."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from sqlalchemy import Connection

from core.database.faults import UnitBroken
from core.database.kinds import Options
from core.database.plain import Plain
from core.database.refs import DatabaseRef
from core.database.remote.retry import Retry, raise_as
from core.database.remote.session import Session
from core.errors import DatabaseUnavailable, OutcomeUnknown

LONGEST_SECONDS = 120.0
"""For all of one transaction."""


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    connection: Connection
    plain: Plain | None


@contextmanager
def exclusive(
    retry: Retry, ref: DatabaseRef, options: Options, *, converge: bool, foreign_keys: bool
) -> Generator[OpenTransaction, None, None]:
    session = _begun(retry, ref, options, writes=True, converge=converge, foreign_keys=foreign_keys)
    try:
        with retry.once():
            yield OpenTransaction(session.units.connection, session.plain)
            if not session.units.tidy() or session.is_lost:
                raise UnitBroken
        _commit(retry, ref, options, session)
    finally:
        session.close()


@contextmanager
def read_only(retry: Retry, ref: DatabaseRef, options: Options) -> Generator[Connection, None, None]:
    session = _begun(retry, ref, options, writes=False)
    try:
        with retry.once():
            yield session.units.connection
    finally:
        session.close()


def _begun(
    retry: Retry,
    ref: DatabaseRef,
    options: Options,
    *,
    writes: bool,
    converge: bool = False,
    foreign_keys: bool = True,
) -> Session:
    now = monotonic()

    def once() -> Session:
        session = retry.driver.open(ref, until=now + options.deadline)
        try:
            session.begin(
                writes=writes, until=now + LONGEST_SECONDS, converge=converge, foreign_keys=foreign_keys
            )
            session.reach()
            retry.observe(session.version)
        except BaseException:
            session.close()
            raise
        return session

    try:
        return retry.repeat(once, lambda: now + options.deadline)
    except Exception as error:  # heard already
        raise_as(retry.told(error), error)


def _commit(retry: Retry, ref: DatabaseRef, options: Options, session: Session) -> None:
    mark = session.mark
    try:
        retry.observe(session.commit())
    except Exception as error:
        fault = retry.hear(error)
        if fault is None:
            raise retry.told(error) from error
        if not fault.unknown:
            raise fault.error from error
        if not _was_kept(retry, ref, options, mark):
            raise DatabaseUnavailable from error


def _was_kept(retry: Retry, ref: DatabaseRef, options: Options, mark: str | None) -> bool:
    if mark is None:
        raise OutcomeUnknown
    try:
        session = _begun(retry, ref, options, writes=True)
        try:
            return session.was_committed(mark)
        finally:
            session.close()
    except Exception as error:
        raise OutcomeUnknown from error
