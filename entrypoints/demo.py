"""`keystead demo`: an installation with content, on loopback, for a person or a program to try.

What it made is kept beside the data (`demo.json`, mode 0600), so that a second start serves the same demo.
"""

import os
import shlex
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from core.settings import Settings, SettingsError, is_loopback
from entrypoints.demo_content import (
    CALLBACK_PORT,
    MAILBOX,
    TENANTS,
    Demo,
    DemoControlPlane,
    DemoUser,
    make_tenant,
    share_an_api,
)
from entrypoints.network import Api, client_credentials

OPERATOR = "operator@keystead.example"
RECORD = "demo.json"


def demo_settings(environ: dict[str, str], data_dir: Path, host: str, port: int) -> Settings:
    """Loopback only: the demo's passwords are printed, and nothing of it is meant for others."""
    if not is_loopback(host):
        raise SettingsError(
            "keystead demo listens on loopback addresses only; use keystead serve for others."
        )
    return Settings.from_env(
        environ,
        data_dir=data_dir,
        public_url=f"http://localhost:{port}",
        base_domain="localhost",
        listen_host=host,
        listen_port=port,
        **_mailbox(environ),
    )


def _mailbox(environ: dict[str, str]) -> dict[str, Any]:
    """Without a mail server, letters are files that a person can open."""
    has_mail = {"KEYSTEAD_SMTP_URL", "KEYSTEAD_MAIL_FOLDER"} & environ.keys()
    return {} if has_mail else {"mail_folder": Path("mail")}


def load(data_dir: Path) -> Demo | None:
    """What an earlier start made here; None for a new folder."""
    record = data_dir / RECORD
    if record.exists():
        return msgspec.json.decode(record.read_bytes(), type=Demo)
    if data_dir.exists() and any(data_dir.iterdir()):
        raise SettingsError(
            f"{data_dir} is not empty, and holds no finished demo. Choose an empty folder with --data."
        )
    return None


def check_address(demo: Demo, settings: Settings) -> None:
    """Its applications and tokens name the addresses that it was made with."""
    issuer = demo.control_plane.issuer
    if issuer != settings.control_plane_issuer:
        port = urlsplit(issuer).port or 80
        raise SettingsError(
            f"{settings.data_dir} holds the demo of {issuer}. Start it with --port {port} (make run PORT={port}),"
            " or choose an empty folder with --data (DATA=)."
        )


async def make(app: Any, settings: Settings, plane: DemoControlPlane) -> Demo:
    """Fill a fresh installation through its own API, in process."""
    machine = plane.clients["m2m"]
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, timeout=60) as http:
        token = await client_credentials(
            http, plane.issuer, machine.client_id, machine.client_secret or "", plane.management_audience
        )
        platform = Api(http, f"{plane.issuer}api/v2", token)
        await share_an_api(platform)
        tenants = [
            await make_tenant(platform, http, token, tenant_id, settings.tenant_issuer(tenant_id))
            for tenant_id in TENANTS
        ]
    demo = Demo(control_plane=plane, tenants=tenants)
    _remember(settings.data_dir, demo)
    return demo


def _remember(data_dir: Path, demo: Demo) -> None:
    """Written whole or not at all, and readable by its owner only."""
    partial = data_dir / f"{RECORD}.new"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(demo))
    partial.replace(data_dir / RECORD)


def described_for_people(demo: Demo, settings: Settings, *, has_app: bool = True) -> str:
    """`has_app`: whether the demo application is served, and the mailbox with it."""
    data_dir, mail_folder = settings.data_dir, settings.mail_folder
    lines = ["", *_application(has_app), ""]
    lines += _sign_in("control plane", demo.control_plane.issuer, demo.control_plane.users[0])
    for tenant in demo.tenants:
        lines += _sign_in(tenant.id, tenant.issuer, tenant.users[0])
    lines += [
        "",
        f"Every user, client and secret of this demo is in {RECORD} in the data folder.",
        *_letters(mail_folder, has_app),
        f"See the main line run:  {_walk_command(demo, data_dir)}",
        "Stop with Ctrl-C.",
        "",
    ]
    return "\n".join(lines)


def _application(has_app: bool) -> list[str]:
    address = f"http://127.0.0.1:{CALLBACK_PORT}"
    if has_app:
        return [f"Keystead is listening. Open the demo application and sign in:  {address}"]
    return [
        "Keystead is listening, without its demo application: something else listens on its port,",
        f"perhaps another demo. Stop that, and start again for  {address}",
    ]


def _letters(mail_folder: Path | None, has_app: bool) -> list[str]:
    if mail_folder is None:
        return []
    if not has_app:
        return [f"Every mail that is sent is a file in {mail_folder}"]
    return [f"Every mail that is sent can be read:  {MAILBOX}  (they are files in {mail_folder})"]


def _sign_in(name: str, issuer: str, user: DemoUser) -> list[str]:
    return [f"  {name:<14} {issuer:<32} {user.email}  {user.password}"]


def _walk_command(demo: Demo, data_dir: Path) -> str:
    where = "" if data_dir == Path("data").absolute() else f" --data {shlex.quote(str(data_dir))}"
    return f"{_own_name()} walk --url {demo.control_plane.issuer.rstrip('/')}{where}"


def _own_name() -> str:
    """As it was called, so that what is printed can be pasted: `make run` activates no environment."""
    called = sys.argv[0]
    return shlex.quote(called) if Path(called).name == "keystead" else "keystead"
