"""What log streams and event streams have in common as resources: how many, who sees the secret, how it is renewed."""

from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from core.crypto.sealing import DataKey
from core.errors import InvalidInput
from tenant_runtime.management.calls import Call, Written
from tenant_runtime.management.entities import Entity
from tenant_runtime.streams.secrets import open_secrets, seal_secrets

MOST = 10


class Streams(Entity):
    """Of a tenant that waits for its migration there are none yet."""

    def find(self, connection: Connection, key: str) -> Row[Any] | None:
        return super().find(connection, key)


def check_room(connection: Connection, table: Table) -> None:
    if connection.execute(select(func.count()).select_from(table)).scalar_one() >= MOST:
        raise InvalidInput(f"A tenant may have {MOST} {table.name.replace('_', ' ')}.")


def followed(call: Call, shown: dict[str, Any], reading: str) -> dict[str, Any]:
    """After the commit: whoever sends takes note."""
    if call.services.streams is not None:
        call.services.streams.soon(call.tenant.id)
    return readable(call, shown, reading)


def readable(call: Call, shown: dict[str, Any], reading: str) -> dict[str, Any]:
    """The secret is for whoever may read streams."""
    if not call.actor.holds(reading):
        shown.pop("signing_secret", None)
    return shown


def rotate(connection: Connection, entity: Entity, id: str, data_key: DataKey, now: int) -> Written:
    row, table = entity.load(connection, id), entity.table.name
    secrets = open_secrets(data_key, table, id, row.secrets).rotated(now)
    row = entity.change(connection, row, {"secrets": seal_secrets(data_key, table, id, secrets)}, now)
    shown = entity.shape(row)
    return Written(answer={**shown, "signing_secret": secrets.signing}, after={"id": id, "secret": "rotated"})
