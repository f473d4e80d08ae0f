"""A member goes: put out, or of their own will. Both are one way out (`management.endings.end_membership`)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from core.crypto.sealing import DataKey
from tenant_runtime.audit import Event, record
from tenant_runtime.management.endings import end_membership
from tenant_runtime.organizations.access import OWNER
from tenant_runtime.organizations.acting import Acting, check_standing
from tenant_runtime.organizations.fields import kept_fields
from tenant_runtime.organizations.members import Member, may
from tenant_runtime.organizations.people.rows import (
    Person,
    caller_of,
    is_last_owner,
    member_named,
    no_member,
    person_of,
)
from tenant_runtime.organizations.wire.errors import ApiError, refusal


@dataclass(frozen=True, slots=True)
class Gone:
    member: Member
    person: Person
    fields: Mapping[str, Any]


def remove_member(
    connection: Connection, acting: Acting, data_key: DataKey, organization_id: str, named: str, event: Event
) -> Gone:
    caller = caller_of(connection, organization_id, acting.user_id)
    check_standing(connection, acting, organization_id)
    target = member_named(connection, organization_id, named)
    if target is None:
        raise no_member()
    is_here = target.organization_id == organization_id
    if is_here and OWNER in target.roles and OWNER not in caller.roles:
        raise _only_owner()
    if is_here and is_last_owner(connection, target):
        raise _only_owner()
    if not may(connection, caller, acting.options, {"member": ["delete"]}):
        raise refusal(401, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER")
    if not is_here:
        raise no_member()
    return _out(connection, acting, data_key, target, event)


def leave_organization(
    connection: Connection, acting: Acting, data_key: DataKey, organization_id: str, event: Event
) -> Gone:
    caller = caller_of(connection, organization_id, acting.user_id)
    if is_last_owner(connection, caller):
        raise _only_owner()
    return _out(connection, acting, data_key, caller, event)


def _out(connection: Connection, acting: Acting, data_key: DataKey, member: Member, event: Event) -> Gone:
    person, kept = person_of(connection, member.user_id), _fields(connection, acting, member)
    end_membership(connection, data_key, member.organization_id, member.user_id, acting.now)
    details = {**event.details, "role": member.role}
    record(connection, replace(event, user_id=member.user_id, user_name=person.email, details=details))
    return Gone(member, person, kept)


def _fields(connection: Connection, acting: Acting, member: Member) -> Mapping[str, Any]:
    if not acting.options.fields("member"):
        return {}
    kept = kept_fields(connection, "member", member.organization_id, [member.user_id])
    return kept.get(member.user_id, {})


def _only_owner() -> ApiError:
    return refusal(400, "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER")
