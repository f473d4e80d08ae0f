"""Looking for the record: one unit, the question to the name servers, one unit. Nobody has to ask for it again:
`rechecking`.

Whoever proves a domain that another organization has takes it over when the other's record is gone: both would stand
at the same name. A name server that is away says nothing, and changes nothing; nor does an answer that was so long on
its way that another look has found more since.
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row

from core.clock import LEEWAY_MS
from core.dns import NamesAway, NameServers
from core.errors import Unavailable
from core.ids import digest, new_id
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

_DAY_MS = 86_400_000
EVERY_MS = 30 * _DAY_MS
SPREAD_MS = 3 * _DAY_MS
LONGEST_WAIT_MS = EVERY_MS + SPREAD_MS
AGAIN_MS = _DAY_MS
MISSES = 3
"""In a row, a day or more between them: a mistake in a zone is mended by then, and a domain that was let go is gone."""


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
    """Of a domain that was verified, too: without its record it is verified no more. The look began when the event
    was."""
    now = event.created_at
    row = load_domain(connection, organization_id, id)
    if _was_seen_since(row, now):
        return Looked(row, row.status == VERIFIED)
    row = change_domain(connection, organization_id, id, now, checked_at=now)
    if not shows(texts, row):
        return Looked(_lost(connection, row, event) if row.status == VERIFIED else row, False)
    owner = owner_of(connection, row.domain)
    if owner is not None and owner.id != row.id:
        if shows(texts, owner) or _was_seen_since(owner, now):
            raise domain_in_use()
        _lost(connection, owner, event)
    if row.status != VERIFIED:
        record(connection, event)
    return Looked(own_domain(connection, row, now, look_at=_next_look(row.id, now)), True)


def shows(texts: frozenset[str], row: Row[Any]) -> bool:
    return record_of(row.token) in texts


def note_presence(connection: Connection, row: Row[Any], now: int) -> None:
    values = {"checked_at": now, "look_at": _next_look(row.id, now), "misses": 0}
    change_domain(connection, row.organization_id, row.id, now, **values)


def note_absence(connection: Connection, row: Row[Any], event: Event) -> None:
    """Each time is in the log of the organization, so that somebody can put the record back."""
    now, misses = event.created_at, row.misses + 1
    about = {"domain": row.domain, "misses": misses, "of": MISSES}
    event = replace(event, details={**event.details, **about})
    change_domain(connection, row.organization_id, row.id, now, checked_at=now)
    if misses >= MISSES:
        _lost(connection, row, event)
        return
    values = {"look_at": now + AGAIN_MS, "misses": misses}
    change_domain(connection, row.organization_id, row.id, now, **values)
    told = "The record of an organization's domain is not there: it is looked for again tomorrow"
    record(connection, replace(event, description=told, organization_id=row.organization_id))


def _was_seen_since(row: Row[Any], begun: int) -> bool:
    """Later than any look takes, it was seen by a clock that was ahead."""
    return any(at is not None and begun < at <= begun + LEEWAY_MS for at in (row.checked_at, row.verified_at))


def _next_look(id: str, now: int) -> int:
    """Each domain has a time of its own, so that those that were proved together do not come together for ever."""
    return now + EVERY_MS + int(digest(id)[:8], 16) % SPREAD_MS


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
