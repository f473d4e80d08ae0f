"""`keystead backends`: which back ends there are, how many tenants each has, and databases that nobody points to."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.settings import Settings
    from provisioning.survey import BackendSurvey


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "backends", help="where tenant databases live, and what nobody points to there"
    )
    parser.add_argument("--data", type=Path, help="the data folder (KEYSTEAD_DATA_DIR)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import msgspec

    from core.errors import IdentityError
    from core.logs import configure_logs
    from core.settings import Settings
    from entrypoints.sentences import sentence

    given = {"data_dir": options.data} if options.data is not None else {}
    settings = Settings.from_env(os.environ, **given, spare_keys=0)
    configure_logs("error")
    try:
        found = asyncio.run(_survey(settings))
    except IdentityError as error:
        print(f"keystead: {sentence(error)}", file=sys.stderr)
        return 1
    if options.json:
        print(msgspec.json.encode(found).decode())
    else:
        print("\n".join(_line(each) for each in found))
    return 1 if any(each.problem for each in found) else 0


async def _survey(settings: "Settings") -> "list[BackendSurvey]":
    from provisioning.platform import open_platform
    from provisioning.survey import survey

    platform = await open_platform(settings)
    try:
        return await survey(platform.parts)
    finally:
        await platform.close()


def _line(found: "BackendSurvey") -> str:
    if found.problem is not None:
        told = f"cannot be asked: {found.problem}"
    elif found.strays is None:
        told = ""
    else:
        told = f"pointed to by nobody: {', '.join(found.strays) or 'none'}"
    return f"{found.name:<12}  {found.tenants:>6} tenants  {told}".rstrip()
