"""Sealed RSA keys that nobody uses yet. A key is claimed by removing its row."""

from sqlalchemy import Connection, delete, insert, select

from controlplane.models import RegistryBase

_KEYS = RegistryBase.metadata.tables["spare_keys"]


def put_spare_key(connection: Connection, kid: str, sealed: bytes, now: int) -> None:
    connection.execute(insert(_KEYS), {"kid": kid, "sealed": sealed, "created_at": now})


def take_spare_key(connection: Connection) -> tuple[str, bytes] | None:
    first = select(_KEYS.c.kid).limit(1).scalar_subquery()
    row = connection.execute(
        delete(_KEYS).where(_KEYS.c.kid == first).returning(_KEYS.c.kid, _KEYS.c.sealed)
    ).first()
    return (row[0], row[1]) if row is not None else None
