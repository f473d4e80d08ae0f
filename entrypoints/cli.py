"""The `keystead` command. Reads the environment and its arguments, once, and hands values on."""

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.settings import SettingsError
from entrypoints import (
    backend_commands,
    config_commands,
    migrate_commands,
    operator_commands,
    registry_commands,
    tenant_commands,
)

PASSWORD_VARIABLE = "KEYSTEAD_OPERATOR_PASSWORD"
EMAIL_VARIABLE = "KEYSTEAD_OPERATOR_EMAIL"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except SettingsError as error:
        print(f"keystead: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keystead", description="A multi-tenant identity server.")
    commands = parser.add_subparsers(required=True, metavar="command")
    init = commands.add_parser("init", help="make an installation in the data folder; again: changes nothing")
    init.add_argument("--data", type=Path, help="the data folder (KEYSTEAD_DATA_DIR)")
    init.add_argument("--operator-email", help=f"the first operator's address ({EMAIL_VARIABLE})")
    init.add_argument(
        "--password-stdin", action="store_true", help=f"read the password (or {PASSWORD_VARIABLE})"
    )
    init.add_argument(
        "--show-client", action="store_true", help="print the platform's machine client and its secret"
    )
    init.add_argument(
        "--one-node",
        action="store_true",
        help="tenant one may be a file of this machine, although the registry is on PostgreSQL",
    )
    init.set_defaults(run=_init)
    serve = commands.add_parser(
        "serve", help="serve an installation; an empty data folder is initialised first"
    )
    serve.add_argument("--data", type=Path, help="the data folder (KEYSTEAD_DATA_DIR)")
    serve.add_argument("--host", help="address to listen on (KEYSTEAD_LISTEN_HOST)")
    serve.add_argument("--port", type=int, help="port to listen on (KEYSTEAD_LISTEN_PORT)")
    serve.set_defaults(run=_serve)
    demo = commands.add_parser("demo", help="serve a demo installation on loopback")
    demo.add_argument("--data", type=Path, default=Path("data"), help="an empty folder, or an earlier demo's")
    demo.add_argument("--host", default="127.0.0.1", help="a loopback address")
    demo.add_argument("--port", type=int, default=8000, help="port to listen on (8000)")
    demo.add_argument("--json", action="store_true", help="print one line READY {json} when it listens")
    demo.set_defaults(run=_demo)
    walk = commands.add_parser("walk", help="walk the main line of a running demo over HTTP")
    walk.add_argument("--url", required=True, help="the control plane's origin, http://localhost:8000")
    walk.add_argument("--data", type=Path, default=Path("data"), help="where the demo's credentials are")
    walk.set_defaults(run=_walk)
    migrate_commands.add_parser(commands)
    _add_keys(commands.add_parser("keys", help="see, rotate and revoke the signing keys of a tenant"))
    tenant_commands.add_parser(commands)
    registry_commands.add_parser(commands)
    operator_commands.add_parser(commands)
    backend_commands.add_parser(commands)
    config_commands.add_parser(commands)
    return parser


def _add_keys(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="action", dest="action")
    rotate = actions.add_parser("rotate", help="publish a new key that signs later; again: changes nothing")
    rotate.add_argument(
        "--algorithm", choices=("RS256", "PS256", "ES256", "EdDSA"), help="all that sign now, if absent"
    )
    rotate.add_argument(
        "--immediately", action="store_true", help="sign with it at once: verifiers have to fetch it"
    )
    revoke = actions.add_parser("revoke", help="take a key out of the key set and refuse what it signed")
    revoke.add_argument("--kid", required=True, help="the key's id, as `list` shows it")
    for action in (actions.add_parser("list", help="all keys that are remembered"), rotate, revoke):
        action.add_argument("--tenant", required=True, help="the tenant's id; tenant one's is control_plane")
        action.add_argument("--data", type=Path, help="the data folder (KEYSTEAD_DATA_DIR)")
        action.add_argument("--json", action="store_true", help="print JSON")
        action.set_defaults(run=_keys, algorithm=None, immediately=False, kid="")


@contextmanager
def _loading() -> Iterator[None]:
    """What is loaded stays: looking for garbage in it meanwhile would cost a seventh of the start."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def _init(options: argparse.Namespace) -> int:
    with _loading():
        from entrypoints import commands
    return commands.init(
        dict(os.environ),
        options.data,
        options.operator_email,
        password_stdin=options.password_stdin,
        show_client=options.show_client,
        one_node=options.one_node,
    )


def _serve(options: argparse.Namespace) -> int:
    with _loading():
        from entrypoints import commands
    return commands.serve(dict(os.environ), options.data, options.host, options.port)


def _demo(options: argparse.Namespace) -> int:
    with _loading():
        from entrypoints import commands
    return commands.demo(dict(os.environ), options.data, options.host, options.port, as_json=options.json)


def _keys(options: argparse.Namespace) -> int:
    with _loading():
        from entrypoints import commands
        from entrypoints.keys import KeysCommand
    return commands.keys(
        dict(os.environ),
        options.data,
        KeysCommand(
            action=options.action,
            tenant=options.tenant,
            algorithm=options.algorithm,
            immediately=options.immediately,
            kid=options.kid,
            as_json=options.json,
        ),
    )


def _walk(options: argparse.Namespace) -> int:
    import httpx

    from entrypoints import demo
    from entrypoints.network import ApiError
    from entrypoints.walk import walk

    made = demo.load(options.data)
    if made is None:
        print(f"keystead: there is no demo in {options.data}; name its folder with --data", file=sys.stderr)
        return 2
    try:
        asyncio.run(walk(options.url, made, lambda line: print(f"- {line}", flush=True)))
    except httpx.TransportError as error:
        print(f"keystead: nothing answers at {options.url}: {error}", file=sys.stderr)
        return 1
    except ApiError as error:
        print(f"keystead: the walk ended: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
