"""The registry's own file: made whole with its schema and the row of the installation, migrated at start."""

from sqlalchemy import Connection

import migrations
from controlplane.registry.installation import InstallationRow, insert_installation
from core.database import DatabaseRef, Databases
from core.settings import Settings
from provisioning.backends.sqlite import write_whole
from provisioning.backends.template import new_image


def registry_ref(settings: Settings) -> DatabaseRef:
    return DatabaseRef(path=settings.data_dir / "registry.db", owner="registry", incarnation="")


def registry_exists(settings: Settings) -> bool:
    return registry_ref(settings).file.exists()


def make_registry(settings: Settings, row: InstallationRow) -> None:
    def fill(connection: Connection) -> None:
        migrations.upgrade(connection, "controlplane")
        insert_installation(connection, row)

    write_whole(registry_ref(settings).file, new_image(fill))


def migrate_registry(databases: Databases, ref: DatabaseRef) -> bool:
    """Whether there was anything to do. Blocks: for threads."""
    with databases.read_only(ref) as connection:
        if migrations.current(connection) == migrations.head("controlplane"):
            return False
    with databases.exclusive(ref, foreign_keys=False) as connection:
        migrations.upgrade(connection, "controlplane")
    return True
