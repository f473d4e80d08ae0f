"""The registry back from a backup of its own, into a data folder that has none: the first step after a machine is
lost. No server runs meanwhile."""

import secrets
from pathlib import Path

from controlplane.registry.backups import REGISTRY
from core.crypto.sealing import load_installation_key
from core.errors import Conflict
from core.settings import Settings, SettingsError
from provisioning.backends.sqlite import write_whole
from provisioning.backups.stored import Heading, InvalidBackup, read_backup
from provisioning.backups.taking import PURPOSE
from provisioning.registry_place import file_ref


def restore_registry(settings: Settings, backup: Path) -> Heading:
    if settings.registry_url is not None:
        raise SettingsError(
            "A registry is restored into a file: unset KEYSTEAD_REGISTRY_URL, and move it afterwards"
            " with `keystead registry move`."
        )
    target = file_ref(settings).file
    if target.exists():
        raise Conflict(
            f"There is a registry in {settings.data_dir}: put it away first.", code="database_exists"
        )
    key = load_installation_key(settings, create=False)
    draft = settings.data_dir / f".registry.{secrets.token_hex(8)}"
    try:
        heading = read_backup(backup, key.derive(PURPOSE), draft)
        if heading.owner != REGISTRY:
            raise InvalidBackup
        write_whole(target, draft.read_bytes())
    finally:
        draft.unlink(missing_ok=True)
    return heading
