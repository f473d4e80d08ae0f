"""Many accounts from one address: each network has so many failed sign-ins, and so many sign-ups, of a tenant, and gets
new ones at a rate. A row is the moment at which nothing is missing any more. Units of work.

What is taken before the password is looked at is given back when it was right: whoever has a hundred colleagues behind
one address is not held up by their successes.
"""

from typing import Literal

from sqlalchemy import Connection, bindparam, delete, select, update

from core.clock import LEEWAY_MS
from core.database import Prepared
from core.database.sql import insert
from core.http.networks import is_in, network_of
from core.ids import digest
from tenant_runtime.attack_protection.documents import SuspiciousIp, Throttle, networks
from tenant_runtime.models import AddressUse

Stage = Literal["login", "registration"]
STAGES: tuple[Stage, ...] = ("login", "registration")
SWEEP_WHEN = "00"
_MOST = 1000

_table = AddressUse.__table__
_c = _table.c
_LOAD = Prepared(select(_c.full_at).where(_c.stage == bindparam("stage"), _c.network == bindparam("network")))
_new = insert(_table).values(
    stage=bindparam("stage"), network=bindparam("network"), full_at=bindparam("full_at")
)
_STORE = Prepared(
    _new.on_conflict_do_update(
        index_elements=["stage", "network"], set_={"full_at": _new.excluded["full_at"]}
    )
)
_GIVE_BACK = Prepared(
    update(_table)
    .where(_c.stage == bindparam("of_stage"), _c.network == bindparam("of_network"))
    .values(full_at=_c.full_at - bindparam("rate"))
)
_REMOVE = delete(_table).where(_c.network == bindparam("network"))
_over = (
    select(_c.network).where(_c.stage == bindparam("stage"), _c.full_at < bindparam("before")).limit(_MOST)
)
_SWEEP = delete(_table).where(_c.stage == bindparam("stage"), _c.network.in_(_over))


def take(connection: Connection, rules: SuspiciousIp, stage: Stage, ip: str, now: int) -> int:
    """Milliseconds until there is one again; 0 where there was, or nobody counts."""
    if not counts(rules, ip):
        return 0
    throttle, network = throttle_of(rules, stage), network_of(ip)
    rate, most = max(throttle.rate, 1), throttle.max_attempts * max(throttle.rate, 1)
    held = _full_at(connection, stage, network, most, now)
    full_at = max(held, now) + rate
    wait = full_at - now - max(most, rate)
    if wait > 0:
        return wait if "block" in rules.shields else 0
    _STORE.run(connection, {"stage": stage, "network": network, "full_at": full_at})
    if not held and digest(network).startswith(SWEEP_WHEN):
        sweep(connection, now)
    return 0


def give_back(connection: Connection, rules: SuspiciousIp, stage: Stage, ip: str) -> None:
    if counts(rules, ip):
        rate = max(throttle_of(rules, stage).rate, 1)
        values = {"of_stage": stage, "of_network": network_of(ip), "rate": rate}
        _GIVE_BACK.run(connection, values)


def is_used_up(connection: Connection, rules: SuspiciousIp, stage: Stage, ip: str, now: int) -> bool:
    """Whether nothing is left for the address."""
    if not counts(rules, ip):
        return False
    throttle = throttle_of(rules, stage)
    rate, most = max(throttle.rate, 1), throttle.max_attempts * max(throttle.rate, 1)
    return _full_at(connection, stage, network_of(ip), most, now) + rate - now > max(most, rate)


def forget(connection: Connection, ip: str) -> bool:
    return connection.execute(_REMOVE, {"network": network_of(ip)}).rowcount > 0


def sweep(connection: Connection, now: int) -> None:
    for stage in STAGES:
        connection.execute(_SWEEP, {"stage": stage, "before": now})


def counts(rules: SuspiciousIp, ip: str) -> bool:
    return rules.enabled and not is_in(ip, networks(rules.allowlist))


def throttle_of(rules: SuspiciousIp, stage: Stage) -> Throttle:
    return rules.stage.login if stage == "login" else rules.stage.registration


def _full_at(connection: Connection, stage: Stage, network: str, most: int, now: int) -> int:
    """One that lies further ahead than any was begun by a clock that was ahead, or under another rule."""
    row = _LOAD.first(connection, {"stage": stage, "network": network})
    if row is None or row.full_at > now + most + LEEWAY_MS:
        return 0
    return int(row.full_at)
