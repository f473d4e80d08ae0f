"""The kind `sqlite`: a file, a thread for each lane, a turnstile between processes."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy import Connection

from core.database import fleet
from core.database.crossing import Crossing
from core.database.faults import told
from core.database.generations import Bucket, Generations
from core.database.group import GroupCommit
from core.database.kinds import Held, Options
from core.database.lane import ThreadLane
from core.database.reads import Reads
from core.database.refs import DatabaseRef
from core.database.sqlite import OpenFile, open_file
from core.database.turnstile import Turnstile
from core.errors import DatabaseUnavailable

OUTSIDER_SECONDS = 0.25
"""How long one BEGIN IMMEDIATE waits for an outsider (a backup, the shell) before the lane looks around again."""


class Files:
    def __init__(self, folder: Path) -> None:
        """`folder` holds what the processes of one data folder share in memory."""
        self._generations = Generations(folder)

    def bucket(self, ref: DatabaseRef) -> Bucket:
        return self._generations.bucket(ref.owner, ref.incarnation)

    async def open_reader(
        self, ref: DatabaseRef, options: Options, bucket: Bucket, on_idle: Callable[[], None]
    ) -> ThreadLane:
        def opener() -> OpenFile:
            return open_file(
                ref, writes=False, synchronous=options.synchronous, busy_seconds=options.deadline
            )

        crossing = await Crossing.open(opener)
        return ThreadLane(crossing, Reads(crossing.file), deadline=options.deadline, on_idle=on_idle)

    async def open_writer(
        self, ref: DatabaseRef, options: Options, bucket: Bucket, on_idle: Callable[[], None]
    ) -> ThreadLane:
        runners: list[GroupCommit] = []

        def opener() -> OpenFile:
            file = open_file(ref, writes=True, synchronous=options.synchronous, busy_seconds=OUTSIDER_SECONDS)
            try:
                runners.append(GroupCommit(file, Turnstile(ref.file), bucket))
            except (sqlite3.Error, OSError) as error:
                file.close()
                raise (DatabaseUnavailable() if isinstance(error, OSError) else told(error)) from error
            return file

        crossing = await Crossing.open(opener)
        return ThreadLane(crossing, runners[0], deadline=options.deadline, on_idle=on_idle)

    def exclusive(
        self, ref: DatabaseRef, options: Options, bucket: Bucket, *, converge: bool, foreign_keys: bool
    ) -> AbstractContextManager[Held]:
        return fleet.exclusive(ref, options, bucket, converge=converge, foreign_keys=foreign_keys)

    def read_only(self, ref: DatabaseRef, options: Options) -> AbstractContextManager[Connection]:
        return fleet.read_only(ref, options)

    def close(self) -> None:
        self._generations.close()
