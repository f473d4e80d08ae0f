"""Where the registry is: a file of this machine, or a database of PostgreSQL that several nodes share.

Either is made whole, with its schema and the row of the installation, and migrated at start.
"""

from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit, urlunsplit

from sqlalchemy import Connection, text

import migrations
from controlplane.registry.installation import InstallationRow, insert_installation, read_installation
from core.database import DatabaseRef, Databases
from core.database.refs import REGISTRY_OWNER, Remote
from core.settings import Secret, Settings, SettingsError
from provisioning.backends.sqlite import write_whole
from provisioning.backends.template import new_image


def registry_ref(settings: Settings) -> DatabaseRef:
    if settings.registry_url is None:
        return file_ref(settings)
    if find_spec("psycopg") is None:
        raise SettingsError(
            "KEYSTEAD_REGISTRY_URL needs the extra `postgresql`: pip install 'keystead[postgresql]'."
        )
    return DatabaseRef(
        kind="postgresql", remote=_remote(settings.registry_url), owner=REGISTRY_OWNER, incarnation=""
    )


def file_ref(settings: Settings) -> DatabaseRef:
    return DatabaseRef(path=settings.data_dir / "registry.db", owner=REGISTRY_OWNER, incarnation="")


def registry_exists(settings: Settings) -> bool:
    """Blocks: for threads. `Unavailable` when its server is away: then nobody knows."""
    if settings.registry_url is None:
        return file_ref(settings).file.exists()
    from core.database.remote.advisory import server_transaction

    with server_transaction(registry_ref(settings).server) as connection:
        return migrations.current(connection) is not None and read_installation(connection) is not None


def alone_with_registry(settings: Settings) -> AbstractContextManager[None]:
    """Of all nodes; on one machine there are other means. Blocks: for threads."""
    if settings.registry_url is None:
        return nullcontext()
    from core.database.remote.advisory import one_at_a_time

    return one_at_a_time(registry_ref(settings).server)


def make_registry(settings: Settings, row: InstallationRow) -> None:
    def fill(connection: Connection) -> None:
        migrations.upgrade(connection, "controlplane")
        insert_installation(connection, row)

    if settings.registry_url is None:
        write_whole(file_ref(settings).file, new_image(fill))
        return
    from core.database.remote.advisory import server_transaction

    with server_transaction(registry_ref(settings).server) as connection:
        close_to_others(connection)
        fill(connection)


def close_to_others(connection: Connection) -> None:
    """Tenants' roles may be of the same server, and PostgreSQL lets everybody connect. Who may read no table may
    still take the writers' lock and say that the directory has changed. Nothing happens in a database of others."""
    connection.execute(
        text(
            "DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()); END $$"
        )
    )


def migrate_registry(databases: Databases, ref: DatabaseRef) -> bool:
    """Whether there was anything to do. Of several nodes one does it, the others wait. Blocks: for threads."""
    with databases.read_only(ref) as connection:
        if migrations.current(connection) == migrations.head("controlplane"):
            return False
    with databases.exclusive(ref, foreign_keys=False) as connection:
        migrations.upgrade(connection, "controlplane")
    return True


def _remote(url: Secret) -> Remote:
    split = urlsplit(url.reveal())
    own = split.netloc.rpartition("@")[2]
    return Remote(
        url=urlunsplit(("postgresql", own, "", split.query, "")),
        name=unquote(split.path.lstrip("/")),
        user=unquote(split.username or ""),
        secret=unquote(split.password or ""),
    )
