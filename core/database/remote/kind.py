"""A kind of remote database: its lanes, and its transactions for threads."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from weakref import WeakValueDictionary

from sqlalchemy import Connection

from core.database.kinds import Held, Options
from core.database.refs import DatabaseRef
from core.database.remote import threads
from core.database.remote.attempts import Reads, Writes
from core.database.remote.breaker import Breaker
from core.database.remote.figures import Figures
from core.database.remote.lane import RemoteLane, Runner
from core.database.remote.retry import Retry
from core.database.remote.seen import Seen
from core.database.remote.session import Driver
from core.database.remote.sessions import Sessions

READERS = 4
WRITERS = 1
CLOSING = 8
"""Databases that are put away finish their work beside those that are open."""

REMEMBERED = 4_096
_Life = tuple[str, str, str, str, str]


class RemoteKind:
    def __init__(self, driver: Driver, *, max_open: int) -> None:
        self.figures = Figures()
        self._driver = driver
        self._executor = ThreadPoolExecutor(
            (max_open + CLOSING) * (READERS + WRITERS), thread_name_prefix="database"
        )
        self._lock = threading.Lock()
        self._seen: WeakValueDictionary[_Life, Seen] = WeakValueDictionary()
        self._recent: OrderedDict[_Life, Seen] = OrderedDict()

    @property
    def open_circuits(self) -> int:
        """Databases that did not answer several times in a row, and are left in peace."""
        with self._lock:
            return sum(seen.breaker.is_open for seen in self._seen.values())

    def bucket(self, ref: DatabaseRef) -> Seen:
        """One for all who use this life of this database at this place; what nobody uses is forgotten late."""
        remote = ref.server
        life = (remote.url, remote.name, remote.user, ref.owner, ref.incarnation)
        with self._lock:
            seen = self._seen.get(life) or Seen(Breaker())
            self._seen[life] = self._recent[life] = seen
            self._recent.move_to_end(life)
            while len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)
        return seen

    async def open_reader(
        self, ref: DatabaseRef, options: Options, bucket: Seen, on_idle: Callable[[], None]
    ) -> RemoteLane:
        runner = Reads(Sessions(self._driver, ref), self._retry(bucket))
        return self._lane(runner, bucket, options, READERS, on_idle)

    async def open_writer(
        self, ref: DatabaseRef, options: Options, bucket: Seen, on_idle: Callable[[], None]
    ) -> RemoteLane:
        runner = Writes(Sessions(self._driver, ref), self._retry(bucket))
        return self._lane(runner, bucket, options, WRITERS, on_idle)

    def exclusive(
        self, ref: DatabaseRef, options: Options, bucket: Seen, *, converge: bool, foreign_keys: bool
    ) -> AbstractContextManager[Held]:
        return threads.exclusive(
            self._retry(bucket), ref, options, converge=converge, foreign_keys=foreign_keys
        )

    def read_only(self, ref: DatabaseRef, options: Options) -> AbstractContextManager[Connection]:
        return threads.read_only(self._retry(self.bucket(ref)), ref, options)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._driver.close()

    def _retry(self, seen: Seen) -> Retry:
        return Retry(self._driver, seen, self.figures)

    def _lane(
        self, runner: Runner, seen: Seen, options: Options, width: int, on_idle: Callable[[], None]
    ) -> RemoteLane:
        return RemoteLane(
            runner,
            self._executor,
            seen.breaker,
            self.figures,
            width=width,
            deadline=options.deadline,
            on_idle=on_idle,
        )
