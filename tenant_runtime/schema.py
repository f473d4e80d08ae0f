"""Which schema a tenant's database has: a release serves the one before its own as well (`migrations`).

The configuration knows it, for the hot paths; elsewhere it is asked for. What a later schema brings is not there
yet in a tenant that waits for its migration.
"""

from sqlalchemy import Connection, column, select, table

from core.database.prepared import Prepared
from core.errors import Unavailable

SCHEMA = Prepared(select(table("alembic_version", column("version_num")).c.version_num))
WITH_ORGANIZATION_API = "0006"
"""From which on sessions have contexts, and there are invitations, teams, domains and licenses."""


def has_organization_api(connection: Connection) -> bool:
    return bool(SCHEMA.rows(connection, {})[0].version_num >= WITH_ORGANIZATION_API)


def require_organization_api(connection: Connection) -> None:
    if not has_organization_api(connection):
        raise to_be_migrated()


def to_be_migrated() -> Unavailable:
    return Unavailable("This tenant's database is to be migrated first.", retry_after=60)
