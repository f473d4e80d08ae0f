"""`keystead operator`: who runs the installation, from the machine itself, servers running or not.

The way back in when no operator can sign in (a glass to be broken), and the way to shut one out at once. Nothing is
asked of a token: whoever may read the data folder and its key has every power anyway.
"""

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.platform import Platform

ADMIN = "Platform Admin"


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("operator", help="see, appoint and dismiss those who run the installation")
    actions = parser.add_subparsers(required=True, metavar="action", dest="action")
    listed = actions.add_parser("list", help="everybody who holds a permission of the platform")
    grant = actions.add_parser(
        "grant", help="give somebody a role of the platform; an account that is not there is made"
    )
    revoke = actions.add_parser("revoke", help="take them away; what the person has open ends at once")
    for action in (grant, revoke):
        action.add_argument("--email", required=True, help="the person's address")
    grant.add_argument("--role", default=ADMIN, help=f"a role with a permission of the platform ({ADMIN})")
    grant.add_argument(
        "--password-stdin",
        action="store_true",
        help="read a password; without, an account that is there keeps its own, and a new one's is made up and shown",
    )
    revoke.add_argument("--role", help="that one only")
    for action, act in ((listed, _list), (grant, _grant), (revoke, _revoke)):
        action.add_argument("--data", help="the data folder (KEYSTEAD_DATA_DIR)")
        action.add_argument("--json", action="store_true", help="print JSON")
        action.set_defaults(run=_run, act=act)


def _run(options: argparse.Namespace) -> int:
    from pathlib import Path

    from core.errors import IdentityError
    from core.failpoints import configure
    from core.logs import configure_logs
    from core.settings import Settings
    from entrypoints.sentences import sentence
    from entrypoints.tenant_commands import opened

    given = {"data_dir": Path(options.data)} if options.data is not None else {}
    settings = Settings.from_env(os.environ, **given, spare_keys=0)
    configure_logs("error")
    configure(settings.failpoints)
    try:
        print(asyncio.run(opened(settings, options)))
    except IdentityError as error:
        print(f"keystead: {sentence(error)}", file=sys.stderr)
        return 1
    return 0


async def _list(platform: "Platform", options: argparse.Namespace) -> str:
    from core.clock import to_iso
    from entrypoints.tenant_commands import shown
    from provisioning.operators import list_operators

    one = await platform.directory.control_plane()
    rows = [
        {
            "email": row.email,
            "user_id": row.user_id,
            "roles": ", ".join((*row.roles, *row.permissions)),
            "blocked": "blocked" if row.blocked else None,
            "last_login": to_iso(row.last_login_at) if row.last_login_at is not None else None,
        }
        for row in await one.database.read(list_operators)
    ]
    return shown(("email", "user_id", "roles", "blocked", "last_login"), rows, options)


async def _grant(platform: "Platform", options: argparse.Namespace) -> str:
    from core.crypto.passwords import PasswordHasher
    from core.errors import InvalidInput
    from core.ids import new_secret, new_user_id
    from provisioning.operators import Granting, grant, has_account
    from tenant_runtime.login.emails import is_email, normal_email

    email = normal_email(options.email)
    if not is_email(email):
        raise InvalidInput("--email is not an address.")
    one = await platform.directory.control_plane()
    given = _password(email) if options.password_stdin else None
    made_up = None if given is not None or await one.database.read(has_account, email) else new_secret(15)
    hashed, password = None, given or made_up
    if password is not None:
        hasher = PasswordHasher.from_settings(platform.settings)
        try:
            hashed = await hasher.hash(password)
        finally:
            hasher.close()
    asked = Granting(
        email=email,
        role=options.role,
        user_id=new_user_id("auth0"),
        password_hash=hashed,
        chosen=given is not None,
    )
    done = await one.database.write(grant, one.data_key, asked, platform.parts.now())
    facts = [
        (done.made_account, "made an account"),
        (done.unblocked, "unblocked"),
        (
            done.set_password and not done.made_account,
            "set the password and ended what was begun with the old one",
        ),
        (done.gave_role, f"gave {options.role}"),
    ]
    said = ", ".join(text for is_true, text in facts if is_true) or f"nothing to do: holds {options.role}"
    shown_once = (
        f" The password is {made_up} (shown once)." if made_up is not None and done.made_account else ""
    )
    return f"{email}: {said}.{shown_once}"


async def _revoke(platform: "Platform", options: argparse.Namespace) -> str:
    from provisioning.operators import list_operators, revoke
    from tenant_runtime.login.emails import normal_email

    email = normal_email(options.email)
    one = await platform.directory.control_plane()
    taken = await one.database.write(revoke, one.data_key, email, options.role, platform.parts.now())
    left = await one.database.read(list_operators)
    alone = (
        ""
        if any(ADMIN in row.roles and not row.blocked for row in left)
        else (f" Nobody who can sign in holds {ADMIN} now: `keystead operator grant` appoints somebody.")
    )
    return f"{email}: took {', '.join(taken)}.{alone}"


def _password(email: str) -> str:
    from core.errors import InvalidInput
    from tenant_runtime.login.password_rules import MINIMUM, problem_of

    password = sys.stdin.readline().rstrip("\n")
    if problem_of(password, email) is not None:
        raise InvalidInput(f"Choose a password of at least {MINIMUM} characters that is not easily guessed.")
    return password
