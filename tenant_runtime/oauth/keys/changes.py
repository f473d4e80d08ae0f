"""What `life` decides, done: the units that promote, retire, rotate and revoke the signing keys of a tenant.

Each is one transaction, so a process that dies leaves the keys as they were before or as they are after, and of two
processes at once the second finds what the first did. New keys are made before; a unit that finds it needs one it was
not given raises `KeyWanted` and is asked again with it. The private part of a key that signs no more is overwritten in
the same transaction.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from core.crypto.keys import SigningKey
from core.crypto.keystock import KeyStock
from core.crypto.sealing import DataKey
from core.errors import Conflict, NotFound
from core.failpoints import failpoint
from tenant_runtime.audit import Event, record
from tenant_runtime.models import LogEvent, SigningKeyRow
from tenant_runtime.oauth.keys import life as key_life
from tenant_runtime.oauth.keys.certificates import certificate
from tenant_runtime.oauth.keys.life import Key, State, Step

T = TypeVar("T")

EVENT = "signing_keys"
"""The log's word for what the time did to keys; Auth0 has none."""

DESTROYED = b""
MOST_HOURS = 24 * 365
"""A key that waits longer than a year before it signs is not what anybody meant."""

REMEMBERED = 50
"""Retired keys that are kept for `GET /keys/signing` and for clocks that come back."""

_table = SigningKeyRow.__table__
_k = _table.c
_ALL = select(_table).order_by(_k.created_at, _k.kid)
_INSERT = insert(_table)
_SET = update(_table).where(_k.kid == bindparam("of"))
_LAST_EVENT = select(func.max(LogEvent.__table__.c.created_at))
_FORGET = delete(_table).where(
    _k.state == "retired",
    _k.kid.not_in(
        select(_k.kid).where(_k.state == "retired").order_by(_k.retired_at.desc()).limit(REMEMBERED)
    ),
)


class KeyWanted(Exception):
    """The unit needs a new key of this algorithm. Nothing was written."""

    def __init__(self, alg: str) -> None:
        self.alg = alg
        super().__init__(alg)


@dataclass(frozen=True, slots=True)
class NewKey:
    key: SigningKey
    sealed: bytes
    certificate: bytes

    @classmethod
    async def make(cls, stock: KeyStock, data_key: DataKey, alg: str, now_ms: int) -> Self:
        key = await _make(stock, alg)
        failpoint("keys.made")
        sealed = data_key.seal(key.to_der(), "signing_keys", "private_key", key.kid)
        return cls(key, sealed, certificate(key, data_key.tenant_id, now_ms))

    def row(self, state: State, now_ms: int, activates_at: int | None) -> dict[str, Any]:
        return {
            "kid": self.key.kid,
            "alg": self.key.alg,
            "state": state,
            "public_jwk": dict(self.key.public_jwk),
            "private_key": self.sealed,
            "certificate": self.certificate,
            "created_at": now_ms,
            "activates_at": activates_at,
            "activated_at": now_ms if state == "current" else None,
        }


async def _make(stock: KeyStock, alg: str) -> SigningKey:
    if not alg.startswith(("RS", "PS")):
        return SigningKey.generate(alg)
    spare = await stock.claim()
    return SigningKey.from_der(None, alg, spare.to_der())


Spare = Mapping[str, NewKey]


async def with_keys(
    make: Callable[[str], Awaitable[NewKey]], likely: Iterable[str], attempt: Callable[[Spare], Awaitable[T]]
) -> T:
    """`likely` are the algorithms of which a new key will be needed, from what is known before the unit."""
    spare = {alg: await make(alg) for alg in likely}
    while True:
        try:
            done = await attempt(spare)
        except KeyWanted as wanted:
            if wanted.alg in spare:
                raise
            spare[wanted.alg] = await make(wanted.alg)
        else:
            failpoint("keys.committed")
            return done


