"""Units of work on domains. Whether the caller may is asked before, in the same unit (`endpoints`, or the Management
API). The record itself is looked for between two units (`proving`)."""

from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from core.errors import Conflict, InvalidInput, NotFound
from tenant_runtime.models import OrganizationDomain
from tenant_runtime.organizations.domains.addresses import VERIFIED

PENDING = "pending"
MOST = 100

_table = OrganizationDomain.__table__
_d = _table.c
_OF_ORGANIZATION = (
    select(_table).where(_d.organization_id == bindparam("organization")).order_by(_d.created_at, _d.id)
)
_FIND = select(_table).where(_d.organization_id == bindparam("organization"), _d.id == bindparam("domain_id"))
_BY_NAME = select(_table).where(
    _d.organization_id == bindparam("organization"), _d.domain == bindparam("name")
)
_OWNER = select(_table).where(_d.domain == bindparam("name"), _d.status == VERIFIED)


def domains_of(connection: Connection, organization_id: str) -> list[Row[Any]]:
    return list(connection.execute(_OF_ORGANIZATION, {"organization": organization_id}))


def find_domain(connection: Connection, organization_id: str, id: str) -> Row[Any] | None:
    return connection.execute(_FIND, {"organization": organization_id, "domain_id": id}).one_or_none()


def load_domain(connection: Connection, organization_id: str, id: str) -> Row[Any]:
    row = find_domain(connection, organization_id, id)
    if row is None:
        raise NotFound("domain", "The organization has no such domain.")
    return row


def load_domain_by_name(connection: Connection, organization_id: str, name: str) -> Row[Any]:
    row = connection.execute(_BY_NAME, {"organization": organization_id, "name": name}).one_or_none()
    if row is None:
        raise NotFound("domain", "The organization has no such domain.")
    return row


def owner_of(connection: Connection, domain: str) -> Row[Any] | None:
    """The claim by which an organization of the tenant has it."""
    return connection.execute(_OWNER, {"name": domain}).one_or_none()


def add_domain(
    connection: Connection,
    organization_id: str,
    id: str,
    domain: str,
    token: str,
    now: int,
    *,
    is_for_discovery: bool = True,
) -> Row[Any]:
    """A claim: another organization may have the same."""
    number = select(func.count()).where(_d.organization_id == organization_id)
    if connection.execute(number).scalar_one() >= MOST:
        raise InvalidInput(f"An organization has {MOST} domains at most.", code="too_many_domains")
    claimed = connection.execute(_BY_NAME, {"organization": organization_id, "name": domain}).first()
    if claimed is not None:
        raise Conflict("The organization has this domain already.", code="domain_exists")
    row = {
        "id": id,
        "organization_id": organization_id,
        "domain": domain,
        "status": PENDING,
        "token": token,
        "is_for_discovery": is_for_discovery,
        "verified_at": None,
        "checked_at": None,
        "look_at": None,
        "misses": 0,
        "created_at": now,
        "updated_at": now,
    }
    connection.execute(insert(_table), row)
    return load_domain(connection, organization_id, id)


def change_domain(connection: Connection, organization_id: str, id: str, now: int, **values: Any) -> Row[Any]:
    mine = (_d.organization_id == organization_id, _d.id == id)
    connection.execute(update(_table).where(*mine).values(**values, updated_at=now))
    return load_domain(connection, organization_id, id)


def own_domain(connection: Connection, row: Row[Any], now: int, *, look_at: int | None = None) -> Row[Any]:
    """From now on it is this organization's. The caller has seen to a former owner. `look_at`: when the record by which
    it is proved is looked for again."""
    if (owner := owner_of(connection, row.domain)) is not None and owner.id != row.id:
        raise domain_in_use()
    at = row.verified_at if row.status == VERIFIED else now
    values = {"status": VERIFIED, "verified_at": at, "look_at": look_at, "misses": 0}
    return change_domain(connection, row.organization_id, row.id, now, **values)


def disown_domain(connection: Connection, row: Row[Any], now: int) -> Row[Any]:
    values = {"status": PENDING, "verified_at": None, "look_at": None, "misses": 0}
    return change_domain(connection, row.organization_id, row.id, now, **values)


def remove_domain(connection: Connection, organization_id: str, id: str) -> Row[Any]:
    row = load_domain(connection, organization_id, id)
    connection.execute(delete(_table).where(_d.organization_id == organization_id, _d.id == id))
    return row


def domain_in_use() -> Conflict:
    return Conflict("Another organization has proved that this domain is its own.", code="domain_in_use")
