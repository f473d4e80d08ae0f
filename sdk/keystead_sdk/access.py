"""Rows of the caller's organization, where no `OrgSession` looks after that (`keystead_sdk.organizations`).

select(Invoice).where(access_filter(Invoice, principal))
invoice = assert_access(await session.get(Invoice, id), principal)
"""

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, inspect, select, tuple_
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import Mapper, aliased

from keystead_sdk.errors import Misused, NotAccessible, OrganizationRequired
from keystead_sdk.filtered import holds_organization
from keystead_sdk.organizations import OrgScoped
from keystead_sdk.principal import Principal

Row = TypeVar("Row", bound=OrgScoped)


def access_filter(model: Any, principal: Principal) -> ColumnElement[bool]:
    """A condition on a scoped model, or an alias of one. Without an organization it raises: it never lets all pass."""
    if not _is_scoped(model):
        raise Misused("The model has no organization: put OrgScoped before its base.")
    organization, entity = _organization(principal), inspect(model)
    if not holds_organization(entity):
        return _inherited(model, entity.mapper, organization)
    condition: ColumnElement[bool] = model.org_id == organization
    return condition


def assert_access(row: Row | None, principal: Principal) -> Row:
    """The row, when it is the caller's organization's. One of another organization is as if it were not there."""
    organization = _organization(principal)
    if row is None or row.org_id != organization:
        raise NotAccessible
    return row


def _inherited(model: Any, mapper: Mapper[Any], organization: str) -> ColumnElement[bool]:
    """By key: an UPDATE or a DELETE of the model's own table is joined to the one with the organization by nothing."""
    ancestor = next(one for one in mapper.iterate_to_root() if holds_organization(one))
    holder = aliased(ancestor.class_)
    theirs = [getattr(holder, ancestor.get_property_by_column(key).key) for key in ancestor.primary_key]
    keys = [getattr(model, mapper.get_property_by_column(key).key) for key in mapper.local_table.primary_key]
    key = keys[0] if len(keys) == 1 else tuple_(*keys)
    return key.in_(select(*theirs).where(holder.org_id == organization))


def _organization(principal: Principal) -> str:
    if not principal.org_id:
        raise OrganizationRequired
    return principal.org_id


def _is_scoped(model: Any) -> bool:
    try:
        return issubclass(inspect(model).mapper.class_, OrgScoped)
    except (NoInspectionAvailable, AttributeError):
        return False
