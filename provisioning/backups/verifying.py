"""Is a copy whole, is it this tenant's, and do its secrets open? Asked of every copy before it counts as a backup, and
again before one is put back."""

from sqlalchemy import Connection, select

import migrations
from core.crypto.sealing import DataKey, SealBroken
from core.database import DatabaseRef
from core.errors import Conflict
from provisioning.parts import Parts
from tenant_runtime.models import ClientSecret, SigningKeyRow

SECRETS_TRIED = 100


class DamagedCopy(Conflict):
    """The database is not as it should be: a copy of it is no backup."""

    code = "invalid_backup"

    def __init__(self, what: str) -> None:
        super().__init__(f"The copy is damaged: {what}.")


def verify(parts: Parts, copy: DatabaseRef, data_key: DataKey) -> str:
    """Answers the version of its schema. Opening it asks whose it is. Blocks."""
    with parts.databases.read_only(copy) as connection:
        version = _sound(connection, "tenant")
        _check_secrets(connection, data_key)
    return version


def verify_registry(parts: Parts, copy: DatabaseRef) -> str:
    with parts.databases.read_only(copy) as connection:
        return _sound(connection, "controlplane")


def _sound(connection: Connection, history: migrations.History) -> str:
    """`quick_check` does not compare indexes with their tables, and is ten times as fast as the whole check."""
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        raise DamagedCopy("SQLite finds its pages inconsistent")
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise DamagedCopy("a reference leads to nothing")
    version = migrations.current(connection)
    if version is None or version > migrations.head(history):
        raise DamagedCopy(f"its schema is at {version or 'no version'}, which this version does not know")
    return version


def _check_secrets(connection: Connection, data_key: DataKey) -> None:
    """All signing keys, and some client secrets."""
    key, secret = SigningKeyRow.__table__.c, ClientSecret.__table__.c
    keys = connection.execute(select(key.kid, key.private_key))
    secrets = connection.execute(select(secret.id, secret.sealed).limit(SECRETS_TRIED))
    try:
        for kid, sealed in keys:
            if sealed:
                data_key.open(sealed, "signing_keys", "private_key", kid)
        for id, sealed in secrets:
            data_key.open(sealed, "client_secrets", "sealed", id)
    except SealBroken as error:
        raise DamagedCopy("what it holds sealed does not open with the tenant's key") from error
