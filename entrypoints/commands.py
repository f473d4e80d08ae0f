"""What the commands do, once their arguments are values."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from core.errors import Unavailable
from core.failpoints import configure
from core.logs import configure_logs
from core.settings import Settings, SettingsError
from entrypoints import demo as demos
from entrypoints.asgi import Keystead, create_app
from entrypoints.demo_app import beside
from entrypoints.demo_content import (
    CALLBACK,
    SIGNED_OUT,
    DemoClient,
    DemoControlPlane,
    DemoUser,
    new_password,
)
from entrypoints.keys import Failed, KeysCommand
from entrypoints.keys import run as run_keys
from entrypoints.sentences import reason
from entrypoints.serving import run, serve_until_stopped, serve_with_workers, spare_the_collector
from provisioning.installation import Initialised, initialise
from provisioning.registry_opening import is_initialised

EMAIL = "KEYSTEAD_OPERATOR_EMAIL"
PASSWORD = "KEYSTEAD_OPERATOR_PASSWORD"


def init(
    environ: dict[str, str],
    data: Path | None,
    email: str | None,
    *,
    password_stdin: bool,
    show_client: bool,
    one_node: bool,
) -> int:
    settings = _settings(environ, data_dir=data)
    password = sys.stdin.readline().rstrip("\n") if password_stdin else environ.get(PASSWORD)
    made = _initialise(settings, email or environ.get(EMAIL), password, one_node=one_node)
    _say(made)
    if show_client:
        print(
            f"The platform's machine client is {made.machine_client_id} with secret {made.machine_client_secret}."
        )
    return 0


def serve(environ: dict[str, str], data: Path | None, host: str | None, port: int | None) -> int:
    settings = _settings(environ, data_dir=data, listen_host=host, listen_port=port)
    if not is_initialised(settings):
        _say(_initialise(settings, environ.get(EMAIL), environ.get(PASSWORD)))
    if settings.workers > 1:
        os.environ["KEYSTEAD_DATA_DIR"] = str(settings.data_dir)
        return serve_with_workers("entrypoints.commands:worker_app", settings)
    app = create_app(settings)
    if settings.metrics_port is not None:
        app.metrics.listen(settings.listen_host, settings.metrics_port)
    return run(serve_until_stopped(app, settings, leaving=app.leave))


def keys(environ: dict[str, str], data: Path | None, command: KeysCommand) -> int:
    settings = _settings(environ, data_dir=data)
    try:
        print(run_keys(settings, command))
    except Failed as error:
        print(f"keystead: {error}", file=sys.stderr)
        return 1
    return 0


def worker_app() -> Keystead:
    """The application of one of several processes: each reads the environment it was started with."""
    app = create_app(_settings(dict(os.environ)))
    spare_the_collector()
    return app


def demo(environ: dict[str, str], data: Path, host: str, port: int, *, as_json: bool) -> int:
    quiet = {} if as_json else {"KEYSTEAD_LOG_LEVEL": "warning"}  # a person reads what is printed
    settings = demos.demo_settings({**quiet, **environ}, data, host, port)
    _begin(settings)
    return run(_demo(settings, as_json=as_json))


async def _demo(settings: Settings, *, as_json: bool) -> int:
    known = demos.load(settings.data_dir)
    if known is not None:
        demos.check_address(known, settings)
    made = None if known is not None else await make_control_plane(settings)
    app = create_app(settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.lifespan())
        demo = known if made is None else await demos.make(app, settings, made)
        assert demo is not None
        if as_json:
            said = f"READY {msgspec.json.encode(demo).decode()}"
        else:
            has_app = await stack.enter_async_context(beside(demo, settings.mail_folder))
            said = demos.described_for_people(demo, settings, has_app=has_app)
        return await serve_until_stopped(
            app, settings, listening=lambda: print(said, flush=True), lifespan="off"
        )


async def make_control_plane(settings: Settings, *, one_node: bool = False) -> DemoControlPlane:
    operator = DemoUser(demos.OPERATOR, new_password())
    made = await initialise(
        settings,
        operator_email=operator.email,
        operator_password=operator.password,
        console_callbacks=(CALLBACK,),
        console_logout_urls=(SIGNED_OUT,),
        kind="demo",
        one_node=one_node,
    )
    assert made.console_client_id is not None
    assert made.machine_client_id is not None
    return DemoControlPlane(
        issuer=settings.control_plane_issuer,
        management_audience=f"{settings.control_plane_issuer}api/v2/",
        users=[operator],
        clients={
            "console": DemoClient(made.console_client_id),
            "m2m": DemoClient(made.machine_client_id, made.machine_client_secret),
        },
    )


def _initialise(
    settings: Settings, email: str | None, password: str | None, *, one_node: bool = False
) -> Initialised:
    work = initialise(settings, operator_email=email, operator_password=password or None, one_node=one_node)
    try:
        return asyncio.run(work)
    except Unavailable as error:
        raise SettingsError(
            f"A server that the installation needs does not answer: {reason(error)}"
        ) from error


def _say(made: Initialised) -> None:
    if not made.made:
        print("Nothing to do: the installation is complete.")
        return
    print(f"Made: {', '.join(made.made)}.")
    if made.setup_url is not None:
        print(
            f"There is no operator yet. Start Keystead and open, once and within a day:\n  {made.setup_url}"
        )
    if made.operator_password is not None:
        print(
            f"The first operator is {made.operator_email} with password {made.operator_password} (shown once)."
        )


def _settings(environ: dict[str, str], **overrides: Any) -> Settings:
    given = {name: value for name, value in overrides.items() if value is not None}
    settings = Settings.from_env(environ, **given)
    _begin(settings)
    return settings


def _begin(settings: Settings) -> None:
    configure_logs(settings.log_level)
    configure(settings.failpoints)
