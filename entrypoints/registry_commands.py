"""`keystead registry move` and `restore`, and `keystead nodes`: where the registry is, and who serves over it."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from core.settings import Secret, Settings

FILE = "file"


def add_parser(commands: Any) -> None:
    registry = commands.add_parser("registry", help="take the registry to PostgreSQL, back, or from a backup")
    actions = registry.add_subparsers(required=True, metavar="action", dest="action")
    move = actions.add_parser("move", help="copy and compare all of it, while no server runs")
    move.add_argument(
        "--to",
        required=True,
        help="postgresql://user@host/database (its password as PGPASSWORD, or in ~/.pgpass), or 'file'",
    )
    restore = actions.add_parser("restore", help="put a backup of it into a data folder that has none")
    restore.add_argument("--file", type=Path, required=True, help="a file of the backup folder's `registry`")
    nodes = commands.add_parser("nodes", help="the machines that serve this installation")
    nodes.add_argument("--json", action="store_true", help="print JSON")
    for parser, act in ((move, _move), (restore, _restore), (nodes, _nodes)):
        parser.add_argument("--data", type=Path, help="the data folder (KEYSTEAD_DATA_DIR)")
        parser.set_defaults(run=_run, act=act)


def _run(options: argparse.Namespace) -> int:
    from core.errors import IdentityError
    from core.failpoints import configure
    from core.logs import configure_logs
    from core.settings import Settings
    from entrypoints.sentences import sentence

    given = {"data_dir": options.data} if options.data is not None else {}
    settings = Settings.from_env(os.environ, **given, spare_keys=0)
    configure_logs("error")
    configure(settings.failpoints)
    try:
        print(asyncio.run(options.act(settings, options)))
    except IdentityError as error:
        print(f"keystead: {sentence(error)}", file=sys.stderr)
        return 1
    return 0


async def _move(settings: "Settings", options: argparse.Namespace) -> str:
    from core.clock import SystemClock
    from provisioning.platform import open_databases
    from provisioning.registry_move import move_registry

    to = None if options.to == FILE else _address(options.to)
    databases = open_databases(settings)
    try:
        moved = await asyncio.to_thread(move_registry, settings, databases, to, SystemClock())
    finally:
        await databases.close()
    rows = ", ".join(f"{count} {name}" for name, count in moved.rows.items() if count)
    then = "unset KEYSTEAD_REGISTRY_URL" if to is None else "set KEYSTEAD_REGISTRY_URL, and KEYSTEAD_NODE"
    return f"Moved and compared: {rows}.\nBefore you start servers: {then}."


async def _restore(settings: "Settings", options: argparse.Namespace) -> str:
    from core.clock import to_iso
    from provisioning.backups.registry import restore_registry

    heading = await asyncio.to_thread(restore_registry, settings, options.file)
    return f"The registry is as it was at {to_iso(heading.taken_at)}. Start Keystead, and restore tenants."


def _address(text: str) -> "Secret":
    """A password in an argument can be read by everybody on this machine."""
    from core.settings import SettingsError
    from core.settings_values import parsed, registry_url

    if urlsplit(text).password is not None:
        raise SettingsError("Leave the password out of --to: give it as PGPASSWORD, or in ~/.pgpass.")
    address: Secret = parsed("--to", text, registry_url)
    return address


async def _nodes(settings: "Settings", options: argparse.Namespace) -> str:
    import msgspec

    from controlplane.registry.nodes import list_nodes
    from core.clock import to_iso
    from provisioning.platform import open_platform

    platform = await open_platform(settings)
    try:
        now = platform.parts.now()
        nodes = await platform.registry.read(list_nodes)
    finally:
        await platform.close()
    rows = [
        {
            "name": node.name,
            "version": node.version,
            "last_heartbeat_at": to_iso(node.heartbeat_at),
            "alive": node.is_alive(now),
        }
        for node in nodes
    ]
    if options.json:
        return msgspec.json.encode(rows).decode()
    if not rows:
        return "The registry is a file: this machine is the only node."
    return "\n".join(
        f"{row['name']:<32}  {row['version']:<10}  {row['last_heartbeat_at']}"
        f"  {'alive' if row['alive'] else 'silent'}"
        for row in rows
    )
