"""Wrong passwords in a row: counted in the tenant's database before the password is looked at. Units of work.

    count_per_identifier_and_ip   one account from one network: after `max_attempts`, that network waits
                                  one account from all networks: after ten times as many, strangers wait
    count_per_identifier          one account from everywhere: after `max_attempts`, everybody waits

A wait doubles with each further failure. Strangers can make the owner of an account wait for five minutes at most, and
not at all at the network of their last sign-in, nor who proves the address by mail. Identifiers that nobody has are
counted by the same rows, or the wait would tell which accounts exist (`specs/bad-inputs.md` 105, 106).
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from core.clock import LEEWAY_MS
from core.database import Prepared
from core.database.sql import insert
from core.http.networks import is_in, network_of
from core.ids import digest
from tenant_runtime.attack_protection.documents import BruteForce, networks
from tenant_runtime.models import LoginAttempts

DAY_MS = 86_400_000
FORGOTTEN_MS = DAY_MS
"""After the last failure."""

WAITED_MS = 2 * DAY_MS
"""After the last failure, where it began a wait: longer than any of them, and so much for all, so that a row says when
its wait began."""

DISTRIBUTED = 10
"""Times `max_attempts`: failures from everywhere after which strangers wait (NIST SP 800-63B-4 section 3.2.2: 100)."""

SWEEP_WHEN = "00"
_MOST = 1000

_a = LoginAttempts.__table__.c
_LOAD = Prepared(select(_a.failures, _a.blocked_until, _a.expires_at).where(_a.digest == bindparam("digest")))
_new = insert(LoginAttempts.__table__).values({column.name: bindparam(column.name) for column in _a})
_COUNT = Prepared(
    _new.on_conflict_do_update(
        index_elements=["digest"],
        set_={name: _new.excluded[name] for name in ("failures", "blocked_until", "expires_at")},
    )
)
_FORGET = Prepared(delete(LoginAttempts.__table__).where(_a.digest == bindparam("of")))
_TAKE_BACK = Prepared(
    update(LoginAttempts.__table__)
    .where(_a.digest == bindparam("of"))
    .values(failures=_a.failures - 1, blocked_until=0)
)
_UNBLOCK = delete(LoginAttempts.__table__).where(_a.user_id == bindparam("user"))
_BLOCKED = (
    select(_a.ip, _a.blocked_until, _a.expires_at)
    .where(_a.user_id == bindparam("user"), _a.blocked_until > bindparam("now"))
    .order_by(_a.ip)
)
_over = select(_a.digest).where(_a.expires_at < bindparam("before")).limit(_MOST)
_SWEEP = delete(LoginAttempts.__table__).where(_a.digest.in_(_over))


@dataclass(frozen=True, slots=True)
class Wait:
    """How long, in milliseconds, after so many failures: `first`, then twice as long each time, `longest` at most."""

    after: int
    first: int
    longest: int

    def of(self, failures: int) -> int:
        if failures < self.after:
            return 0
        return int(min(self.first * 2 ** min(failures - self.after, 20), self.longest))


@dataclass(frozen=True, slots=True)
class Counter:
    """One row. `is_of_strangers`: a success takes back its own attempt, and leaves theirs."""

    digest: str
    ip: str | None
    wait: Wait
    is_of_strangers: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that was counted, or refused until `refused_until`. `begins_block`: the next one would be, if it fails."""

    counters: tuple[Counter, ...] = ()
    refused_until: int = 0
    begins_block: bool = False


def begin(
    connection: Connection, rules: BruteForce, subject: str, user: Any | None, ip: str, now: int
) -> Attempt:
    """`subject` is the account's id, or the identifier that nobody has; `user` has `user_id` and `last_ip`."""
    if not rules.enabled or is_in(ip, networks(rules.allowlist)):
        return Attempt()
    counters = _counters(rules, subject, ip, user.last_ip if user is not None else None)
    held = [_load(connection, counter, now) for counter in counters]
    if "block" in rules.shields:
        refused = max((until for _, until in held), default=0)
        if refused:
            return Attempt(counters, refused)
    begins = False
    for counter, (failures, _) in zip(counters, held, strict=True):
        wait = counter.wait.of(failures + 1)
        begins = begins or (wait > 0 and failures + 1 == counter.wait.after)
        _count(connection, counter, user, failures + 1, now + wait if wait else 0, now)
    return Attempt(counters, begins_block=begins)


def succeed(connection: Connection, attempt: Attempt) -> None:
    for counter in attempt.counters:
        (_TAKE_BACK if counter.is_of_strangers else _FORGET).run(connection, {"of": counter.digest})


def unblock(connection: Connection, user_id: str) -> bool:
    """Everything that was counted against the account, from wherever: whether there was anything."""
    return connection.execute(_UNBLOCK, {"user": user_id}).rowcount > 0


def blocked_addresses(connection: Connection, user_id: str, now: int) -> list[str | None]:
    """Networks from which the account may not be signed in to; None: from nowhere that it does not know."""
    return [
        row.ip for row in connection.execute(_BLOCKED, {"user": user_id, "now": now}) if _is_blocked(row, now)
    ]


def sweep(connection: Connection, now: int) -> None:
    connection.execute(_SWEEP, {"before": now})


def _counters(rules: BruteForce, subject: str, ip: str, last_ip: str | None) -> tuple[Counter, ...]:
    most, network = rules.max_attempts, network_of(ip)
    if rules.mode == "count_per_identifier":
        return (Counter(digest(f"account\0{subject}"), None, Wait(most, *FROM_EVERYWHERE)),)
    here = Counter(digest(f"network\0{subject}\0{network}"), ip, Wait(most, *FROM_ONE_NETWORK))
    if last_ip is not None and network_of(last_ip) == network:
        return (here,)
    strangers = Wait(most * DISTRIBUTED, *FROM_EVERYWHERE)
    return here, Counter(digest(f"strangers\0{subject}"), None, strangers, is_of_strangers=True)


FROM_ONE_NETWORK = (60_000, DAY_MS)
FROM_EVERYWHERE = (1_000, 300_000)
"""First and longest wait. What strangers can do to an account's owner is bounded; what they can do to themselves is
longer."""


def _is_blocked(row: Any, now: int) -> bool:
    """A wait that begins later than now was begun by a clock that was ahead, and is over."""
    return bool(now < row.blocked_until and row.expires_at - WAITED_MS <= now + LEEWAY_MS)


def _load(connection: Connection, counter: Counter, now: int) -> tuple[int, int]:
    """Failures, and until when they are waited for; 0: they are not."""
    row = _LOAD.first(connection, {"digest": counter.digest})
    if row is None or row.expires_at <= now:
        return 0, 0
    return row.failures, row.blocked_until if _is_blocked(row, now) else 0


def _count(
    connection: Connection, counter: Counter, user: Any | None, failures: int, until: int, now: int
) -> None:
    row = {
        "digest": counter.digest,
        "user_id": user.user_id if user is not None else None,
        "ip": counter.ip,
        "failures": failures,
        "blocked_until": until,
        "expires_at": now + (WAITED_MS if until else FORGOTTEN_MS),
    }
    _COUNT.run(connection, row)
    if counter.digest.startswith(SWEEP_WHEN) and failures == 1:
        sweep(connection, now)
