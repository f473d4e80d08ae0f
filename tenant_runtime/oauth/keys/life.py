"""The life of a signing key: next, current, previous, retired; or revoked. What is due, and nothing that does it.

    next ----activates_at----> current ----replaced----> previous ----30 days and an hour----> retired
      \\___________________________|___________________________|____________ revoked at any time

- **next** is published and does not sign, so that every verifier has met it before it signs.
- **current** signs; there is one per algorithm.
- **previous** is published so that what it signed is verified to its end. Its private part was destroyed when it was
  replaced.
- **retired** is out of the key set: everything it signed has ended.
- **revoked** left the key set at once, by an operator's word.

*How long a previous key stays.* As long as the longest token that can be configured at all (`token_lifetime`,
`token_lifetime_for_web` and `lifetime_in_seconds` end at 30 days), whatever is configured now: lifetimes may have
been longer when the key signed, and one more entry in the key set costs nothing. The margin on top is for processes
whose clocks differ and for a request that signed while its key was being replaced.

*Clocks that jump.* Ahead: a next key signs early, but is published; a previous key may be retired while its tokens
live. Its public part is kept, so when the clock comes back before the end of those tokens it is published again
(`Timetable.back_before`). That moment is an hour before the one at which it retires: two processes with clocks less
than that apart do not undo each other's work. Back: nothing is undone, what is next waits longer, and a key that is
replaced meanwhile counts from the last event of the tenant's log; a rotation asked for again counts from the new time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from sqlalchemy import Row

State: TypeAlias = Literal["next", "current", "previous", "retired", "revoked"]
PUBLISHED: tuple[State, ...] = ("next", "current", "previous")

LONGEST_TOKEN_MS = 2_592_000 * 1000
MARGIN_MS = 3_600 * 1000
JUST_NOW_MS = 60 * 1000
MOST_PREVIOUS = 8
"""Of one algorithm. More would be rotations every few days, and a key set that verifiers read for nothing."""

NEVER = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What its life depends on. Times are milliseconds."""

    kid: str
    alg: str
    state: State
    created_at: int
    activates_at: int | None = None
    retired_at: int | None = None

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        return cls(
            kid=row.kid,
            alg=row.alg,
            state=row.state,
            created_at=row.created_at,
            activates_at=row.activates_at,
            retired_at=row.retired_at,
        )

    @property
    def last_token_ends_at(self) -> int:
        return (self.retired_at or 0) + LONGEST_TOKEN_MS


@dataclass(frozen=True, slots=True)
class Step:
    kid: str
    to: State


@dataclass(frozen=True, slots=True)
class Timetable:
    """When somebody has to look at the keys again: from `due_at` on, or before `back_before`."""

    due_at: int = NEVER
    back_before: int = 0

    def is_due(self, now_ms: int) -> bool:
        return now_ms >= self.due_at or now_ms < self.back_before

    @classmethod
    def of(cls, published: Iterable[Key], last_retired_at: int | None) -> Self:
        """`last_retired_at` of the keys that are out of the key set."""
        due = (moment for key in published if (moment := _due_at(key)) is not None)
        back = 0 if last_retired_at is None else last_retired_at + LONGEST_TOKEN_MS
        return cls(min(due, default=NEVER), back)


def _due_at(key: Key) -> int | None:
    match key.state:
        case "next":
            return key.activates_at
        case "previous":
            return key.last_token_ends_at + MARGIN_MS
    return None


def steps_due(keys: Iterable[Key], now_ms: int) -> list[Step]:
    """What the time has brought. A next key that becomes current replaces the one that was."""
    keys = list(keys)
    steps = list[Step]()
    for key in keys:
        if key.state == "retired" and now_ms < key.last_token_ends_at:
            steps.append(Step(key.kid, "previous"))
        elif (moment := _due_at(key)) is not None and now_ms >= moment:
            steps += promotion(keys, key) if key.state == "next" else [Step(key.kid, "retired")]
    return steps


def promotion(keys: Iterable[Key], key: Key) -> list[Step]:
    """The old one first: there is never a moment with two."""
    return [*_replaced(keys, key.alg), Step(key.kid, "current")]


def _replaced(keys: Iterable[Key], alg: str) -> list[Step]:
    return [Step(key.kid, "previous") for key in keys if key.alg == alg and key.state == "current"]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation of one algorithm comes to. `kid` is the answer: the key that signs next, or now.

    `new` is the state in which a new key starts, whose kid then is the answer. `activates_at` is of the next key,
    new or not.
    """

    kid: str | None
    steps: tuple[Step, ...] = ()
    new: State | None = None
    activates_at: int | None = None


def rotation(
    keys: Sequence[Key], alg: str, *, seen: str | None, now_ms: int, publication_ms: int, immediately: bool
) -> Rotation:
    """`seen` is the current key when the rotation was asked for. Where another one is current by now, somebody else
    rotated meanwhile and nothing is left to do; nor is there where one that need not wait follows another within a
    minute. So two at once, and one asked again because its answer was lost, end with one new key."""
    current, following = find(keys, alg, "current"), find(keys, alg, "next")
    wait = 0 if immediately else publication_ms
    if current is not None and (current.kid != seen or (wait == 0 and _was_just_rotated(keys, alg, now_ms))):
        return Rotation((following or current).kid)
    if following is None:
        if current is None or wait == 0:
            return Rotation(None, tuple(_replaced(keys, alg)), "current")
        return Rotation(None, (), "next", now_ms + wait)
    ready_at = min(following.activates_at or 0, following.created_at + publication_ms, now_ms + wait)
    if now_ms >= ready_at:
        return Rotation(following.kid, tuple(promotion(keys, following)))
    return Rotation(following.kid, (), None, ready_at)


def _was_just_rotated(keys: Iterable[Key], alg: str, now_ms: int) -> bool:
    replaced = (key.retired_at or 0 for key in keys if key.alg == alg and key.state == "previous")
    return any(abs(now_ms - moment) < JUST_NOW_MS for moment in replaced)


@dataclass(frozen=True, slots=True)
class Revocation:
    """`needs_key`: the one that signed is gone and nobody is next."""

    steps: tuple[Step, ...]
    needs_key: bool = False


def revocation(keys: Sequence[Key], key: Key) -> Revocation:
    gone = Step(key.kid, "revoked")
    if key.state == "revoked":
        return Revocation(())
    if key.state != "current":
        return Revocation((gone,))
    following = find(keys, key.alg, "next")
    if following is None:
        return Revocation((gone,), needs_key=True)
    return Revocation((gone, Step(following.kid, "current")))


def find(keys: Iterable[Key], alg: str, state: State) -> Key | None:
    return next((key for key in keys if key.alg == alg and key.state == state), None)


def has_room(keys: Iterable[Key], alg: str) -> bool:
    return sum(key.alg == alg and key.state == "previous" for key in keys) < MOST_PREVIOUS
