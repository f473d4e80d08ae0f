"""Who logs in or signs up on their way to answer an invitation has answered it: the pages say so before they do.

In the unit of the login. What stands against it (a limit, an address that is not verified) is no reason to keep them
out: it is said on the page of the invitation, which comes next.
"""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from core.ids import new_id
from tenant_runtime.login.steps import StepVisit
from tenant_runtime.organizations.invitations.answering import (
    Acceptance,
    Accepted,
    accept_found,
    acceptable,
    person_of,
)
from tenant_runtime.organizations.invitations.asking import ask, tell_of_acceptance
from tenant_runtime.organizations.invitations.tickets import find
from tenant_runtime.organizations.members import member_of
from tenant_runtime.organizations.options import OPTIONS, OrganizationOptions
from tenant_runtime.organizations.wire.errors import ApiError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """What is fixed before the unit."""

    invitation_id: str
    is_proved: bool
    how: Acceptance
    options: OrganizationOptions


async def answering(visit: StepVisit, user_id: str) -> Answering | None:
    """None: there is nothing to answer, or the installation's own code is against it."""
    if visit.invitation is None or not visit.invitation.is_live(visit.now):
        return None
    row, hooks = visit.invitation.row, visit.services.organization_hooks
    options = visit.configuration.documents.value(OPTIONS)
    try:
        await ask(hooks, visit.tenant, "accept_invitation", row.id, options, user_id)
    except ApiError:
        return None
    return Answering(
        invitation_id=row.id,
        is_proved=visit.invitation.proves_address,
        how=acceptance(visit, None),
        options=options,
    )


def acceptance(visit: StepVisit, session_id: str | None) -> Acceptance:
    settings = visit.services.settings
    return Acceptance(
        membership_id=new_id("mem"),
        session_id=session_id,
        event=visit.event("organization_invitation_accepted", "An invitation was accepted."),
        default_roles=settings.default_member_roles if visit.tenant.is_control_plane else (),
    )


def answer_at_login(connection: Connection, asked: Answering, user_id: str, session_id: str) -> bool:
    how, person = replace(asked.how, session_id=session_id), person_of(connection, user_id)
    try:
        found = acceptable(
            connection, asked.invitation_id, person, asked.options, how.now, is_proved=asked.is_proved
        )
    except ApiError:
        return False
    accept_found(connection, found, person, how, asked.options)
    return True


async def tell_of_answer(visit: StepVisit, asked: Answering | None, user_id: str) -> None:
    """The installation's own code, after the commit."""
    if asked is None:
        return
    found = await visit.tenant.database.read(_answered, asked.invitation_id, user_id)
    if found is None:
        return
    await tell_of_acceptance(visit.services.organization_hooks, visit.tenant, found, asked.options)


def _answered(connection: Connection, invitation_id: str, user_id: str) -> Accepted | None:
    found = find(connection, invitation_id)
    if found is None or found.row.accepted_by != user_id:
        return None
    member = member_of(connection, found.row.organization_id, user_id)
    return None if member is None else Accepted(found.row, member)
