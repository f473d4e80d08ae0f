"""The public keys of a client in bodies and rows: a set (`jwks`), or Auth0's credentials, one by one.

A key is read by the rule of `core.crypto.keys`, and only itself is kept: what else a JWK says is left out. Keys that
are named for signed request objects and keys that are named for authentication are the same keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta
from sqlalchemy import JSON, Connection, Row, bindparam, delete, insert, select

from core.clock import to_iso
from core.crypto.keys import PublicKey, UnsupportedKey, public_jwk_of_pem, public_members, read_public_key
from core.database import Prepared
from core.database.sql import json_members
from core.errors import Conflict, InvalidInput
from core.ids import new_id
from tenant_runtime.management.editing import Body, Id, Maybe, Name, Object
from tenant_runtime.models import ClientKey
from tenant_runtime.oauth.keys.signing import ALGORITHMS

MOST_KEYS = 10
_table = ClientKey.__table__
_OF = (
    select(_table).where(_table.c.client_id == bindparam("client")).order_by(_table.c.created_at, _table.c.id)
)
_of_page = json_members(bindparam("clients", type_=JSON))
_OF_ALL = Prepared(
    select(_table.c.client_id, _table.c.id)
    .where(_table.c.client_id.in_(_of_page))
    .order_by(_table.c.created_at, _table.c.id)
)
_REMOVE = delete(_table).where(_table.c.id.in_(bindparam("ids", expanding=True)))

Kid = Annotated[str, Meta(min_length=1, max_length=255)]
Pem = Annotated[str, Meta(min_length=1, max_length=16_384)]


class CredentialIn(Body):
    """Auth0's member for a new credential; `jwk` is ours, for keys that are no PEM."""

    credential_type: Literal["public_key"] = "public_key"
    name: Maybe[Name | None] = UNSET
    pem: Maybe[Pem] = UNSET
    jwk: Maybe[Object] = UNSET
    alg: Maybe[Literal["RS256", "PS256", "ES256", "EdDSA"] | None] = UNSET
    kid: Maybe[Kid | None] = UNSET
    parse_expiry_from_cert: Maybe[bool] = UNSET
    expires_at: Maybe[Annotated[datetime, Meta(tz=True)] | None] = UNSET


class CredentialNamed(CredentialIn):
    """A new one, or by `id` one that is there."""

    id: Maybe[Id] = UNSET


class CredentialPatch(Body):
    expires_at: Annotated[datetime, Meta(tz=True)] | None


@dataclass(frozen=True, slots=True)
class NewKey:
    id: str
    kid: str
    jwk: Mapping[str, Any]
    name: str | None = None
    alg: str | None = None
    expires_at: int | None = None

    def row(self, client_id: str, now: int) -> dict[str, Any]:
        return {
            "id": self.id,
            "client_id": client_id,
            "kid": self.kid,
            "name": self.name,
            "alg": self.alg,
            "jwk": dict(self.jwk),
            "created_at": now,
            "expires_at": self.expires_at,
        }

    def is_row(self, row: Row[Any]) -> bool:
        mine = (self.kid, self.jwk, self.name, self.alg, self.expires_at)
        return bool(mine == (row.kid, row.jwk, row.name, row.alg, row.expires_at))


@dataclass(frozen=True, slots=True)
class KeyChange:
    """`stays`: by id, those of before that stay; None: all of them. `named`: those that must be among them."""

    new: tuple[NewKey, ...] = ()
    stays: frozenset[str] | None = None
    named: frozenset[str] = frozenset()


def milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def new_key(given: CredentialIn) -> NewKey:
    if (given.pem is UNSET) == (given.jwk is UNSET):
        raise InvalidInput("A credential has a key in `pem` or in `jwk`.")
    ends_at: datetime | None = None
    if given.pem is not UNSET:
        jwk, ends_at = _read(public_jwk_of_pem, given.pem)
    else:
        jwk = dict(given.jwk or {})
    said = {name: value for name, value in (("kid", given.kid), ("alg", given.alg)) if value}
    found = _new_key({**jwk, **said})
    expires_at = given.expires_at or (ends_at if given.parse_expiry_from_cert is True else None)
    return replace(found, name=given.name or None, expires_at=milliseconds(expires_at))


