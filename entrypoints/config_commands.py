"""`keystead config`: a tenant's configuration as files, out of the tenant, compared with it, and into it.

On the machine itself by the data folder (`--tenant`), from afar by a client (`--domain`). The control plane is a
tenant like the others here: its id is control_plane.
"""

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.settings import SettingsError

if TYPE_CHECKING:
    from entrypoints.configuration.doors import Door
    from entrypoints.configuration.plan import Change

SAME, DIFFERENT, FAILED = 0, 2, 1
ROUNDS = 3
"""One change may bring another along: a new client, say, is enabled where all are. The last one finds nothing to do."""
_SIGNS = {"create": "+", "change": "~", "delete": "-", "only here": "?"}


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("config", help="a tenant's configuration as files: export, plan, apply")
    actions = parser.add_subparsers(required=True, metavar="action", dest="action")
    export = _action(actions, "export", "write what the tenant is into files", _export)
    export.add_argument("target", type=Path, help="a file that ends in .yaml, or a folder")
    plan = _action(
        actions, "plan", "show what apply would change (exit status 2), or that nothing would (0)", _plan
    )
    apply = _action(actions, "apply", "make the tenant as the files say", _apply)
    for action in (plan, apply):
        action.add_argument("source", type=Path, help="a file that ends in .yaml, or a folder")
        action.add_argument(
            "--delete", action="store_true", help="delete what the files leave out of a kind they have"
        )
        action.add_argument(
            "--skip",
            action="append",
            default=[],
            metavar="KIND",
            help="leave a kind of the files out (actions, ...)",
        )


def _action(actions: Any, name: str, text: str, act: Any) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=text)
    where = action.add_mutually_exclusive_group(required=True)
    where.add_argument("--tenant", help="on this machine: the tenant's id; tenant one's is control_plane")
    where.add_argument("--domain", help="from afar: the tenant's domain")
    action.add_argument("--data", type=Path, help="with --tenant: the data folder (KEYSTEAD_DATA_DIR)")
    action.add_argument("--client-id", help="with --domain: a client with a grant for the Management API")
    action.add_argument(
        "--client-secret", help="its secret (or AUTH0_CLIENT_SECRET, as Auth0's tool takes it)"
    )
    action.set_defaults(run=run, act=act)
    return action


def run(options: argparse.Namespace) -> int:
    from core.database.generations import NoSlotLeft
    from core.errors import IdentityError
    from core.logs import configure_logs
    from entrypoints.configuration.failures import Failed
    from entrypoints.sentences import sentence

    configure_logs("error")
    try:
        status: int = asyncio.run(_opened(options))
    except (Failed, NoSlotLeft, SettingsError) as error:
        print(f"keystead: {error}", file=sys.stderr)
        return FAILED
    except IdentityError as error:
        print(f"keystead: {sentence(error)}", file=sys.stderr)
        return FAILED
    return status


async def _opened(options: argparse.Namespace) -> int:
    async with _door(options) as door:
        status: int = await options.act(door, options)
        return status


def _door(options: argparse.Namespace) -> "AbstractAsyncContextManager[Door]":
    from core.settings import Settings
    from entrypoints.configuration.doors import at_the_machine, from_afar
    from entrypoints.configuration.failures import Failed

    if options.tenant is not None:
        given = {"data_dir": options.data} if options.data is not None else {}
        return at_the_machine(Settings.from_env(dict(os.environ), **given, spare_keys=0), options.tenant)
    secret = options.client_secret or os.environ.get("AUTH0_CLIENT_SECRET")
    if not options.client_id or not secret:
        raise Failed("--domain needs --client-id, and --client-secret or AUTH0_CLIENT_SECRET")
    return from_afar(options.domain, options.client_id, secret)


async def _export(door: "Door", options: argparse.Namespace) -> int:
    from entrypoints.configuration import state, written
    from entrypoints.configuration.files import SUFFIXES

    present = await state.read(door)
    is_file = options.target.suffix in SUFFIXES
    write = written.write_yaml if is_file else written.write_folder
    count = await asyncio.to_thread(write, present, options.target)
    for name, labels in present.ambiguous.items():
        for label in sorted(labels):
            print(f"keystead: left out: several of {name} are called {label}", file=sys.stderr)
    print(f"Wrote {count} file{'' if count == 1 else 's'} to {options.target}.")
    return SAME


async def _plan(door: "Door", options: argparse.Namespace) -> int:
    changes, _ = await _compared(door, options)
    for line in _lines(changes):
        print(line)
    print(_summary(changes))
    return DIFFERENT if any(change.writes for change in changes) else SAME


async def _apply(door: "Door", options: argparse.Namespace) -> int:
    from entrypoints.configuration.applying import apply
    from entrypoints.configuration.failures import Failed

    done: dict[tuple[str, str], str] = {}
    for _ in range(ROUNDS):
        changes, present = await _compared(door, options)
        if not any(change.writes for change in changes):
            break
        await apply(door, changes, present, lambda line: print(line, flush=True))
        for change in changes:
            if change.writes:
                done.setdefault((change.kind.name, change.label), change.action)
    else:
        raise Failed(f"the tenant is not as the files say after {ROUNDS} rounds; see what plan shows")
    counts, left = Counter(done.values()), sum(change.action == "only here" for change in changes)
    print(
        f"{counts['create']} created, {counts['change']} changed, {counts['delete']} deleted,"
        f" {left} only here and left alone."
    )
    return SAME


async def _compared(door: "Door", options: argparse.Namespace) -> "tuple[list[Change], Any]":
    from entrypoints.configuration import files, state
    from entrypoints.configuration.plan import compare

    builtin = {"TENANT_ISSUER": door.issuer, "TENANT_DOMAIN": door.issuer.partition("://")[2].rstrip("/")}
    said = files.read(options.source, {**builtin, **os.environ}, frozenset(options.skip))
    present = await state.read(door, said.languages)
    return compare(said, present, delete=options.delete, own_client=door.client_id), present


def _lines(changes: "Sequence[Change]") -> list[str]:
    lines: list[str] = []
    kind = ""
    for change in changes:
        if change.kind.name != kind:
            kind = change.kind.name
            lines.append(f"{kind}:")
        told = "  (only here)" if change.action == "only here" else ""
        lines.append(f"  {_SIGNS[change.action]} {change.label}{told}")
        if change.action == "change":
            lines += [
                f"      {name}: {_shown(change.before.get(name))} -> {_new(change, name)}"
                for name in change.members
            ]
    return lines


def _new(change: "Change", name: str) -> str:
    return "(secret)" if name in change.kind.secrets else _shown(change.members[name])


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _summary(changes: "Sequence[Change]") -> str:
    counted = {action: sum(change.action == action for change in changes) for action in _SIGNS}
    if not any(counted.values()):
        return "Nothing to change."
    return (
        f"{counted['create']} to create, {counted['change']} to change, {counted['delete']} to delete,"
        f" {counted['only here']} only here."
    )
