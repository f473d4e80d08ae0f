"""`keystead tenant`: list tenants, back one up, restore it, move it, from the machine itself, servers running or not.

Each command opens the installation in its own process and does what the platform API does: the registry knows the
operation, and a server goes on with it should this process die. Nothing is asked of a token.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.settings import Settings
    from provisioning.platform import Platform

POLL_SECONDS = 0.2
PAGE = 256


class Failed(Exception):
    """What is wrong, in a sentence."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("tenant", help="list tenants, back one up, restore it, move it")
    actions = parser.add_subparsers(required=True, metavar="action", dest="action")
    _action(actions, "list", "all tenants, and where their databases are", _list)
    backups = _action(actions, "backups", "the backups of one tenant, the newest first", _backups)
    backup = _action(actions, "backup", "take a backup now", _backup)
    restore = _action(actions, "restore", "put a tenant back as it was when a backup was taken", _restore)
    move = _action(actions, "move", "put a tenant's database elsewhere while the tenant serves", _move)
    renew = _action(actions, "renew-credentials", "new ones for its database; the old are void", _renew)
    for action in (backups, backup, restore, move, renew):
        action.add_argument("tenant", help="the tenant's id; tenant one's is control_plane")
    move.add_argument("--to", required=True, help="a database backend: sqlite, libsql, turso, postgresql")
    move.add_argument("--region", help="a region of that backend")
    backup.add_argument(
        "--as-of",
        type=_moment,
        metavar="MOMENT",
        help="as it was then (2026-01-02T03:04:05Z), where its backend remembers: turso",
    )
    source = restore.add_mutually_exclusive_group(required=True)
    source.add_argument("--backup", help="its id")
    source.add_argument("--file", type=Path, help="a file of the backup folder, wherever it lies now")
    restore.add_argument("--to", help="another database backend than the present one")
    restore.add_argument("--region", help="a region of that backend")
    restore.add_argument(
        "--present-is-lost",
        action="store_true",
        help="do not ask the present database what was revoked since: revoke all signing keys",
    )


def _action(actions: Any, name: str, text: str, act: Any) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=text)
    action.add_argument("--data", type=Path, help="the data folder (KEYSTEAD_DATA_DIR)")
    action.add_argument("--json", action="store_true", help="print JSON")
    action.set_defaults(run=run, act=act)
    return action


def _moment(text: str) -> int:
    """In milliseconds."""
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return int(moment.timestamp() * 1000)
    raise argparse.ArgumentTypeError("must be a moment with its zone, such as 2026-01-02T03:04:05Z")


def run(options: argparse.Namespace) -> int:
    from core.database.generations import NoSlotLeft
    from core.errors import IdentityError
    from core.logs import configure_logs
    from core.settings import Settings
    from entrypoints.sentences import sentence

    given = {"data_dir": options.data} if options.data is not None else {}
    settings = Settings.from_env(dict(os.environ), **given, spare_keys=0)
    configure_logs("error")
    try:
        print(asyncio.run(opened(settings, options)))
    except (Failed, NoSlotLeft) as error:
        print(f"keystead: {error}", file=sys.stderr)
        return 1
    except IdentityError as error:
        print(f"keystead: {sentence(error)}", file=sys.stderr)
        return 1
    return 0


async def opened(settings: "Settings", options: argparse.Namespace) -> str:
    from provisioning.platform import open_platform

    platform = await open_platform(settings)
    try:
        text: str = await options.act(platform, options)
        return text
    finally:
        await platform.close()


async def _list(platform: "Platform", options: argparse.Namespace) -> str:
    from controlplane.registry.tenant_lists import TenantQuery, list_tenants_after, position_of

    query, after, rows = TenantQuery(sort="id"), None, list[dict[str, Any]]()
    names = ("id", "state", "backend", "region", "schema_version", "generation", "location")
    while tenants := await platform.registry.read(list_tenants_after, query, after=after, limit=PAGE):
        rows += [{name: getattr(tenant, name) for name in names} for tenant in tenants]
        after = position_of(tenants[-1], query)
    return shown(names, rows, options)


async def _backups(platform: "Platform", options: argparse.Namespace) -> str:
    from controlplane.backups import backup_wire
    from controlplane.registry.backups import list_backups
    from controlplane.registry.tenants import get_tenant

    await platform.registry.read(get_tenant, options.tenant)
    found = await platform.registry.read(list_backups, options.tenant)
    names = ("id", "taken_at", "kind", "backend", "schema_version", "size", "stored_size")
    return shown(names, [backup_wire(backup) for backup in found], options)


async def _backup(platform: "Platform", options: argparse.Namespace) -> str:
    await _ended(platform, await platform.backups.take(options.tenant, as_of=options.as_of))
    return await _backups(platform, options)


async def _restore(platform: "Platform", options: argparse.Namespace) -> str:
    from core.tenants import RestoreOrder

    order = RestoreOrder(
        backup_id=options.backup,
        file=options.file,
        backend=options.to,
        region=options.region,
        present_is_lost=options.present_is_lost,
    )
    operation = await _ended(platform, await platform.backups.restore(options.tenant, order))
    names = ("name", "state", "started_at", "ended_at")
    return shown(names, operation["steps"], options)


async def _move(platform: "Platform", options: argparse.Namespace) -> str:
    operation = await _ended(platform, await platform.moves.move(options.tenant, options.to, options.region))
    names = ("name", "state", "started_at", "ended_at", "rows", "rounds", "entries", "paused_ms")
    return shown(names, [dict.fromkeys(names) | step for step in operation["steps"]], options)


async def _renew(platform: "Platform", options: argparse.Namespace) -> str:
    from provisioning.credentials import renew_credentials

    await renew_credentials(platform.parts, options.tenant)
    return shown(("tenant",), [{"tenant": options.tenant}], options)


async def _ended(platform: "Platform", operation_id: str) -> dict[str, Any]:
    """Longer than a request would wait."""
    from controlplane.operations import operation_wire
    from controlplane.registry.operations import get_operation

    while True:
        operation = await platform.registry.read(get_operation, operation_id)
        if operation.state == "succeeded":
            return operation_wire(operation)
        if operation.state == "failed":
            raise Failed(f"{operation_id} has failed, and is tried again by a server: {operation.error}")
        if operation.state != "running":
            raise Failed(f"{operation_id} is {operation.state}: {operation.error}")
        await asyncio.sleep(POLL_SECONDS)


def shown(names: Sequence[str], rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> str:
    import msgspec

    if options.json:
        return msgspec.json.encode(rows).decode()
    table = [names, *([str(row[name] if row[name] is not None else "") for name in names] for row in rows)]
    widths = [max(len(line[place]) for line in table) for place in range(len(names))]
    lines = ("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in table)
    return "\n".join(line.rstrip() for line in lines)
