"""Does what I keep in memory still hold? A counter in shared memory, read in 0.1 us, answers across processes.

One mapped file per data folder: buckets of eight slots, one slot per writing process. A slot is odd from before a
COMMIT that changes configuration until after it, so a writer killed in between leaves doubt, never trust. A reader
reads the bucket before the database and keeps what it read under that value only if no slot is odd.

Slots are read and written through `memoryview.cast("Q")`, whole words: `struct` writes byte by byte and tears
(`specs/stack.md` section 6b).
"""

import fcntl
import mmap
import os
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Self

BUCKETS = 65_536
SLOTS = 8
_WORD = 8
HEAL_SECONDS = 1.0


class NoSlotLeft(RuntimeError):
    """As many processes as there are slots already write to this data folder."""


class Generations:
    """This process's place among the writers of one data folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._mutex = threading.Lock()
        self._pending: dict[int, int] = {}
        self._healed_at = 0.0
        self._words = _map(folder / f"generations-{SLOTS}")
        self._slot, self._lock = self._claim_any()

    def bucket(self, owner: str, incarnation: str) -> "Bucket":
        number = zlib.crc32(f"{owner}\0{incarnation}".encode()) % BUCKETS
        return Bucket(self, number, self._words[number * SLOTS : (number + 1) * SLOTS])

    def begin(self, number: int) -> None:
        """To be called before COMMIT: the slot stays odd while any COMMIT of this bucket is in flight."""
        with self._mutex:
            pending = self._pending.get(number, 0)
            self._pending[number] = pending + 1
            if pending == 0:
                self._words[number * SLOTS + self._slot] += 1

    def end(self, number: int) -> None:
        """To be called after COMMIT, whether it succeeded or not."""
        with self._mutex:
            pending = self._pending.pop(number) - 1
            if pending:
                self._pending[number] = pending
            else:
                self._words[number * SLOTS + self._slot] += 1

    def heal(self, slots: list[int]) -> None:
        """Raise what a dead process left odd; otherwise nothing of its buckets would be kept until a restart."""
        now = time.monotonic()
        with self._mutex:
            if now - self._healed_at < HEAL_SECONDS:
                return
            self._healed_at = now
        for slot in slots:
            if slot != self._slot and (lock := self._claim(slot)) is not None:
                os.close(lock)

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _claim_any(self) -> tuple[int, int]:
        for slot in range(SLOTS):
            if (lock := self._claim(slot)) is not None:
                return slot, lock
        raise NoSlotLeft(f"{SLOTS} processes already use {self._folder}; stop one of them.")

    def _claim(self, slot: int) -> int | None:
        lock = os.open(self._folder / f"slot-{slot}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        for place, value in enumerate(self._words[slot::SLOTS].tolist()):
            if value & 1:
                self._words[place * SLOTS + slot] = value + 1
        return lock


class Bucket:
    """The slots of one database; databases that share a bucket only disturb each other's caches."""

    __slots__ = ("_generations", "_number", "_words")

    def __init__(self, generations: Generations, number: int, words: "memoryview[int]") -> None:
        self._generations = generations
        self._number = number
        self._words = words

    def value(self) -> bytes:
        return self._words.tobytes()

    def token(self, before: bytes, version: int) -> bytes | None:
        """None if a writer was between COMMIT and its end when `before` was read."""
        odd = [slot for slot, word in enumerate(memoryview(before).cast("Q")) if word & 1]
        if odd:
            self._generations.heal(odd)
        return None if odd else before

    def begin(self) -> None:
        self._generations.begin(self._number)

    def end(self) -> None:
        self._generations.end(self._number)


def _map(path: Path) -> "memoryview[int]":
    size = BUCKETS * SLOTS * _WORD
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(file).st_size < size:
            os.ftruncate(file, size)
        return memoryview(mmap.mmap(file, size)).cast("Q")
    finally:
        os.close(file)
