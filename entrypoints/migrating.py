"""What `keystead migrate` does, once its arguments are values: opens the platform in this process and works."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from controlplane.migrations import overview, run_wire, state_wire
from controlplane.registry.migrations import MigrationRun, latest_run, progress
from controlplane.registry.schema_states import list_states
from core.database.generations import NoSlotLeft
from core.errors import IdentityError, Unavailable
from core.settings import Settings
from entrypoints.sentences import sentence
from provisioning.migrating.run import Migrations
from provisioning.platform import Platform, open_platform

SHOW_SECONDS = 1.0
LOOKS = 20
"""How often what is to be shown is asked for when the registry is busy: work that is done is not lost by that."""

NAMED = 20
"""Tenants that are named where there are many."""

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Asked:
    action: str
    tenant: str | None = None
    reason: str = ""


class Failed(Exception):
    """What is wrong, in a sentence."""


def run(settings: Settings, asked: Asked, show: Progress) -> dict[str, Any]:
    """How the fleet stands afterwards. Raises `Failed`."""
    try:
        return asyncio.run(_run(replace(settings, spare_keys=0), asked, show))
    except NoSlotLeft as error:
        raise Failed(str(error)) from error
    except IdentityError as error:
        raise Failed(sentence(error)) from error


async def _run(settings: Settings, asked: Asked, show: Progress) -> dict[str, Any]:
    platform = await open_platform(settings)
    try:
        planned = await _do(platform.migrations, platform, asked, show)
        return {**await _look(platform, _overview), **planned}
    finally:
        await platform.close()


async def _do(migrations: Migrations, platform: Platform, asked: Asked, show: Progress) -> dict[str, Any]:
    match asked.action, asked.tenant:
        case "run", _:
            await _work(platform, await _begun(migrations), show)
        case "resume" | "retry", _:
            run_id = await _unfinished(migrations)
            await migrations.resume(run_id, retry=asked.action == "retry")
            await _work(platform, run_id, show)
        case "stop", _:
            await migrations.stop(await _unfinished(migrations), asked.reason)
        case "hold", str(tenant):
            await migrations.hold(tenant, asked.reason)
        case "release", str(tenant):
            await migrations.release(tenant)
        case "rollback", str(tenant):
            await migrations.roll_back(tenant)
        case "dry_run", _:
            return {"planned": await migrations.planned()}
    return {}


async def _begun(migrations: Migrations) -> str | None:
    """A run that has stopped is for a person to decide."""
    latest = await migrations.latest()
    if latest is not None and latest.state == "stopped":
        raise Failed(f"The migration has stopped: {latest.reason} Go on with --retry or --resume.")
    return await migrations.start()


async def _unfinished(migrations: Migrations) -> str:
    latest = await migrations.latest()
    if latest is None or latest.ended_at is not None:
        raise Failed("There is no migration that could go on.")
    return latest.id


async def _work(platform: Platform, run_id: str | None, show: Progress) -> None:
    if run_id is None:
        return
    work = asyncio.create_task(platform.migrations.work(run_id))
    while not work.done():
        show(await _look(platform, _shown))
        await asyncio.wait({work}, timeout=SHOW_SECONDS)
    await work
    show(await _look(platform, _shown))


async def _look(platform: Platform, unit: Callable[[Connection, str], dict[str, Any]]) -> dict[str, Any]:
    for _ in range(LOOKS - 1):
        try:
            return await platform.registry.read(unit, platform.migrations.target)
        except Unavailable:
            await asyncio.sleep(SHOW_SECONDS)
    return await platform.registry.read(unit, platform.migrations.target)


def _shown(connection: Connection, target: str) -> dict[str, Any]:
    run: MigrationRun | None = latest_run(connection, target)
    assert run is not None
    return run_wire(run, progress(connection, run))


def _overview(connection: Connection, target: str) -> dict[str, Any]:
    named = {
        only: [state_wire(state) for state in list_states(connection, target, only, limit=NAMED)]
        for only in ("failed", "held")
    }
    return {**overview(connection, target), **named}
