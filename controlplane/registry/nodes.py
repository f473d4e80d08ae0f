"""The machines that serve this installation, each as it last said that it lives. Only with a registry that several
nodes share: a registry that is a file has the machine it lies on and no other."""

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, bindparam, or_, select

from controlplane.models import RegistryBase
from controlplane.registry.moments import is_past
from core.database.sql import insert
from core.errors import Conflict

_NODES = RegistryBase.metadata.tables["nodes"]
_TENANTS = RegistryBase.metadata.tables["tenants"]

ALIVE_MS = 30_000
"""A node that said nothing for so long is not counted on: its leases have ended, its name may be another's."""


class NodeNameTaken(Conflict):
    code, description = "node_name_taken", "Another machine serves under this name."


class NodeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`folder` tells two machines of one name apart: it is made once in each data folder."""

    name: str
    folder: str
    version: str
    joined_at: int
    heartbeat_at: int

    def is_alive(self, now: int) -> bool:
        return abs(now - self.heartbeat_at) <= ALIVE_MS


_INSERT = insert(_NODES)
_UPSERT = _INSERT.on_conflict_do_update(
    index_elements=[_NODES.c.name],
    set_={name: _INSERT.excluded[name] for name in ("folder", "version", "heartbeat_at")},
    where=or_(
        _NODES.c.folder == _INSERT.excluded.folder,
        is_past(_NODES.c.heartbeat_at, bindparam("silent_since", type_=BigInteger), ALIVE_MS),
    ),
)


def heartbeat(connection: Connection, node: NodeRecord) -> None:
    """Refused while another machine of this name lives: each would take what the other holds for abandoned."""
    values = {**msgspec.structs.asdict(node), "silent_since": node.heartbeat_at - ALIVE_MS}
    if connection.execute(_UPSERT, values).rowcount != 1:
        raise NodeNameTaken


def list_nodes(connection: Connection) -> list[NodeRecord]:
    rows = connection.execute(select(_NODES).order_by(_NODES.c.name))
    return [NodeRecord(**row._mapping) for row in rows]


def others_are_alive(connection: Connection, name: str, now: int) -> bool:
    return any(node.name != name and node.is_alive(now) for node in list_nodes(connection))


def reached_from(node: str) -> ColumnElement[bool]:
    """Tenants whose database is not a file of another machine."""
    return or_(_TENANTS.c.node.is_(None), _TENANTS.c.node == node)
