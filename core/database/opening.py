"""From a pointer to running lanes: the seam behind which other kinds of database will stand.

A kind of database is two coroutines, one that opens a reading lane and one that opens a writing lane.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from core.database.crossing import Crossing
from core.database.faults import told
from core.database.generations import Bucket
from core.database.group import GroupCommit
from core.database.lane import Lane
from core.database.reads import Reads
from core.database.refs import DatabaseRef
from core.database.sqlite import OpenFile, Synchronous, open_file
from core.database.turnstile import Turnstile
from core.errors import DatabaseUnavailable

OUTSIDER_SECONDS = 0.25
"""How long one BEGIN IMMEDIATE waits for an outsider (a backup, the shell) before the lane looks around again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    synchronous: Synchronous
    deadline: float


async def open_reader(ref: DatabaseRef, options: Options, on_idle: Callable[[], None]) -> Lane:
    def opener() -> OpenFile:
        return open_file(ref, writes=False, synchronous=options.synchronous, busy_seconds=options.deadline)

    crossing = await Crossing.open(opener)
    return Lane(crossing, Reads(crossing.file), deadline=options.deadline, on_idle=on_idle)


async def open_writer(
    ref: DatabaseRef, options: Options, bucket: Bucket, on_idle: Callable[[], None]
) -> Lane:
    runners: list[GroupCommit] = []

    def opener() -> OpenFile:
        file = open_file(ref, writes=True, synchronous=options.synchronous, busy_seconds=OUTSIDER_SECONDS)
        try:
            runners.append(GroupCommit(file, Turnstile(ref.path), bucket))
        except (sqlite3.Error, OSError) as error:
            file.close()
            raise (DatabaseUnavailable() if isinstance(error, OSError) else told(error)) from error
        return file

    crossing = await Crossing.open(opener)
    return Lane(crossing, runners[0], deadline=options.deadline, on_idle=on_idle)
