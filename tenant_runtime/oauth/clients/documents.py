"""Clients whose id is the address of a document about them (draft-ietf-oauth-client-id-metadata-document, as MCP
clients use it).

The document is fetched when such a client first comes, and again when it is no longer fresh; in between it is a row
of `clients` like any other. Everything is bounded, because anybody may name any address: the document's size, how
often a tenant and a host are asked, how long an answer holds, how many such clients a tenant has. A row is written
only for a document that is about its own address.

What is fetched is never followed elsewhere, never carries a secret, and proves one thing: who controls the host. That
host is what the consent page shows.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, bindparam, select

from core.clock import LEEWAY_MS, now_ms
from core.errors import (
    AccessDenied,
    IdentityError,
    InvalidClient,
    InvalidClientMetadata,
    InvalidRedirectUri,
    RateLimited,
)
from core.outbound import Fetched, OutboundFailed, OutboundRefused
from core.tenants import Tenant
from tenant_runtime.configuration import ClientConfiguration, Configuration, configuration
from tenant_runtime.dependencies import Services
from tenant_runtime.models import Client, ClientKey
from tenant_runtime.registration.clients import (
    DOCUMENT,
    insert_client,
    make_room,
    refresh_client,
    replace_client,
)
from tenant_runtime.registration.document_memory import Failure, Place
from tenant_runtime.registration.metadata import Registered, registered, understood
from tenant_runtime.registration.rates import Rate
from tenant_runtime.registration.reading import json_object

SCHEME = "https://"
LONGEST_ADDRESS = 1024
DOCUMENT_BYTES = 5 * 1024
LEAST_KEPT_MS, USUALLY_KEPT_MS, MOST_KEPT_MS = 300_000, 3_600_000, 86_400_000
STALE_MS = 3_600_000
"""How long a client is known beyond its document's time, while the document cannot be reached."""

UNUSED_MS = 3_600_000
BY_HOST, BY_TENANT, CHANGES = Rate(10, 60), Rate(60, 60), Rate(60, 60)
WRITTEN_AFTER_MS = 3_600_000
"""How much longer a document must hold before that is written. Each write of a client makes every process read the
tenant's configuration anew; until then a process remembers it by itself."""

_ADDRESS = re.compile(r"https://[^/?#@]+/[^#]*")
_DOTS = re.compile(r"(?:\.|%2e){1,2}", re.IGNORECASE)
_MAX_AGE = re.compile(r"(?:^|[\s,])(?:s-maxage|max-age)=\"?(\d{1,9})", re.IGNORECASE)
_SECRETS = frozenset({"client_secret", "client_secret_expires_at"})
_METHODS = ("none", "private_key_jwt")
_c, _k = Client.__table__.c, ClientKey.__table__.c
_FIND = select(Client.__table__).where(_c.client_id == bindparam("of"))
_KEYS = select(_k.kid, _k.alg, _k.jwk).where(_k.client_id == bindparam("of"))


async def with_document(
    tenant: Tenant,
    services: Services,
    current: Configuration,
    client_id: str | None,
    *,
    error: type[IdentityError] = InvalidClient,
) -> Configuration:
    """The configuration in which that client is known, if its id is an address and the tenant takes such clients.
    Raises `error` for one that cannot be known."""
    if client_id is None or not client_id.startswith(SCHEME):
        return current
    if not current.settings.client_registration.client_id_metadata_documents:
        return current
    known, now = current.clients.get(client_id), now_ms(services.clock)
    until = _fresh_until(tenant, services, known)
    if known is not None and (known.origin != DOCUMENT or _is_fresh(until, now)):
        return current
    failure = await _fetched_once(tenant, services, current, client_id, now)
    if failure is None:
        return await configuration(tenant)
    if failure.is_passing and known is not None and _is_fresh(until, now, stale_ms=STALE_MS):
        return current
    raise error(failure.reason)


def _fresh_until(tenant: Tenant, services: Services, known: ClientConfiguration | None) -> int:
    """As its row says, or as this process has learned since."""
    if known is None:
        return 0
    return max(known.fresh_until or 0, services.documents.fresh_until(_place(tenant, known.client_id)))


def _place(tenant: Tenant, client_id: str) -> Place:
    return tenant.id, tenant.incarnation, client_id


def _is_fresh(until: int, now: int, *, stale_ms: int = 0) -> bool:
    """No answer holds longer than the longest: what does was fetched while the clock was ahead."""
    return now < until + stale_ms and until <= now + MOST_KEPT_MS + LEEWAY_MS


async def _fetched_once(
    tenant: Tenant, services: Services, current: Configuration, client_id: str, now: int
) -> Failure | None:
    async def fetch() -> Failure | None:
        return await _fetch(tenant, services, current, client_id, now)

    return await services.documents.once(_place(tenant, client_id), now, fetch)


