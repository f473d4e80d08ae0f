"""Reading units, each in a read transaction of its own, on a connection that cannot write."""

import sqlite3
from collections import deque

from core.database import sqlite
from core.database.faults import breaks_the_lane, primary_code, release_cursors, told
from core.database.lane import Job, Outcome
from core.errors import DatabaseUnavailable

BATCH = 8
"""Answers travel back together: one wake-up of the loop for several requests."""


class Reads:
    def __init__(self, file: sqlite.OpenFile) -> None:
        self._file = file
        self.broken = False

    def run(self, queue: deque[Job]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while queue and len(outcomes) < BATCH:
            try:
                job = queue.popleft()
            except IndexError:  # withdrawn this moment
                break
            outcomes.append(self._read(job))
        return outcomes

    def close(self) -> None:
        self._file.close()

    def _read(self, job: Job) -> Outcome:
        file = self._file
        try:
            file.check_place()
            file.driver.execute(sqlite.BEGIN_READ)
            value = file.call(job.unit, job.args, job.kwargs)
            file.driver.execute(sqlite.COMMIT)
            return job, value, None
        except BaseException as error:
            return job, None, self._failed(error)

    def _failed(self, error: BaseException) -> Exception:
        release_cursors(error)
        try:
            self._file.abandon()
        except sqlite3.Error:
            self.broken = True
        self.broken = self.broken or breaks_the_lane(error) or isinstance(error, DatabaseUnavailable)
        if primary_code(error) == sqlite3.SQLITE_READONLY and isinstance(error, Exception):
            return error  # a unit that writes was given to read(): a mistake, not a fault
        return told(error)
