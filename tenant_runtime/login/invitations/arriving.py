"""An arrival at /authorize with an invitation: is it one that may still be answered, and where does the person go?"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from core.errors import InvalidRequest
from tenant_runtime.login.accounts import find_account
from tenant_runtime.login.invitations.requests import as_kept
from tenant_runtime.oauth.authorization.acceptance import AcceptedRequest
from tenant_runtime.oauth.authorization.parameters import INVALID_INVITATION
from tenant_runtime.organizations.invitations.answering import is_recipient, person_of
from tenant_runtime.organizations.invitations.tickets import ACCEPTED, Found, find
from tenant_runtime.organizations.members import member_of
from tenant_runtime.organizations.rules import OrganizationRules
from tenant_runtime.schema import has_organization_api


@dataclass(frozen=True, slots=True)
class Entry:
    """`parameters` replace those that were sent. `has_account`: told only to who reads that address's mail."""

    parameters: dict[str, str]
    email: str
    has_account: bool | None


def waiting_invitation(
    connection: Connection,
    request: AcceptedRequest,
    session: Row[Any] | None,
    rules: OrganizationRules,
    now: int,
    *,
    is_new: bool,
) -> Found | None:
    """None: nothing is to be answered, or it was in this very request. Raises one text for everything that is wrong
    (`specs/bad-inputs.md` 82 and 89)."""
    shown = request.parameters.invitation
    if shown is None:
        return None
    if not has_organization_api(connection):
        raise InvalidRequest(INVALID_INVITATION)
    found = find(connection, shown, is_proved=request.parameters.address_proved)
    if found is None or not _is_of(found, request.parameters.organization or "", rules):
        raise InvalidRequest(INVALID_INVITATION)
    if found.is_live(now):
        return found
    was_theirs = session is not None and found.row.accepted_by == session.user_id
    if is_new or found.row.status != ACCEPTED or not was_theirs:
        raise InvalidRequest(INVALID_INVITATION)
    return None


def is_to_be_answered(connection: Connection, found: Found | None, session: Row[Any] | None) -> bool:
    """Also by somebody whom it is not for: they are told so. Who is a member already has nothing to say."""
    if found is None or session is None:
        return False
    if not is_recipient(found, person_of(connection, session.user_id)):
        return True
    return member_of(connection, found.row.organization_id, session.user_id) is None


def entry_of(connection: Connection, request: AcceptedRequest, found: Found) -> Entry:
    email, has_account = found.row.email, None
    if found.proves_address:
        has_account = find_account(connection, request.connection.id, email) is not None
    return Entry(as_kept(found), email, has_account)


def _is_of(found: Found, organization: str, rules: OrganizationRules) -> bool:
    row = found.row
    return organization == row.organization_id or (
        rules.names_allowed and organization.lower() == row.organization_name
    )
