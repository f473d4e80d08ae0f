"""The keys of a tenant as its configuration holds them: parsed once, and encoded once for whoever asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import Row, func, or_, select

from core.crypto.keys import PublicKeys, SigningKey
from core.crypto.sealing import DataKey
from core.database import Prepared
from tenant_runtime.models import SigningKeyRow
from tenant_runtime.oauth.keys.life import PUBLISHED, Key, Timetable

_k = SigningKeyRow.__table__.c
SIGNING_KEYS = Prepared(
    select(SigningKeyRow.__table__)
    .where(or_(*(_k.state == state for state in PUBLISHED)))
    .order_by(_k.created_at, _k.kid)
)
LAST_RETIRED = Prepared(select(func.max(_k.retired_at)).where(_k.state == "retired"))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The tenant's keys: those that sign, one per algorithm, everything published, and when that changes by itself."""

    signing: Mapping[str, SigningKey]
    public: PublicKeys
    jwks: bytes  # the key set document, encoded once
    published: tuple[Key, ...]
    timetable: Timetable


def key_ring(rows: Sequence[Row[Any]], retired: Sequence[Row[Any]], data_key: DataKey) -> KeyRing:
    """Of what the two statements above answer."""
    rows = sorted(rows, key=lambda row: row.state != "current")  # some read only the first
    signing = {row.alg: _signing_key(row, data_key) for row in rows if row.state == "current"}
    public, published = [row.public_jwk for row in rows], tuple(map(Key.of, rows))
    ((last_retired,),) = retired
    return KeyRing(
        signing=MappingProxyType(signing),
        public=PublicKeys(public),
        jwks=msgspec.json.encode({"keys": public}),
        published=published,
        timetable=Timetable.of(published, last_retired),
    )


def _signing_key(row: Row[Any], data_key: DataKey) -> SigningKey:
    der = data_key.open(row.private_key, "signing_keys", "private_key", row.kid)
    return SigningKey.from_der(row.kid, row.alg, der)