@dataclass(frozen=True, slots=True)
class Asked:
    """A rotation. `seen` are the current keys when it was asked for, by algorithm."""

    algorithms: tuple[str, ...]
    seen: Mapping[str, str]
    now_ms: int
    publication_ms: int
    immediately: bool

    @classmethod
    def of(
        cls,
        published: Sequence[Key],
        algorithm: str | None,
        *,
        now_ms: int,
        publication_hours: float,
        immediately: bool,
    ) -> Self:
        """Without an algorithm: all that sign now."""
        seen = {key.alg: key.kid for key in published if key.state == "current"}
        return cls(
            algorithms=tuple(seen) if algorithm is None else (algorithm,),
            seen=seen,
            now_ms=now_ms,
            publication_ms=int(min(publication_hours, MOST_HOURS) * 3_600_000),
            immediately=immediately,
        )

    def likely(self, published: Sequence[Key]) -> list[str]:
        """Of which a new key will be needed, if nothing changed meanwhile."""
        return [alg for alg in self.algorithms if key_life.find(published, alg, "next") is None]


@dataclass(frozen=True, slots=True)
class Changed:
    """`kids` by algorithm; before and after for whoever tells of it."""

    kids: Mapping[str, str]
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def advance(connection: Connection, data_key: DataKey, event: Event) -> None:
    """Whatever is due at the time of the event, which tells of it."""
    keys = _load(connection)
    steps = key_life.steps_due(keys.lives, event.created_at)
    keys.take(connection, data_key, steps, event.created_at)
    if steps:
        done = [{"kid": step.kid, "state": step.to} for step in steps]
        record(connection, replace(event, details={"keys": done}))


def ensure_current(connection: Connection, data_key: DataKey, new: NewKey, now_ms: int) -> None:
    """The first key of its algorithm. The first one wins, whoever else made one meanwhile."""
    keys, alg = _load(connection), new.key.alg
    if key_life.find(keys.lives, alg, "current") is not None:
        return
    following = key_life.find(keys.lives, alg, "next")
    if following is not None:
        keys.take(connection, data_key, [Step(following.kid, "current")], now_ms)
        return
    connection.execute(_INSERT, new.row("current", now_ms, None))


def rotate(connection: Connection, data_key: DataKey, asked: Asked, spare: Spare) -> Changed:
    keys = _load(connection)
    kids = {alg: _rotate(connection, data_key, keys, alg, asked, spare) for alg in asked.algorithms}
    connection.execute(_FORGET)
    return Changed(kids, keys.told(asked.algorithms), _load(connection).told(asked.algorithms))


def revoke(connection: Connection, data_key: DataKey, kid: str, now_ms: int, spare: Spare) -> Changed:
    """It leaves the key set, and what it signed is refused here from now on. Somebody signs in its place at once."""
    keys = _load(connection)
    key = next((key for key in keys.lives if key.kid == kid), None)
    if key is None:
        raise NotFound("signing_key")
    decided = key_life.revocation(keys.lives, key)
    if decided.needs_key and key.alg not in spare:
        raise KeyWanted(key.alg)
    keys.take(connection, data_key, decided.steps, now_ms)
    if decided.needs_key:
        connection.execute(_INSERT, spare[key.alg].row("current", now_ms, None))
    after = _load(connection)
    return Changed({key.alg: kid}, keys.told((key.alg,), kid), after.told((key.alg,), kid))


def likely_for_revocation(published: Sequence[Key], kid: str) -> list[str]:
    """The algorithm that would be left without a key, if nothing changed meanwhile."""
    current = next((key for key in published if key.kid == kid and key.state == "current"), None)
    if current is None or key_life.find(published, current.alg, "next") is not None:
        return []
    return [current.alg]


def load_all(connection: Connection) -> Sequence[Row[Any]]:
    """Every key that is remembered, the oldest first."""
    return connection.execute(_ALL).all()


