"""`/api/v2/keys/signing`: the tenant's signing keys, their rotation, and what is done when one got out.

`rotate` publishes a new key that signs later (`oauth.keys.life`), or lets one sign at once that has been published long
enough; with `immediately` it signs at once in any case. Asked again, by whomever, it answers the same key. `revoke`
takes a key out of the key set and refuses what it signed, from the answer on and in every process. No answer and no
event holds a private part.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from litestar.params import FromPath
from sqlalchemy import Connection, Row

from core.clock import to_iso
from core.crypto.sealing import DataKey
from core.errors import InsufficientScope, InvalidInput, NotFound
from tenant_runtime.management.access import require_standing
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.editing import Body
from tenant_runtime.management.routing import creating, reading, replacing
from tenant_runtime.oauth.keys import changes as key_changes
from tenant_runtime.oauth.keys.certificates import Shown
from tenant_runtime.oauth.keys.changes import Asked, Changed, NewKey, Spare, certificate_of
from tenant_runtime.oauth.keys.life import PUBLISHED, Key
from tenant_runtime.oauth.keys.signing import DEFAULT

_JSON = "application/json"


class RotationBody(Body):
    algorithm: Literal["RS256", "PS256", "ES256", "EdDSA"] | None = None
    immediately: bool = False


@reading("/keys/signing", "read:signing_keys")
async def get_signing_keys(call: CallOf) -> list[dict[str, Any]]:
    return [shape(row, call.tenant.data_key) for row in await call.read(key_changes.load_all)]


@reading("/keys/signing/{kid:str}", "read:signing_keys")
async def get_signing_key(call: CallOf, kid: FromPath[str]) -> dict[str, Any]:
    rows = await call.read(key_changes.load_all)
    return shape(_named(rows, kid), call.tenant.data_key)


@creating("/keys/signing/rotate", "create:signing_keys", "update:signing_keys")
async def rotate_signing_keys(call: CallOf) -> dict[str, Any]:
    """The body may be left out: `{"algorithm": "ES256", "immediately": true}`. Needs both permissions."""
    _require_both(call)
    asked_for, published = await _rotation_body(call), (await call.configuration()).keys.published
    asked = Asked.of(
        published,
        asked_for.algorithm,
        now_ms=call.now,
        publication_hours=call.services.settings.key_publication_hours,
        immediately=asked_for.immediately,
    )

    async def attempt(spare: Spare) -> dict[str, Any]:
        answer: dict[str, Any] = await call.write(_rotate, call.tenant.data_key, asked, spare)
        return answer

    return await key_changes.with_keys(_maker(call), asked.likely(published), attempt)


@replacing("/keys/signing/{kid:str}/revoke", "update:signing_keys")
async def revoke_signing_key(call: CallOf, kid: FromPath[str]) -> dict[str, Any]:
    likely = key_changes.likely_for_revocation((await call.configuration()).keys.published, kid)

    async def attempt(spare: Spare) -> dict[str, Any]:
        answer: dict[str, Any] = await call.write(_revoke, call.tenant.data_key, kid, call.now, spare)
        return answer

    return await key_changes.with_keys(_maker(call), likely, attempt)


def _require_both(call: Call) -> None:
    """Auth0 asks for both; a guard is content with one."""
    missing = {"create:signing_keys", "update:signing_keys"} - call.actor.permissions
    if missing:
        raise InsufficientScope(*sorted(missing))


async def _rotation_body(call: Call) -> RotationBody:
    body = await call.request.body()
    await require_standing(call.request)
    if not body:
        return RotationBody()
    if call.request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise InvalidInput("The body must be JSON.")
    return msgspec.json.decode(body, type=RotationBody)


def _maker(call: Call) -> Any:
    async def make(alg: str) -> NewKey:
        return await NewKey.make(call.services.keys, call.tenant.data_key, alg, call.now)

    return make


def _rotate(connection: Connection, data_key: DataKey, asked: Asked, spare: Spare) -> Written:
    changed = key_changes.rotate(connection, data_key, asked, spare)
    rows = {row.kid: row for row in key_changes.load_all(connection)}
    keys = [shape(rows[kid], data_key) for kid in changed.kids.values()]
    chosen = next((key for key in keys if key["alg"] == DEFAULT), keys[0])
    return _written(changed, {"kid": chosen["kid"], "cert": chosen["cert"], "keys": keys})


def _revoke(connection: Connection, data_key: DataKey, kid: str, now: int, spare: Spare) -> Written:
    changed = key_changes.revoke(connection, data_key, kid, now, spare)
    shown = shape(_named(key_changes.load_all(connection), kid), data_key)
    return _written(changed, {"kid": kid, "cert": shown["cert"]})


def _written(changed: Changed, answer: Mapping[str, Any]) -> Written:
    return Written(answer=answer, before=changed.before, after=changed.after)


def _named(rows: Any, kid: str) -> Row[Any]:
    for row in rows:
        if row.kid == kid:
            found: Row[Any] = row
            return found
    raise NotFound("signing_key")


def shape(row: Row[Any], data_key: DataKey) -> dict[str, Any]:
    """Auth0's members, and the key's algorithm and state. `cert` is null of a key that has none and signs no more."""
    der = certificate_of(row, data_key)
    shown = None if der is None else Shown.of(der)
    key = Key.of(row)
    ended = row.retired_at or row.revoked_at
    times = {
        "created_at": row.created_at,
        "activates_at": row.activates_at if row.state == "next" else None,
        "current_since": row.activated_at,
        "current_until": ended if row.activated_at is not None else None,
        "published_until": key.last_token_ends_at if row.state == "previous" else None,
        "revoked_at": row.revoked_at,
    }
    return {
        "kid": row.kid,
        "alg": row.alg,
        "state": row.state,
        "published": row.state in PUBLISHED,
        "cert": shown and shown.pem,
        "fingerprint": shown and shown.fingerprint,
        "thumbprint": shown and shown.thumbprint,
        "next": row.state == "next",
        "current": row.state == "current",
        "previous": row.state == "previous",
        "revoked": row.state == "revoked",
        **{name: to_iso(moment) for name, moment in times.items() if moment is not None},
    }


handlers = [get_signing_keys, get_signing_key, rotate_signing_keys, revoke_signing_key]
