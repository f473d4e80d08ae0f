"""The registry at the start of a process: there is one, the sealing key is its own, its schema is this release's.

With its server away, what this machine remembers of it does for the start; what could not be asked then is asked by
the worker when it is back.
"""

import asyncio
from dataclasses import dataclass

from controlplane.directory_copy import DirectoryCopy
from controlplane.registry.installation import (
    InstallationRow,
    directory_version,
    is_moved,
    read_installation,
)
from core.crypto.sealing import InstallationKey, SealingKeyError
from core.database import Databases
from core.errors import DatabaseMissing, Unavailable
from core.settings import Settings, SettingsError
from provisioning.registry_place import migrate_registry, registry_exists, registry_ref

FOLDER = "directory"


class NotInitialised(SettingsError):
    """There is no registry."""


@dataclass(frozen=True, slots=True)
class Opened:
    installation: InstallationRow
    is_away: bool = False


def directory_copy(settings: Settings, key: InstallationKey) -> DirectoryCopy | None:
    """None for a registry that is a file of this machine: a copy beside it would share its fate."""
    if settings.registry_url is None:
        return None
    return DirectoryCopy(settings.data_dir / FOLDER, key)


def is_initialised(settings: Settings) -> bool:
    """Blocks: for threads. A machine that was part of an installation still is, with the registry away."""
    try:
        return registry_exists(settings)
    except Unavailable as error:
        if (settings.data_dir / FOLDER).exists():
            return True
        raise SettingsError("The server of KEYSTEAD_REGISTRY_URL does not answer.") from error


async def open_registry(
    settings: Settings, databases: Databases, key: InstallationKey, copy: DirectoryCopy | None
) -> Opened:
    """Refused with a sentence when it is another installation's, or has been moved."""
    ref = registry_ref(settings)
    registry = databases.open(ref)
    try:
        if not await asyncio.to_thread(registry_exists, settings):
            raise NotInitialised(
                f"There is no installation in {_place(settings)}: run `keystead init` first."
            )
        installation = await registry.read(read_installation)
    except Unavailable:
        remembered = copy.installation() if copy is not None else None
        if remembered is None:
            raise
        _check(remembered, key, settings)
        return Opened(remembered, is_away=True)
    if installation is None:
        raise DatabaseMissing
    _check(installation, key, settings)
    await asyncio.to_thread(migrate_registry, databases, ref)
    if await registry.read(is_moved):
        raise SettingsError(
            "This registry was moved with `keystead registry move`: use the one it was moved to."
        )
    if copy is not None:
        copy.begin_anew_before(await registry.read(directory_version))
        copy.put_installation(installation)
    return Opened(installation)


def _check(installation: InstallationRow, key: InstallationKey, settings: Settings) -> None:
    """The key first: with another one nothing here could be opened, and everything written would be lost."""
    if installation.key_check != key.check_value():
        raise SealingKeyError("The sealing key is not the one that this installation was made with.")
    if installation.control_plane_tenant != settings.control_plane_tenant:
        raise SettingsError(
            f"This installation's tenant one is '{installation.control_plane_tenant}':"
            " KEYSTEAD_CONTROL_PLANE_TENANT cannot be changed later."
        )


def _place(settings: Settings) -> str:
    return (
        str(settings.data_dir) if settings.registry_url is None else "the database of KEYSTEAD_REGISTRY_URL"
    )
