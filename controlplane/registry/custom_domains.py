"""Which tenant says that a domain is its own, and which one has proven it (`specs/tenancy.md` section 3).

A claim is a tenant's word and hinders nobody. What is proven has a row in `hosts`, whose key is the host: of two
proofs at once one wins. A claim that was ever proven outlives its release, as the record of a proof that may still
stand.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, delete, func, select, update

from controlplane.models import RegistryBase
from core.database.sql import insert
from core.errors import Conflict, InvalidInput, NotFound

MOST = 50
"""Of one tenant."""

_CLAIMS, _HOSTS = RegistryBase.metadata.tables["custom_domains"], RegistryBase.metadata.tables["hosts"]


class DomainClaim(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    tenant_id: str
    host: str
    type: str
    method: str
    token: str
    tls_policy: str
    domain_metadata: Mapping[str, str]
    problem: str | None
    created_at: int
    proven_at: int | None
    checked_at: int | None
    released_at: int | None
    is_ready: bool = False
    is_primary: bool = False


_OWN_HOST = and_(_HOSTS.c.host == _CLAIMS.c.host, _HOSTS.c.tenant_id == _CLAIMS.c.tenant_id)
_SHOWN = select(
    _CLAIMS,
    (_HOSTS.c.verified_at.is_not(None)).label("is_ready"),
    func.coalesce(_HOSTS.c.is_primary, False).label("is_primary"),
).select_from(_CLAIMS.outerjoin(_HOSTS, _OWN_HOST))
_OF_TENANT = (_CLAIMS.c.tenant_id == bindparam("whose"), _CLAIMS.c.released_at.is_(None))
_ALL = _SHOWN.where(*_OF_TENANT).order_by(_CLAIMS.c.created_at, _CLAIMS.c.id)
_BY_ID = _SHOWN.where(*_OF_TENANT, _CLAIMS.c.id == bindparam("of"))
_BY_HOST = _SHOWN.where(_CLAIMS.c.tenant_id == bindparam("whose"), _CLAIMS.c.host == bindparam("host"))
_HOLDER = select(_HOSTS.c.tenant_id).where(_HOSTS.c.host == bindparam("host"))
_FORMER = _SHOWN.where(
    _CLAIMS.c.host == bindparam("host"),
    _CLAIMS.c.tenant_id != bindparam("whose"),
    _CLAIMS.c.proven_at.is_not(None),
)
_COUNT = select(func.count()).select_from(_CLAIMS).where(*_OF_TENANT)
_CHANGE = update(_CLAIMS).where(*_OF_TENANT, _CLAIMS.c.id == bindparam("of"))


def all_claims(connection: Connection, tenant_id: str) -> list[DomainClaim]:
    return [_claim(row) for row in connection.execute(_ALL, {"whose": tenant_id})]


def get_claim(connection: Connection, tenant_id: str, id: str) -> DomainClaim:
    row = connection.execute(_BY_ID, {"whose": tenant_id, "of": id}).first()
    if row is None:
        raise NotFound("custom_domain")
    return _claim(row)


def put_claim(connection: Connection, claim: DomainClaim) -> DomainClaim:
    """A domain that the tenant had before keeps its token: what stands out there is still its proof."""
    before = connection.execute(_BY_HOST, {"whose": claim.tenant_id, "host": claim.host}).first()
    if before is not None and before.released_at is None:
        if before.id == claim.id:
            return _claim(before)
        raise Conflict("This tenant has claimed the domain already.", code="custom_domain_exists")
    if _holder(connection, claim.host) is not None:
        raise taken()
    if connection.execute(_COUNT, {"whose": claim.tenant_id}).scalar_one() >= MOST:
        raise InvalidInput(f"A tenant may have {MOST} custom domains.")
    values = {name: value for name, value in msgspec.structs.asdict(claim).items() if name in _CLAIMS.c}
    if before is not None:
        values |= {"token": before.token, "proven_at": before.proven_at}
        connection.execute(delete(_CLAIMS).where(_CLAIMS.c.id == before.id))
    connection.execute(insert(_CLAIMS), values)
    return get_claim(connection, claim.tenant_id, claim.id)


def change_claim(connection: Connection, tenant_id: str, id: str, changes: Mapping[str, Any]) -> DomainClaim:
    if changes:
        connection.execute(_CHANGE.values(**changes), {"whose": tenant_id, "of": id})
    return get_claim(connection, tenant_id, id)


def refuse_taken(connection: Connection, claim: DomainClaim) -> list[DomainClaim]:
    """Raises when another tenant has it; answers whose former proofs must be gone first."""
    if _holder(connection, claim.host) not in (None, claim.tenant_id):
        raise taken()
    former = connection.execute(_FORMER, {"host": claim.host, "whose": claim.tenant_id})
    return [_claim(row) for row in former]


def prove(
    connection: Connection, claim: DomainClaim, origin: str, now: int, former: Sequence[str]
) -> DomainClaim:
    """From this commit on the tenant is found by the host. `former` are the claims whose proof was seen to be gone:
    with another one there now, it has to be looked at again. Only a new host is written to `hosts`: every write there
    makes all processes look again."""
    present = get_claim(connection, claim.tenant_id, claim.id)
    others = {other.id for other in refuse_taken(connection, claim)}
    if others - set(former):
        raise Conflict("The domain has changed hands meanwhile. Try again.", code="custom_domain_conflict")
    if not present.is_ready:
        first = not any(each.is_ready for each in all_claims(connection, claim.tenant_id))
        row = {
            "host": claim.host,
            "tenant_id": claim.tenant_id,
            "origin": origin,
            "is_primary": first,
            "verified_at": now,
            "created_at": now,
        }
        statement = insert(_HOSTS).on_conflict_do_nothing(index_elements=[_HOSTS.c.host])
        if connection.execute(statement, row).rowcount != 1:
            raise taken()
    gone = delete(_CLAIMS).where(_CLAIMS.c.id.in_(others), _CLAIMS.c.released_at.is_not(None))
    connection.execute(gone)
    proven = {"problem": None, "checked_at": now, "proven_at": present.proven_at or now}
    return change_claim(connection, claim.tenant_id, claim.id, proven)


def release_claim(connection: Connection, tenant_id: str, id: str, now: int) -> None:
    """The tenant is not found by it from this commit on."""
    claim = get_claim(connection, tenant_id, id)
    connection.execute(
        delete(_HOSTS).where(_HOSTS.c.host == claim.host, _HOSTS.c.tenant_id == claim.tenant_id)
    )
    if claim.proven_at is None:
        connection.execute(delete(_CLAIMS).where(_CLAIMS.c.id == claim.id))
    else:
        change = update(_CLAIMS).where(_CLAIMS.c.id == claim.id).values(released_at=now)
        connection.execute(change)


def release_all(connection: Connection, tenant_id: str, now: int) -> None:
    """Of a tenant that is gone for good."""
    for claim in all_claims(connection, tenant_id):
        release_claim(connection, tenant_id, claim.id, now)


def set_primary(connection: Connection, tenant_id: str, id: str | None) -> None:
    host = None
    if id is not None:
        claim = get_claim(connection, tenant_id, id)
        if not claim.is_ready:
            raise Conflict("Only a verified domain can be the primary one.", code="custom_domain_not_ready")
        host = claim.host
    for each in all_claims(connection, tenant_id):
        wanted = each.host == host
        if each.is_ready and each.is_primary != wanted:
            connection.execute(update(_HOSTS).where(_HOSTS.c.host == each.host).values(is_primary=wanted))


def taken() -> Conflict:
    return Conflict("The domain is in use.", code="custom_domain_in_use")


def _holder(connection: Connection, host: str) -> str | None:
    return connection.execute(_HOLDER, {"host": host}).scalar_one_or_none()


def _claim(row: Row[Any]) -> DomainClaim:
    values = dict(row._mapping)
    return DomainClaim(**values | {"is_ready": bool(row.is_ready), "is_primary": bool(row.is_primary)})
