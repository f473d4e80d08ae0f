"""The kinds of remote database that this installation can open. PostgreSQL's needs an extra."""

from importlib.util import find_spec

from core.database.remote.hrana import HranaDriver
from core.database.remote.kind import RemoteKind


def remote_kinds(max_open: int) -> dict[str, RemoteKind]:
    """Costs nothing before the first database of a kind is opened."""
    kinds = {"libsql": RemoteKind(HranaDriver(), max_open=max_open)}
    if find_spec("psycopg") is not None:
        from core.database.remote.postgresql import PostgresDriver

        kinds["postgresql"] = RemoteKind(PostgresDriver(), max_open=max_open)
    return kinds