def keys_of_set(document: Mapping[str, Any]) -> tuple[NewKey, ...]:
    keys = document.get("keys")
    if not isinstance(keys, list) or not all(isinstance(jwk, dict) for jwk in keys):
        raise InvalidInput("`jwks` must be a set of keys.")
    if len(keys) > MOST_KEYS:
        raise InvalidInput(f"`jwks` may hold {MOST_KEYS} keys.")
    return tuple(map(_new_key, keys))


def _new_key(jwk: Mapping[str, Any]) -> NewKey:
    key: PublicKey = _read(read_public_key, jwk)
    named = jwk.get("alg")
    if not any(alg in ALGORITHMS for alg in key.algorithms):
        raise InvalidInput(f"A key must be for one of {', '.join(ALGORITHMS)}.")
    if len(key.kid) > 255 or not key.kid.isprintable():
        raise InvalidInput("The `kid` of a key is a short text.")
    return NewKey(new_id("cred"), key.kid, public_members(jwk), alg=named)


def _read(read: Any, given: Any) -> Any:
    try:
        return read(given)
    except UnsupportedKey as error:
        raise InvalidInput(str(error)) from error


# --- In the unit -----------------------------------------------------------------------------------------------------


def keys_of(connection: Connection, client_id: str) -> Sequence[Row[Any]]:
    return connection.execute(_OF, {"client": client_id}).all()


def ids_of_all(connection: Connection, client_ids: Iterable[str]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for client_id, id in _OF_ALL.rows(connection, {"clients": list(client_ids)}):
        ids.setdefault(client_id, []).append(id)
    return ids


def change_keys(connection: Connection, client_id: str, change: KeyChange, now: int) -> Sequence[Row[Any]]:
    """The keys afterwards. A key that is there as it is said is left as it is."""
    before = keys_of(connection, client_id)
    there = {row.id for row in before}
    stays = there if change.stays is None else change.stays & there | change.named
    if not change.named <= there:
        raise InvalidInput("A credential that is named by its id does not exist.")
    same = {row.id for row in before for key in change.new if key.is_row(row)}
    added = [key for key in _distinct(change.new) if not any(key.is_row(row) for row in before)]
    gone = [row.id for row in before if row.id not in stays | same]
    if len(before) - len(gone) + len(added) > MOST_KEYS:
        raise InvalidInput(f"A client may have {MOST_KEYS} keys.")
    if gone:
        connection.execute(_REMOVE, {"ids": gone})
    kids = [row.kid for row in before if row.id not in gone] + [key.kid for key in added]
    if len(set(kids)) != len(kids):
        raise Conflict("A key with this kid already exists.")
    for key in added:
        connection.execute(insert(_table), key.row(client_id, now))
    return keys_of(connection, client_id)


def _distinct(keys: Iterable[NewKey]) -> list[NewKey]:
    """One key may be named for two uses; two keys of one name stay two, and are refused."""
    found: list[NewKey] = []
    for key in keys:
        if not any((key.kid, key.jwk) == (other.kid, other.jwk) for other in found):
            found.append(key)
    return found


def settled(requests: Mapping[str, Any], change: KeyChange, rows: Iterable[Row[Any]]) -> dict[str, Any]:
    """`signed_request_object` with the ids that its keys have: one that was there already keeps its own."""
    by_kid = {row.kid: row.id for row in rows}
    ids = {key.id: by_kid[key.kid] for key in change.new}
    named = [{"id": ids.get(key["id"], key["id"])} for key in requests.get("credentials", ())]
    return {**requests, "credentials": named} if named else dict(requests)


def shape(row: Row[Any]) -> dict[str, Any]:
    kept = {"name": row.name, "alg": row.alg}
    expires_at = None if row.expires_at is None else to_iso(row.expires_at)
    return {
        "id": row.id,
        "credential_type": "public_key",
        "kid": row.kid,
        "jwk": row.jwk,
        **{name: value for name, value in kept.items() if value},
        "created_at": to_iso(row.created_at),
        "updated_at": to_iso(row.created_at),
        **({} if expires_at is None else {"expires_at": expires_at}),
    }