async def _fetch(
    tenant: Tenant, services: Services, current: Configuration, client_id: str, now: int
) -> Failure | None:
    """A client that is known is asked about once in a while, however much strangers make up meanwhile."""
    most = current.settings.client_registration.max_clients
    try:
        _check_address(client_id)
        services.outbound.check(client_id)
        if client_id not in current.clients:
            _count(tenant, services, client_id, now)
        fetched = await services.outbound.get(client_id, tenant=tenant.id, limit=DOCUMENT_BYTES)
        new = _client_of(services, client_id, fetched)
        document = _Document(client_id, new, now, now + _kept_ms(fetched))
        if client_id in current.clients and not await tenant.database.read(_is_there, document):
            services.rates.count(CHANGES, (tenant.id, tenant.incarnation, "changed documents"), now)
        await tenant.database.write(_store, document, most)
        services.documents.keep_fresh(_place(tenant, client_id), document.fresh_until)
    except OutboundFailed:
        return Failure("The document at the client_id cannot be reached.", is_passing=True)
    except OutboundRefused as refused:
        return Failure(f"The client_id is refused. {refused}")
    except (InvalidClientMetadata, InvalidRedirectUri, AccessDenied) as wrong:
        return Failure(f"The document at the client_id is refused. {wrong.description}")
    except RateLimited:
        if client_id not in current.clients:
            raise
        return Failure("The documents of this tenant's clients change too often.", is_passing=True)
    except _Away:
        return Failure("The document at the client_id is not answered now.", is_passing=True)
    return None


class _Away(Exception):
    """The host has trouble of its own."""


def _check_address(client_id: str) -> None:
    """Draft, section 3: https, a path without dot segments, no fragment, no user information."""
    if len(client_id) > LONGEST_ADDRESS or not _ADDRESS.fullmatch(client_id):
        raise InvalidClientMetadata("The address must have a path and no fragment.")
    if any(map(_DOTS.fullmatch, urlsplit(client_id).path.split("/"))):
        raise InvalidClientMetadata("The address may have no dot segments.")


def _count(tenant: Tenant, services: Services, client_id: str, now: int) -> None:
    """Of addresses that anybody can make up. The tenant's bound first: beyond it, not even the host is remembered."""
    who = (tenant.id, tenant.incarnation, "client documents")
    services.rates.count(BY_TENANT, who, now)
    services.rates.count(BY_HOST, (*who, urlsplit(client_id).netloc.lower()), now)


def _client_of(services: Services, client_id: str, fetched: Fetched) -> Registered:
    if fetched.status >= 500 or fetched.status == 429:
        raise _Away
    kind = fetched.headers.get("content-type", "").partition(";")[0].strip().lower()
    if fetched.status != 200 or not (kind == "application/json" or kind.endswith("+json")):
        raise InvalidClientMetadata("It must be answered with 200 and as JSON.")
    members = json_object(fetched.body)
    if members.get("client_id") != client_id:
        raise InvalidClientMetadata("Its client_id must be its own address.")
    if not _SECRETS.isdisjoint(members):
        raise InvalidClientMetadata("What everybody can read is no secret.")
    has_keys = "jwks" in members or "jwks_uri" in members
    method = members.setdefault("token_endpoint_auth_method", _METHODS[has_keys])
    if method not in _METHODS:
        raise InvalidClientMetadata(f"The token_endpoint_auth_method must be one of {', '.join(_METHODS)}.")
    members.pop("sector_identifier_uri", None)
    return registered(understood(members), services.outbound)


def _kept_ms(fetched: Fetched) -> int:
    """By the answer's own word (RFC 9111 section 4.2.1), within bounds."""
    control = fetched.headers.get("cache-control", "")
    if "no-store" in control.lower() or "no-cache" in control.lower():
        return LEAST_KEPT_MS
    found = _MAX_AGE.search(control)
    wanted = int(found[1]) * 1000 if found else USUALLY_KEPT_MS
    return min(max(wanted, LEAST_KEPT_MS), MOST_KEPT_MS)


@dataclass(frozen=True, slots=True)
class _Document:
    client_id: str
    client: Registered
    now: int
    fresh_until: int


def _store(connection: Connection, document: _Document, most: int) -> None:
    """Unchanged, it is only fresh again, and that is written once in a while."""
    client_id, new, now = document.client_id, document.client, document.now
    values = {**new.columns, "origin": DOCUMENT, "fresh_until": document.fresh_until}
    row = connection.execute(_FIND, {"of": client_id}).one_or_none()
    if row is None:
        make_room(connection, DOCUMENT, most, now - UNUSED_MS)
        insert_client(connection, client_id, values, new.keys, now)
    elif row.origin != DOCUMENT:
        raise InvalidClientMetadata("The client_id is another client's.")
    elif _is_same(connection, row._mapping, document):
        if document.fresh_until - (row.fresh_until or 0) >= WRITTEN_AFTER_MS:
            refresh_client(connection, client_id, document.fresh_until, now)
    else:
        replace_client(connection, client_id, values, new.keys, now)


def _is_there(connection: Connection, document: _Document) -> bool:
    row = connection.execute(_FIND, {"of": document.client_id}).one_or_none()
    return row is not None and _is_same(connection, row._mapping, document)


def _is_same(connection: Connection, row: Mapping[Any, Any], document: _Document) -> bool:
    new = document.client
    keys = connection.execute(_KEYS, {"of": document.client_id}).all()
    held = {key.kid: (key.alg, key.jwk) for key in keys}
    return held == {key.kid: (key.alg, dict(key.jwk)) for key in new.keys} and all(
        row[name] == value for name, value in new.columns.items()
    )
