"""Documents over HTTP (`tenant_runtime.documents`): the effective value is shown, the tenant's own layer is written.

Null in a PATCH returns a member to what is inherited, and a removed document returns wholly. Secrets are sealed on
the way in and shown to nobody, those of the control plane included.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, select

from core.database.sql import insert
from core.http.paging import parse_boolean, parse_fields
from core.tenants import Tenant
from tenant_runtime.documents import Document, Documents, hidden, sealed
from tenant_runtime.management.calls import Call, Written
from tenant_runtime.models import Setting

_table = Setting.__table__
_LAYERS = select(_table.c.source, _table.c.value).where(_table.c.key == bindparam("of"))
Shown = dict[str, Any]


async def show(call: Call, document: Document[Any]) -> Shown:
    """For a GET; `include_provenance=true` adds whose word each member is."""
    query = call.request.query_params
    with_provenance, fields = parse_boolean(query, "include_provenance", default=False), parse_fields(query)
    documents = await call.read(read, document)
    shown = shape(documents, document)
    if with_provenance:
        shown["provenance"] = documents.provenance(document)
    return fields.apply(shown)


async def patch(call: Call, document: Document[Any], members: Mapping[str, Any]) -> Shown:
    """`members` as the caller named them; answers the effective value."""
    answer: Shown = await call.write(change, call.tenant, document, members)
    return answer


async def put(call: Call, document: Document[Any], members: Mapping[str, Any]) -> Shown:
    """The tenant's own layer is what is named, and nothing else."""
    answer: Shown = await call.write(change, call.tenant, document, members, replace=True)
    return answer


async def remove(call: Call, document: Document[Any]) -> None:
    await call.write(change, call.tenant, document, {}, replace=True)


def read(connection: Connection, document: Document[Any]) -> Documents:
    """The document's layers as they stand in this unit."""
    layers: dict[str, dict[str, Any]] = {"control_plane": {}, "tenant": {}}
    for row in connection.execute(_LAYERS, {"of": document.key}):
        layers[row.source][document.key] = row.value
    return Documents(layers["control_plane"], layers["tenant"])


def shape(documents: Documents, document: Document[Any]) -> Shown:
    shown: Shown = hidden(msgspec.to_builtins(documents.value(document)))
    return shown


def change(
    connection: Connection,
    tenant: Tenant,
    document: Document[Any],
    members: Mapping[str, Any],
    *,
    replace: bool = False,
) -> Written:
    """The unit of every write. A secret that is given is sealed; one that is not given stays, unless replaced."""
    documents = read(connection, document)
    own = documents.own.get(document.key, {})
    named = _sealed(tenant, document, members)
    kept = {} if replace else own
    wanted = {name: value for name, value in {**kept, **named}.items() if value is not None}
    before = shape(documents, document)
    if wanted == own:
        return Written(answer=before, before=before, after=before)
    store(connection, document, wanted)
    after = shape(read(connection, document), document)
    if after == before:  # a secret, or a value that was inherited and is the tenant's own now
        told = {**after, "own": sorted(wanted), "named": sorted(named)}
        return Written(answer=after, before={**before, "own": sorted(own)}, after=told)
    return Written(answer=after, before=before, after=after)


def store(connection: Connection, document: Document[Any], own: Mapping[str, Any]) -> None:
    """The tenant's own layer; empty, it is none."""
    if not own:
        mine = (_table.c.key == document.key, _table.c.source == "tenant")
        connection.execute(delete(_table).where(*mine))
        return
    statement = insert(_table).values(key=document.key, source="tenant", value=dict(own))
    connection.execute(
        statement.on_conflict_do_update(index_elements=["key", "source"], set_={"value": dict(own)})
    )


def _sealed(tenant: Tenant, document: Document[Any], members: Mapping[str, Any]) -> dict[str, Any]:
    named = msgspec.to_builtins(dict(members))
    for secret in document.secrets:
        first, _, second = secret.partition(".")
        holder, name = (named.get(first), second) if second else (named, first)
        if isinstance(holder, dict) and isinstance(holder.get(name), str):
            holder[name] = sealed(tenant, document, secret, holder[name])
    return named
