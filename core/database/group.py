"""Group commit: the writing units of one process, a savepoint each, one COMMIT for all of them.

Every caller is told the truth (`specs/stack.md` section 6b). When the transaction is lost under the group (a full
disk, a conflict that rolls everything back) or COMMIT is refused, the group is undone and its units are run again
one by one, so only the guilty one fails. A COMMIT that fails in a way that says nothing about its effect is
reported as such and never repeated.
"""

import sqlite3
import time
from collections import deque
from contextlib import suppress

from core.database import sqlite
from core.database.faults import UnitBroken, breaks_the_lane, is_busy, is_refusal, release_cursors, told
from core.database.generations import Bucket
from core.database.lane import Job, Outcome, fail_all
from core.database.turnstile import Turnstile
from core.errors import DatabaseUnavailable, OutcomeUnknown
from core.failpoints import failpoint

GROUP = 24
"""Units in one transaction at most: how long other processes wait at the turnstile."""


class CommitRefused(Exception):
    """COMMIT did certainly nothing; the cause says why."""


class GroupCommit:
    def __init__(self, file: sqlite.OpenFile, turnstile: Turnstile, bucket: Bucket) -> None:
        self._file = file
        self._turnstile = turnstile
        self._bucket = bucket
        self._seen = file.config_version()
        self.broken = False

    def run(self, queue: deque[Job]) -> list[Outcome]:
        self._turnstile.enter()
        try:
            if not self._begin_for(queue):
                return []
            return self._surely(take(queue))
        except (sqlite3.Error, DatabaseUnavailable) as error:
            self.broken = True
            return fail_all(queue, error)
        finally:
            with suppress(sqlite3.Error):
                self._file.abandon()
            self._turnstile.leave()

    def _begin_for(self, queue: deque[Job]) -> bool:
        """Try until the lock of an outsider is gone, or nobody waits any more."""
        self._file.check_place()
        while queue:
            try:
                self._file.driver.execute(sqlite.BEGIN_WRITE)
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                time.sleep(0.001)  # not every refusal waits in SQLite's busy handler
            else:
                return True
        return False

    def close(self) -> None:
        self._file.close()
        self._turnstile.close()

    def _surely(self, jobs: list[Job]) -> list[Outcome]:
        try:
            return self._together(jobs)
        except BaseException as error:  # before COMMIT: undone by `run`
            self.broken = True
            return fail_all(deque(jobs), error)

    def _together(self, jobs: list[Job]) -> list[Outcome]:
        if len(jobs) == 1:
            return [self._single(jobs[0])]
        outcomes: list[Outcome] = []
        for job in jobs:
            outcomes.append(self._in_savepoint(job))
            if not self._file.driver.in_transaction:
                return [self._again(each) for each in jobs]
        try:
            self._commit()
        except CommitRefused:
            self._file.abandon()
            return [self._again(each) for each in jobs]
        except BaseException as error:
            return [(job, None, failure or self._unknown(error)) for job, _, failure in outcomes]
        return outcomes

    def _in_savepoint(self, job: Job) -> Outcome:
        driver = self._file.driver
        driver.execute(sqlite.SAVEPOINT)
        outcome = self._call(job)
        try:
            if outcome[2] is not None:
                driver.execute(sqlite.UNDO)
            driver.execute(sqlite.RELEASE)
        except sqlite3.Error:  # the savepoint is gone, or not to be trusted: seen by who called
            self._file.abandon()
        return outcome

    def _again(self, job: Job) -> Outcome:
        """By itself, whatever happens to the others."""
        try:
            self._file.driver.execute(sqlite.BEGIN_WRITE)
            return self._single(job)
        except BaseException as error:
            self.broken = True
            return job, None, told(error)

    def _single(self, job: Job) -> Outcome:
        """One unit in the transaction that is open: undone, or committed."""
        outcome = self._call(job)
        if outcome[2] is None and not self._file.driver.in_transaction:
            outcome = job, None, UnitBroken("a unit of work lost its transaction and went on")
        if outcome[2] is not None:
            self._file.abandon()
            return outcome
        try:
            self._commit()
        except CommitRefused as refused:
            self._file.abandon()
            return job, None, told(refused.__cause__ or refused)
        except BaseException as error:
            return job, None, self._unknown(error)
        return outcome

    def _call(self, job: Job) -> Outcome:
        file = self._file
        try:
            if not job.converge:
                return job, file.call(job.unit, job.args, job.kwargs), None
            file.driver.execute(file.ref.roll.start_converging)
            value = file.call(job.unit, job.args, job.kwargs)
            file.driver.execute(file.ref.roll.stop_converging)
            return job, value, None
        except BaseException as error:
            release_cursors(error)
            self.broken = self.broken or breaks_the_lane(error)
            return job, None, told(error)

    def _commit(self) -> None:
        self._seen = commit(self._file, self._bucket, self._seen)

    def _unknown(self, error: BaseException) -> OutcomeUnknown:
        """Nothing of it is visible now, but a frame already written might be recovered: reported, not repeated."""
        self.broken = True
        unknown = OutcomeUnknown()
        unknown.__cause__ = error
        return unknown


def commit(file: sqlite.OpenFile, bucket: Bucket, seen: int) -> int:
    """COMMIT; the bucket's slot is odd meanwhile if configuration changed. Answers the version now in the file."""
    try:
        version = file.config_version()
    except sqlite3.Error as error:
        raise CommitRefused from error
    if version == seen:
        _commit(file)
        return version
    bucket.begin()
    try:
        _commit(file)
    finally:
        bucket.end()
    return version


def _commit(file: sqlite.OpenFile) -> None:
    failpoint("database.before_commit")
    try:
        file.driver.execute(sqlite.COMMIT)
    except sqlite3.Error as error:
        if is_refusal(error):
            raise CommitRefused from error
        raise
    failpoint("database.after_commit")


def take(queue: deque[Job]) -> list[Job]:
    """The next group, in order of arrival; a unit that asked to be alone is a group of its own."""
    jobs: list[Job] = []
    with suppress(IndexError):
        while len(jobs) < GROUP:
            job = queue.popleft()
            if job.alone and jobs:
                queue.appendleft(job)
                break
            jobs.append(job)
            if job.alone:
                break
    return jobs
