"""One database brought to this release's schema, in one transaction. Blocks: for threads."""

from collections.abc import Callable

from sqlalchemy import Connection

import migrations
from core.database import DatabaseRef
from core.errors import DatabaseCorrupt
from core.failpoints import failpoint
from provisioning.fence import refuse_fenced
from provisioning.parts import Parts


def ensure_schema(parts: Parts, ref: DatabaseRef) -> bool:
    """Whether anything had to be done."""
    wanted = migrations.head("tenant")
    with parts.databases.read_only(ref) as connection:
        version = migrations.current(connection)
    if version is not None and version >= wanted:
        migrations.refuse_unknown(version, wanted)
        return False
    bring_up(parts, ref)
    return True


def bring_up(parts: Parts, ref: DatabaseRef, ask: Callable[[Connection], object] | None = None) -> None:
    """`ask` may refuse the result before it is committed."""
    with parts.databases.exclusive(ref, foreign_keys=False) as connection:
        refuse_fenced(connection)
        migrations.upgrade(connection, "tenant")
        if ask is not None:
            ask(connection)
        failpoint("migrate.commit.before")


def version_of(parts: Parts, ref: DatabaseRef) -> str:
    with parts.databases.read_only(ref) as connection:
        version = migrations.current(connection)
    if version is None:
        raise DatabaseCorrupt
    return version
