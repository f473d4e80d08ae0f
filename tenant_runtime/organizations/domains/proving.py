"""Looking for the record: one unit, the question to the name servers, one unit.

Whoever proves a domain that another organization has takes it over when the other's record is gone: both would stand
at the same name. A name server that is away says nothing, and changes nothing.
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row

from core.dns import NamesAway, NameServers
from core.errors import Unavailable
from core.ids import new_id
from tenant_runtime.audit import Event, record
from tenant_runtime.audit.codes import CODES
from tenant_runtime.limits import Limit, take
from tenant_runtime.organizations.domains.addresses import VERIFIED
from tenant_runtime.organizations.domains.names import place_of, record_of
from tenant_runtime.organizations.domains.units import (
    change_domain,
    disown_domain,
    domain_in_use,
    load_domain,
    own_domain,
    owner_of,
)

LOST = "organization_domain_updated"
LOOKS = (Limit(10, 60_000), Limit(100, 3_600_000))
"""For the record of one domain, however often it is claimed: each look asks a stranger's server."""


@dataclass(frozen=True, slots=True)
class Looked:
    """`is_there`: the record stands."""

    row: Row[Any]
    is_there: bool


def begin_look(connection: Connection, organization_id: str, id: str, now: int) -> str:
    """The domain to be asked for."""
    row = load_domain(connection, organization_id, id)
    take(connection, "organization_domain", f"{organization_id} {row.domain}", now, LOOKS)
    return str(row.domain)


async def texts_of(names: NameServers, domain: str) -> frozenset[str]:
    try:
        return await names.texts(place_of(domain))
    except NamesAway as away:
        raise Unavailable(
            "The domain's name servers gave no useful answer. Try again later.", retry_after=60
        ) from away


def finish_look(
    connection: Connection, organization_id: str, id: str, texts: frozenset[str], event: Event
) -> Looked:
    """Of a domain that was verified, too: without its record it is verified no more."""
    now = event.created_at
    row = change_domain(connection, organization_id, id, now, checked_at=now)
    if record_of(row.token) not in texts:
        return Looked(_lost(connection, row, event) if row.status == VERIFIED else row, False)
    owner = owner_of(connection, row.domain)
    if owner is not None and owner.id != row.id:
        if record_of(owner.token) in texts:
            raise domain_in_use()
        _lost(connection, owner, event)
    if row.status != VERIFIED:
        record(connection, event)
    return Looked(own_domain(connection, row, now), True)


def _lost(connection: Connection, row: Row[Any], event: Event) -> Row[Any]:
    """Its record is gone: told to the organization that had it."""
    told = replace(
        event,
        id=new_id("log"),
        type=LOST,
        description=CODES[LOST].description,
        organization_id=row.organization_id,
    )
    record(connection, told)
    return disown_domain(connection, row, event.created_at)
