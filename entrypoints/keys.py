"""`keystead keys`: see, rotate and revoke a tenant's signing keys from the machine itself, servers running or not.

Goes through the same units as the Management API, on the same data folder: servers see the change at their next
request. Nothing is asked of a token, so this is also the way back in when an operator's own key had to be revoked.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Connection

from core.clock import now_ms
from core.crypto.sealing import DataKey
from core.database.generations import NoSlotLeft
from core.errors import IdentityError, NotFound
from core.settings import Settings
from core.tenants import Tenant
from entrypoints.sentences import sentence
from provisioning.platform import Platform, open_platform
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import configuration
from tenant_runtime.management.keys.signing import shape
from tenant_runtime.oauth.keys import changes as key_changes
from tenant_runtime.oauth.keys.changes import Asked, Changed, NewKey, Spare

COLUMNS = ("alg", "state", "kid", "since", "until")


@dataclass(frozen=True, slots=True)
class KeysCommand:
    action: str
    tenant: str
    algorithm: str | None = None
    immediately: bool = False
    kid: str = ""
    as_json: bool = False


class Failed(Exception):
    """What is wrong, in a sentence."""


def run(settings: Settings, command: KeysCommand) -> str:
    """What is printed. Raises `Failed`."""
    try:
        keys = asyncio.run(_run(replace(settings, spare_keys=0), command))  # the one it needs, and no stock
    except NotFound as error:
        raise Failed(f"there is no key {command.kid} of tenant {command.tenant}") from error
    except NoSlotLeft as error:
        raise Failed(str(error)) from error
    except IdentityError as error:
        raise Failed(sentence(error)) from error
    return msgspec.json.encode(keys).decode() if command.as_json else _table(keys)


async def _run(settings: Settings, command: KeysCommand) -> list[dict[str, Any]]:
    platform = await open_platform(settings)
    try:
        tenant = await platform.directory.by_id(command.tenant)
        if tenant is None:
            raise Failed(f"there is no tenant {command.tenant}")
        chosen = await _ACTIONS[command.action](platform, tenant, command)
        rows = await tenant.database.read(key_changes.load_all)
        return [shape(row, tenant.data_key) for row in rows if chosen is None or row.kid in chosen]
    finally:
        await platform.close()


async def _list(platform: Platform, tenant: Tenant, command: KeysCommand) -> None:
    return None


async def _rotate(platform: Platform, tenant: Tenant, command: KeysCommand) -> set[str]:
    now, published = now_ms(platform.clock), (await configuration(tenant)).keys.published
    asked = Asked.of(
        published,
        command.algorithm,
        now_ms=now,
        publication_hours=platform.settings.key_publication_hours,
        immediately=command.immediately,
    )
    event = _event("Rotate signing keys", now)

    async def attempt(spare: Spare) -> Changed:
        return await tenant.database.write(_rotate_and_tell, tenant.data_key, asked, spare, event)

    return await _changed(platform, tenant, asked.likely(published), attempt, now)


async def _revoke(platform: Platform, tenant: Tenant, command: KeysCommand) -> set[str]:
    now, published = now_ms(platform.clock), (await configuration(tenant)).keys.published
    event = _event("Revoke signing key", now)

    async def attempt(spare: Spare) -> Changed:
        return await tenant.database.write(_revoke_and_tell, tenant.data_key, command.kid, now, spare, event)

    likely = key_changes.likely_for_revocation(published, command.kid)
    return await _changed(platform, tenant, likely, attempt, now)


async def _changed(
    platform: Platform, tenant: Tenant, likely: Sequence[str], attempt: Any, now: int
) -> set[str]:
    async def make(alg: str) -> NewKey:
        return await NewKey.make(platform.keystock, tenant.data_key, alg, now)

    changed: Changed = await key_changes.with_keys(make, likely, attempt)
    return set(changed.kids.values())


_ACTIONS: dict[str, Any] = {"list": _list, "rotate": _rotate, "revoke": _revoke}


def _rotate_and_tell(
    connection: Connection, data_key: DataKey, asked: Asked, spare: Spare, event: Event
) -> Changed:
    return _told(connection, key_changes.rotate(connection, data_key, asked, spare), event)


def _revoke_and_tell(
    connection: Connection, data_key: DataKey, kid: str, now: int, spare: Spare, event: Event
) -> Changed:
    return _told(connection, key_changes.revoke(connection, data_key, kid, now, spare), event)


def _told(connection: Connection, changed: Changed, event: Event) -> Changed:
    if changed.before != changed.after:
        details = {"before": changed.before, "after": changed.after}
        record(connection, replace(event, details=details))
    return changed


def _event(what: str, now: int) -> Event:
    return Event(type="sapi", created_at=now, description=f"{what} (command line)")


def _table(keys: Sequence[dict[str, Any]]) -> str:
    rows = [COLUMNS, *(_row(key) for key in keys)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _row(key: dict[str, Any]) -> tuple[str, ...]:
    """`until`: of a next key when it begins to sign, of a previous one when it leaves the key set."""
    since = key.get("current_since") or key["created_at"]
    until = key.get("activates_at") or key.get("published_until") or key.get("revoked_at") or ""
    return key["alg"], key["state"], key["kid"], since, until
