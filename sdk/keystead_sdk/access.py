"""Rows of the caller's organization, where no `OrgSession` looks after that (`keystead_sdk.organizations`).

select(Invoice).where(access_filter(Invoice, principal))
invoice = assert_access(await session.get(Invoice, id), principal)
"""

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, inspect
from sqlalchemy.exc import NoInspectionAvailable

from keystead_sdk.errors import Misused, NotAccessible, OrganizationRequired
from keystead_sdk.organizations import OrgScoped
from keystead_sdk.principal import Principal

Row = TypeVar("Row", bound=OrgScoped)


def access_filter(model: Any, principal: Principal) -> ColumnElement[bool]:
    """A condition on a scoped model, or an alias of one. Without an organization it raises: it never lets all pass."""
    if not _is_scoped(model):
        raise Misused("The model has no organization: put OrgScoped before its base.")
    condition: ColumnElement[bool] = model.org_id == _organization(principal)
    return condition


def assert_access(row: Row | None, principal: Principal) -> Row:
    """The row, when it is the caller's organization's. One of another organization is as if it were not there."""
    organization = _organization(principal)
    if row is None or row.org_id != organization:
        raise NotAccessible
    return row


def _organization(principal: Principal) -> str:
    if not principal.org_id:
        raise OrganizationRequired
    return principal.org_id


def _is_scoped(model: Any) -> bool:
    try:
        return issubclass(inspect(model).mapper.class_, OrgScoped)
    except (NoInspectionAvailable, AttributeError):
        return False
