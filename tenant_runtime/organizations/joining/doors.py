"""An organization that somebody is no member of, and may ask to let them in: the one that their address opens."""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from core.crypto.sealing import DataKey
from tenant_runtime.organizations.joining.requests import BY_REQUEST, joinable_by, was_declined
from tenant_runtime.organizations.membership import open_to_more
from tenant_runtime.organizations.rules import OrganizationRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    user_id: str
    data_key: DataKey = field(repr=False)
    rules: OrganizationRules
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """`is_asked`: a request waits for an answer. `has_declined`: to the last one it was no."""

    organization_id: str
    name: str
    is_asked: bool
    has_declined: bool


def door_of(connection: Connection, named: str, newcomer: Newcomer) -> Door | None:
    """None for everybody to whom an address of theirs does not open it: to them it is not there."""
    rules = newcomer.rules
    organization_id = open_to_more(connection, named, rules) if rules.has_settings else None
    door = door_by_address(connection, newcomer) if organization_id is not None else None
    return door if door is not None and door.organization_id == organization_id else None


def door_by_address(connection: Connection, newcomer: Newcomer) -> Door | None:
    if not newcomer.rules.has_settings:
        return None
    user_id = newcomer.user_id
    for joinable in joinable_by(connection, newcomer.data_key, user_id, newcomer.now):
        row = joinable.organization
        if joinable.joining in BY_REQUEST:
            return Door(
                organization_id=row.id,
                name=row.display_name or row.name,
                is_asked=joinable.request is not None,
                has_declined=was_declined(connection, row.id, user_id),
            )
    return None