def _rotate(
    connection: Connection, data_key: DataKey, keys: "_Keys", alg: str, asked: Asked, spare: Spare
) -> str:
    decided = key_life.rotation(
        keys.lives,
        alg,
        seen=asked.seen.get(alg),
        now_ms=asked.now_ms,
        publication_ms=asked.publication_ms,
        immediately=asked.immediately,
    )
    if decided.new is not None and alg not in spare:
        raise KeyWanted(alg)
    if decided.new is not None and not key_life.has_room(keys.lives, alg):
        raise Conflict(
            f"The key set holds {key_life.MOST_PREVIOUS} previous keys of {alg}: revoke those that are not"
            " needed, or wait until they leave it."
        )
    keys.take(connection, data_key, decided.steps, asked.now_ms)
    if decided.new is not None:
        new = spare[alg]
        connection.execute(_INSERT, new.row(decided.new, asked.now_ms, decided.activates_at))
        failpoint("keys.added")
        return new.key.kid
    assert decided.kid is not None
    if decided.activates_at is not None:
        keys.postpone(connection, decided.kid, decided.activates_at)
    return decided.kid


@dataclass(frozen=True, slots=True)
class _Keys:
    """All keys of the tenant as a unit found them."""

    rows: Sequence[Row[Any]]
    lives: tuple[Key, ...]

    def take(self, connection: Connection, data_key: DataKey, steps: Iterable[Step], now_ms: int) -> None:
        by_kid = {row.kid: row for row in self.rows}
        for step in steps:
            values = _values(connection, by_kid[step.kid], step.to, data_key, now_ms)
            connection.execute(_SET.values(state=step.to, **values), {"of": step.kid})
            failpoint(f"keys.{step.to}")

    def postpone(self, connection: Connection, kid: str, activates_at: int) -> None:
        row = next(row for row in self.rows if row.kid == kid)
        if row.activates_at != activates_at:
            connection.execute(_SET.values(activates_at=activates_at), {"of": kid})

    def told(self, algorithms: Iterable[str], kid: str | None = None) -> dict[str, Any]:
        """Who signs and who is next, and the state of one key. No private part."""
        told: dict[str, Any] = {}
        for alg in algorithms:
            current, following = (key_life.find(self.lives, alg, state) for state in ("current", "next"))
            told[alg] = {
                "current": current and current.kid,
                "next": following and following.kid,
                "activates_at": following and following.activates_at,
            }
        if kid is not None:
            told["kid"] = kid
            told["state"] = next(key.state for key in self.lives if key.kid == kid)
        return told


def _load(connection: Connection) -> _Keys:
    rows = load_all(connection)
    return _Keys(rows, tuple(map(Key.of, rows)))


def _values(
    connection: Connection, row: Row[Any], to: State, data_key: DataKey, now_ms: int
) -> dict[str, Any]:
    """What changes beside the state. A key that signs no more leaves its certificate behind."""
    match to:
        case "current":
            return {"activated_at": now_ms}
        case "previous" if row.state == "current":
            return {"retired_at": _latest(connection, now_ms), **_without_private_part(row, data_key)}
        case "revoked":
            return {"revoked_at": now_ms, **_without_private_part(row, data_key)}
    return {}


def _latest(connection: Connection, now_ms: int) -> int:
    """Not before the last event of the log: a key replaced while the clock is years behind signed until lately."""
    return max(now_ms, connection.execute(_LAST_EVENT).scalar() or 0)


def _without_private_part(row: Row[Any], data_key: DataKey) -> dict[str, Any]:
    return {"private_key": DESTROYED, "certificate": certificate_of(row, data_key)}


def certificate_of(row: Row[Any], data_key: DataKey) -> bytes | None:
    if row.certificate is not None or row.private_key == DESTROYED:
        return bytes(row.certificate) if row.certificate is not None else None
    der = data_key.open(row.private_key, "signing_keys", "private_key", row.kid)
    return certificate(SigningKey.from_der(row.kid, row.alg, der), data_key.tenant_id, row.created_at)
